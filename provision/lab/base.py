"""Base images: a fresh, minimal Debian server of each release, made once for all labs."""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import subprocess
import time
from pathlib import Path

from provision.errors import LabError
from provision.lab import sources
from provision.lab.names import RELEASES
from provision.lab.state import CACHE, LABS
from provision.lab.system import Report, environment, lock, remove_tree, run

#: What a fresh Debian cloud server has and a role may rely on; everything else is a role's own to install.
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "systemd-timesyncd",
    "dbus",
    "libpam-systemd",
    "openssh-server",
    "python3",
    "python3-apt",
    "sudo",
    "iproute2",
    "netbase",
    "procps",
    "ca-certificates",
    "tzdata",
)

# Raise it when the code below makes something else of the same inputs.
_RECIPE = 1

#: After so many days Debian has replaced too many packages for the image's lists to be of use.
_STALE_DAYS = 14

_EXTRA_CERTIFICATES = Path("/usr/local/share/ca-certificates")


def host_codename() -> str:
    """The code name of this computer's release, if it is a Debian."""
    values = {}
    with contextlib.suppress(FileNotFoundError):
        for line in Path("/etc/os-release").read_text().splitlines():
            name, _, value = line.partition("=")
            values[name] = value.strip('"')
    return values.get("VERSION_CODENAME", "") if values.get("ID") == "debian" else ""


def host_sources(etc: Path = Path("/etc/apt")) -> list[sources.Source]:
    """All package sources of this computer."""
    found: list[sources.Source] = []
    parts = sorted((etc / "sources.list.d").glob("*")) if (etc / "sources.list.d").is_dir() else []
    for path in [etc / "sources.list", *parts]:
        with contextlib.suppress(FileNotFoundError):
            if path.suffix == ".list":
                found += sources.parse_one_line(path.read_text())
            elif path.suffix == ".sources":
                found += sources.parse_deb822(path.read_text())
    return found


def _sources_for(release: str) -> str:
    own = host_sources()
    mirrors = {}
    for name in sources.mirror_files(own):
        with contextlib.suppress(OSError):
            mirrors[name] = Path(name).read_text()
    return sources.render_deb822(sources.debian_sources(own, host_codename(), release, mirrors))


def extra_certificates() -> list[Path]:
    """Certificate authorities that this computer trusts beyond Debian's selection."""
    return sorted(path for path in _EXTRA_CERTIFICATES.rglob("*.crt") if path.is_file())


def architecture() -> str:
    """Debian's name of this computer's architecture."""
    return run("dpkg", "--print-architecture").stdout.strip()


class BaseImage:
    """The base image of one release.

    Args:
        release: code name of the release.
        cache: where images lie.
    """

    def __init__(self, release: str, cache: Path = CACHE) -> None:
        self.release = release
        self.cache = cache / "base"
        self._sources = _sources_for(release)
        self._apt = sources.apt_settings(run("apt-config", "dump").stdout)
        self._certificates = extra_certificates()
        digest = hashlib.sha256()
        for part in (
            str(_RECIPE),
            architecture(),
            self._sources,
            *self._apt,
            *PACKAGES,
            *(path.read_text(errors="replace") for path in self._certificates),
        ):
            digest.update(part.encode() + b"\0")
        self._key = f"{release}-{digest.hexdigest()[:12]}"

    def ensure(self, report: Report) -> Path:
        """Make the image unless it is there already.

        Returns:
            the directory that holds it.

        Raises:
            LabError: it cannot be made and no older one is there.
        """
        with lock(
            self.cache / f".{self.release}.lock",
            report,
            f"another lab is making the {self.release} base image",
        ):
            self.cache.chmod(0o700)
            images = sorted(self.cache.glob(f"{self._key}-*"))
            if images and _age_days(images[-1]) < _STALE_DAYS:
                return images[-1]
            for rest in self.cache.glob(f".{self.release}-*.tmp"):
                remove_tree(rest)
            try:
                made = self._build(report)
            except LabError:
                if not images:
                    raise
                report(f"The {self.release} base image is old and could not be renewed; using it as it is")
                return images[-1]
            self._drop_old(report)
            return made

    def _build(self, report: Report) -> Path:
        report(f"Making the {RELEASES[self.release]} base image (once; about half a minute)")
        target = self.cache / f".{self.release}-{secrets.token_hex(4)}.tmp"
        file = self.cache / f".{self.release}.sources"
        file.write_text(self._sources)
        # Dies with us, rather than filling a directory that the next one removes.
        argv = [
            "setpriv",
            "--pdeathsig",
            "TERM",
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            "--format=directory",
        ]
        argv += ["--skip=cleanup/apt/lists", f"--include={','.join(PACKAGES)}"]
        argv += [f"--aptopt={line}" for line in self._host_apt()]
        argv += [self.release, str(target), *([str(file)] if self._sources else [])]
        try:
            said: list[str] = []
            with subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=environment(sources.proxy_settings(os.environ)),
            ) as process:
                for line in process.stderr or ():
                    said.append(line.rstrip())
                    if match := re.match(
                        r"I: (running apt-get update|downloading packages|extracting|installing)", line
                    ):
                        report(f"  {match[1].removeprefix('running ')}")
            if process.returncode != 0:
                raise LabError(
                    f"The {self.release} base image could not be made: " + " / ".join(said[-4:]),
                    "Check that `apt-get update` works on this computer; the lab uses its package sources. "
                    f"For {self.release} the package debian-archive-keyring must be up to date.",
                )
            self._finish(target)
            final = self.cache / f"{self._key}-{int(time.time())}"
            target.rename(final)
            return final
        finally:
            if target.exists():
                remove_tree(target)

    def _host_apt(self) -> list[str]:
        return [*self._apt, 'Acquire::Languages "none";']

    def _finish(self, root: Path) -> None:
        """Turn the tree into a base: nothing in it may be the same on two servers by accident."""
        for key in (root / "etc/ssh").glob("ssh_host_*"):
            key.unlink()
        (root / "etc/machine-id").write_text("")
        (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
        if self._sources:
            for path in (root / "etc/apt/sources.list.d").iterdir():
                path.unlink()
            (root / "etc/apt/sources.list").unlink(missing_ok=True)
            (root / "etc/apt/sources.list.d/debian.sources").write_text(self._sources)
        settings = root / "etc/apt/apt.conf.d"
        (settings / "99mmdebstrap").unlink(missing_ok=True)
        # Packages stay in the machine's archive directory, from where the lab takes them for the next
        # machine.
        lines = [
            *self._host_apt(),
            'APT::Keep-Downloaded-Packages "true";',
            'Binary::apt::APT::Keep-Downloaded-Packages "true";',
        ]
        (settings / "90provision-lab").write_text("\n".join(lines) + "\n")
        if self._certificates:
            folder = root / "usr/local/share/ca-certificates"
            folder.mkdir(parents=True, exist_ok=True)
            for path in self._certificates:
                shutil.copyfile(path, folder / path.name)
            run("chroot", str(root), "update-ca-certificates")
        # apt's binary index of all packages: made here once instead of by each machine's first apt call.
        run("chroot", str(root), "apt-cache", "gencaches", check=False)

    def _drop_old(self, report: Report) -> None:
        """Remove old images of this release that no machine stands on.

        Only old ones: another checkout may be about to use one that is of another recipe than ours.
        """
        used = {match for path in LABS.glob("*/state.json") for match in _BASE.findall(path.read_text())}
        for path in self.cache.glob(f"{self.release}-*"):
            if str(path) not in used and _age_days(path) >= _STALE_DAYS:
                report(f"Removing the outdated base image {path.name}")
                remove_tree(path)


_BASE = re.compile(r'"base": "([^"]+)"')


def _age_days(image: Path) -> float:
    """The age of an image, from the time in its name: the directory's own time changes with what is in it."""
    return (time.time() - int(image.name.rpartition("-")[2])) / 86400
