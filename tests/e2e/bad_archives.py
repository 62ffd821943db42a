"""Archives that no school may get, and a disk that has no room for any: what is said, and what stays behind."""

import hashlib
import io
import tarfile
from pathlib import Path

from tests.e2e.schools import SchoolOnLab
from tests.labs import ssh


def truncated(archive: Path, mirror: Path) -> Path:
    """A mirror with an archive that was cut off when somebody copied it there."""
    return _mirror(archive.name, archive.read_bytes()[: archive.stat().st_size // 2], mirror)


def leading_out(archive: Path, mirror: Path) -> Path:
    """A mirror with an archive that wants to write into the server's list of accounts."""
    compression = archive.name.rpartition("tar.")[2] if ".tar." in archive.name else "gz"
    made = io.BytesIO()
    with tarfile.open(archive) as old, tarfile.open(fileobj=made, mode=f"w:{compression}") as new:
        for member in old:
            new.addfile(member, old.extractfile(member) if member.isfile() else None)
        entry = tarfile.TarInfo(f"{old.getnames()[0].partition('/')[0]}/../../../../etc/passwd")
        entry.size = 4
        new.addfile(entry, io.BytesIO(b"evil"))
    return _mirror(archive.name, made.getvalue(), mirror)


def _mirror(name: str, content: bytes, directory: Path) -> Path:
    directory.mkdir(parents=True)
    (directory / name).write_bytes(content)
    # As somebody lists it who does not look into it.
    (directory / "SHA256SUMS").write_text(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    return directory


def nothing_is_half_installed(school: SchoolOnLab, service: str) -> None:
    """Neither a release, nor a part of one, nor an archive."""
    assert ssh(school.machine, f"find /opt/{service} -mindepth 2 -maxdepth 2").stdout == ""
    assert ssh(school.machine, "ls /var/cache | grep provision- || true").stdout == ""


def see_bad_archives(school: SchoolOnLab, service: str, archive: Path, scratch: Path) -> None:
    """Try both archives, one after the other, on a server that has no release yet.

    Args:
        archive: a good one, which must not be the one that the school's cache has.
        scratch: an empty directory.
    """
    broken, evil = (make(archive, scratch / make.__name__) for make in (truncated, leading_out))
    _fails(school, service, "nexpected", "--mirror", str(broken))
    # Any other one is now another than the one that is recorded: nothing is changed before somebody says what is right.
    for mirror in ([], ["--mirror", str(evil)]):
        other = school.provision("apply", school.id, "--yes", *mirror, check=False)
        assert other.returncode != 0
        assert f"provision artifacts lock --accept {archive.name}" in other.stdout + other.stderr
    school.provision("artifacts", "lock", "--accept", archive.name, "--mirror", str(evil))
    _fails(school, service, "Member name contains '..'", "--mirror", str(evil))
    school.provision("artifacts", "lock", "--accept", archive.name)


def see_full_disk(school: SchoolOnLab, service: str) -> None:
    """16 blocks: less than any archive unpacked."""
    ssh(school.machine, f"mkdir -p /opt/{service} && mount -t tmpfs -o size=16k tmpfs /opt/{service}")
    _fails(school, service, "No space left on device")
    ssh(school.machine, f"umount /opt/{service}")


def _fails(school: SchoolOnLab, service: str, complaint: str, *words: str) -> None:
    failed = school.provision("apply", school.id, "--yes", *words, check=False)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert complaint in failed.stdout + failed.stderr, failed.stdout
    nothing_is_half_installed(school, service)
