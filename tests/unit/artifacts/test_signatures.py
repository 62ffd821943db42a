"""Files that upstream signs."""

import hashlib
from pathlib import Path

import pytest
from pysequoia import SignatureMode, Tsk, sign

from provision.artifacts.cache import ArtifactCache
from provision.artifacts.lockfile import LockFile, MismatchError
from provision.artifacts.mirror import DirectoryMirror, UrlMirror
from provision.errors import ArtifactError
from provision.model.service import ArchiveSource

DATA = b"what upstream publishes"


@pytest.fixture(scope="module")
def upstream() -> Tsk:
    return Tsk.generate(user_id="Upstream <releases@example.org>")


def wanted(key: Tsk, url: str | None = None) -> ArchiveSource.File:
    return ArchiveSource.File.model_validate(
        {
            "name": "cloud-1.tar.bz2",
            "role": "application",
            "url": url,
            "signature": {
                "key": "cloud.asc",
                "key_url": "http://127.0.0.1:9/cloud.asc",
                "fingerprint": key.extract_certificate().fingerprint.upper(),
            },
        }
    )


def put(
    directory: Path, *, data: bytes = DATA, signer: Tsk | None = None, key: Tsk | None = None, sums: bool = False,
) -> DirectoryMirror:  # fmt: skip
    (directory / "cloud-1.tar.bz2").write_bytes(data)
    if signer is not None:
        signature = sign(signer.signer(), DATA, mode=SignatureMode.DETACHED)
        (directory / "cloud-1.tar.bz2.asc").write_bytes(signature)
    if key is not None:
        (directory / "cloud.asc").write_text(str(key.extract_certificate()))
    if sums:
        (directory / "SHA256SUMS").write_text(f"{hashlib.sha256(data).hexdigest()}  cloud-1.tar.bz2\n")
    return DirectoryMirror(directory)


def test_a_file_with_upstreams_good_signature_is_taken(place, mirror, upstream):
    got = ArtifactCache().obtain(wanted(upstream), LockFile(), [put(mirror, signer=upstream, key=upstream)])
    assert got.path.read_bytes() == DATA


def test_a_file_that_was_changed_after_it_was_signed_is_refused(place, mirror, upstream):
    made = put(mirror, data=DATA + b"!", signer=upstream, key=upstream, sums=True)
    with pytest.raises(MismatchError, match="does not have a good signature") as caught:
        ArtifactCache().obtain(wanted(upstream), LockFile(), [made])
    assert "Stack backtrace" not in caught.value.message


def test_a_signature_by_somebody_else_is_refused(place, mirror, upstream):
    made = put(mirror, signer=Tsk.generate(user_id="Somebody"), key=upstream, sums=True)
    with pytest.raises(MismatchError, match="does not have a good signature"):
        ArtifactCache().obtain(wanted(upstream), LockFile(), [made])


def test_another_key_than_the_pinned_one_is_refused(place, mirror, upstream):
    other = Tsk.generate(user_id="Upstream <releases@example.org>")
    made = put(mirror, signer=other, key=other, sums=True)
    with pytest.raises(MismatchError, match=r"is not the key that service\.yml pins"):
        ArtifactCache().obtain(wanted(upstream), LockFile(), [made])


@pytest.mark.parametrize("broken", ["cloud.asc", "cloud-1.tar.bz2.asc"])
def test_a_damaged_key_or_signature_is_refused(place, mirror, upstream, broken):
    made = put(mirror, signer=upstream, key=upstream, sums=True)
    (mirror / broken).write_bytes(b"<html>404</html>")
    with pytest.raises(ArtifactError):
        ArtifactCache().obtain(wanted(upstream), LockFile(), [made])


def test_a_signature_whose_key_is_not_to_be_had_is_refused(place, mirror, upstream):
    with pytest.raises(ArtifactError, match=r"upstream's key cloud.asc is not to be had"):
        ArtifactCache().obtain(wanted(upstream), LockFile(), [put(mirror, signer=upstream, sums=True)])


def test_a_file_without_a_signature_is_taken_only_from_a_mirror_whose_checksums_name_it(
    place, mirror, upstream
):
    with pytest.raises(ArtifactError, match="has no signature"):
        ArtifactCache().obtain(wanted(upstream), LockFile(), [put(mirror)])
    assert ArtifactCache().obtain(wanted(upstream), LockFile(), [put(mirror, sums=True)]).path.is_file()


def test_a_download_with_a_bad_signature_is_not_kept(place, web, upstream):
    other = Tsk.generate(user_id="Somebody")
    web.pages["/cloud-1.tar.bz2"] = DATA
    web.pages["/cloud-1.tar.bz2.asc"] = sign(other.signer(), DATA, mode=SignatureMode.DETACHED)
    web.pages["/cloud.asc"] = str(upstream.extract_certificate()).encode()
    with pytest.raises(MismatchError):
        ArtifactCache().obtain(wanted(upstream), LockFile(), [UrlMirror(web.url)])
    assert not (place.cache / "cloud-1.tar.bz2").exists()
    assert not (place.cache / "SHA256SUMS").exists()


def test_a_download_with_a_good_signature_is_kept(place, web, upstream):
    web.pages["/cloud-1.tar.bz2"] = DATA
    web.pages["/cloud-1.tar.bz2.asc"] = sign(upstream.signer(), DATA, mode=SignatureMode.DETACHED)
    web.pages["/cloud.asc"] = str(upstream.extract_certificate()).encode()
    got = ArtifactCache().obtain(wanted(upstream), LockFile(), [UrlMirror(web.url)])
    assert got.path == place.cache / "cloud-1.tar.bz2"


def test_a_binary_key_may_be_fetched_as_well_as_an_armoured_one(place, web, upstream):
    web.pages["/cloud-1.tar.bz2"] = DATA
    web.pages["/cloud-1.tar.bz2.asc"] = sign(upstream.signer(), DATA, mode=SignatureMode.DETACHED)
    web.pages["/cloud.asc"] = bytes(upstream.extract_certificate())
    got = ArtifactCache().obtain(wanted(upstream), LockFile(), [UrlMirror(web.url)])
    assert got.path == place.cache / "cloud-1.tar.bz2"
