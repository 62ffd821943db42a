"""Files from upstream: verified against everything that is known, and never half there."""

import multiprocessing
import os
import time

import pytest

from provision.artifacts import ArtifactCache, LockFile, MismatchError, UnreachableError, copy_to_mirror
from provision.artifacts.lockfile import LockedFile
from provision.artifacts.mirror import DirectoryMirror, UrlMirror, format_sums, parse_mirror, parse_sums
from provision.artifacts.web import Limits, download
from provision.errors import ArtifactError
from provision.model.service import ArchiveSource

GOOD = b"the real thing " * 1000
BAD = b"something else " * 1000


@pytest.fixture
def file(make):
    def build(url=None, sha256=None, name="pad-1.tar.gz"):
        return ArchiveSource.File(name=name, role="archive", url=url, sha256=sha256)

    return build


@pytest.fixture
def locked(make):
    return LockFile(
        files={
            "pad-1.tar.gz": LockedFile(
                sha256=make.sha256(GOOD), size=len(GOOD), source="upstream", date="2026-01-01"
            )
        }
    )


def left(place) -> list[str]:
    """What lies in the cache, without locks."""
    if not place.cache.exists():
        return []
    return sorted(path.name for path in place.cache.iterdir() if not path.name.endswith(".lock"))


def test_a_file_is_fetched_once_and_then_taken_from_the_cache(place, web, make, file):
    web.pages["/pad-1.tar.gz"] = GOOD
    wanted = file(web.url + "pad-1.tar.gz", make.sha256(GOOD))
    first = ArtifactCache().obtain(wanted, LockFile())
    again = ArtifactCache().obtain(wanted, LockFile())
    assert first.path.read_bytes() == GOOD
    assert (first.source, again.source) == (web.url + "pad-1.tar.gz", "cache")
    assert web.asked == ["GET /pad-1.tar.gz"]


def test_progress_is_told_how_far_it_is(place, web, make, file):
    web.pages["/pad-1.tar.gz"] = GOOD
    seen = []
    ArtifactCache().obtain(
        file(web.url + "pad-1.tar.gz", make.sha256(GOOD)), LockFile(), progress=lambda *far: seen.append(far)
    )
    assert seen[-1] == ("pad-1.tar.gz", len(GOOD), len(GOOD))


@pytest.mark.parametrize("known_from", ["service.yml", "artifacts.lock"])
def test_a_tampered_download_stops_the_run_with_both_checksums_and_is_not_kept(
    place, web, make, file, locked, known_from
):
    web.pages["/pad-1.tar.gz"] = BAD
    pinned = known_from == "service.yml"
    wanted = file(web.url + "pad-1.tar.gz", make.sha256(GOOD) if pinned else None)
    with pytest.raises(MismatchError) as caught:
        ArtifactCache().obtain(wanted, LockFile() if pinned else locked)
    assert known_from in caught.value.message
    assert make.sha256(GOOD) in caught.value.message
    assert make.sha256(BAD) in caught.value.message
    assert "--accept pad-1.tar.gz" in caught.value.remedy
    assert left(place) == []


@pytest.mark.parametrize("where", ["mirror", "cache"])
def test_a_tampered_file_on_this_machine_stops_the_run_and_stays_as_evidence(
    place, web, make, file, locked, mirror, where
):
    web.pages["/pad-1.tar.gz"] = GOOD
    directory = mirror if where == "mirror" else place.cache
    directory.mkdir(exist_ok=True)
    (directory / "pad-1.tar.gz").write_bytes(BAD)
    with pytest.raises(MismatchError, match=str(directory)):
        ArtifactCache().obtain(file(web.url + "pad-1.tar.gz"), locked, [DirectoryMirror(mirror)])
    assert (directory / "pad-1.tar.gz").read_bytes() == BAD
    assert web.asked == []


def test_a_role_that_pins_another_checksum_than_the_lock_file_stops_the_run(place, make, file, locked):
    with pytest.raises(MismatchError) as caught:
        ArtifactCache().obtain(file(sha256=make.sha256(BAD)), locked)
    assert (caught.value.expected, caught.value.found) == (make.sha256(GOOD), make.sha256(BAD))


@pytest.mark.parametrize("kind", ["directory", "url"])
def test_the_checksums_of_a_mirror_are_checked_as_well(place, web, make, file, mirror, kind):
    sums = format_sums({"pad-1.tar.gz": make.sha256(GOOD)}).encode()
    (mirror / "SHA256SUMS").write_bytes(sums)
    (mirror / "pad-1.tar.gz").write_bytes(BAD)
    web.pages |= {"/SHA256SUMS": sums, "/pad-1.tar.gz": BAD}
    used = DirectoryMirror(mirror) if kind == "directory" else UrlMirror(web.url)
    with pytest.raises(MismatchError, match="SHA256SUMS"):
        ArtifactCache().obtain(file(), LockFile(), [used])
    assert left(place) == []


def test_mirrors_are_asked_in_order_before_cache_and_upstream(place, web, other_web, make, file, mirror):
    web.pages["/pad-1.tar.gz"] = GOOD
    other_web.pages["/pad-1.tar.gz"] = GOOD
    wanted = file(other_web.url + "pad-1.tar.gz", make.sha256(GOOD))
    got = ArtifactCache().obtain(wanted, LockFile(), [DirectoryMirror(mirror), UrlMirror(web.url)])
    assert got.source == web.url + "pad-1.tar.gz"
    assert other_web.asked == []
    (mirror / "pad-1.tar.gz").write_bytes(GOOD)
    assert ArtifactCache().obtain(wanted, LockFile(), [DirectoryMirror(mirror)]).path.parent == mirror


def test_when_a_mirror_does_not_have_the_file_the_next_place_is_asked(place, web, make, file):
    web.pages["/up/pad-1.tar.gz"] = GOOD
    wanted = file(web.url + "up/pad-1.tar.gz", make.sha256(GOOD))
    got = ArtifactCache().obtain(wanted, LockFile(), [UrlMirror(web.url + "mirror/")])
    assert got.source == web.url + "up/pad-1.tar.gz"


def test_when_no_place_has_the_file_each_reason_is_given(place, web, file, mirror):
    with pytest.raises(UnreachableError) as caught:
        ArtifactCache().obtain(file(), LockFile(), [DirectoryMirror(mirror), UrlMirror(web.url)])
    for reason in (f"{mirror} does not have it", "answers 404", "upstream offers no download"):
        assert reason in caught.value.message
    assert "--mirror DIR" in caught.value.remedy


def cut_short(handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(GOOD)))
    handler.end_headers()
    handler.wfile.write(GOOD[:100])
    handler.close_connection = True


def endless(handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(GOOD)


def too_large(handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(1 << 50))
    handler.end_headers()


def never(handler) -> None:
    time.sleep(5)


def drip(handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(500):
        handler.wfile.write(b"x")
        time.sleep(0.01)


def circle(handler) -> None:
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


@pytest.mark.parametrize(
    ("page", "error", "says"),
    [
        (cut_short, UnreachableError, "the connection was cut"),
        (endless, ArtifactError, "larger than it may be"),
        (too_large, ArtifactError, "larger than it may be"),
        (never, UnreachableError, "no answer in time"),
        (drip, UnreachableError, "sends too slowly"),
        (circle, UnreachableError, "redirects in circles"),
    ],
    ids=["cut short", "endless", "too large", "never", "drip", "circle"],
)
def test_what_a_broken_server_sends_is_an_error_and_leaves_nothing(place, web, file, make, page, error, says):
    web.pages["/pad-1.tar.gz"] = page
    limits = Limits(connect=1, read=0.5, size=1 << 20, rate=100_000, patience=0.2)
    with pytest.raises(error, match=says):
        ArtifactCache(limits=limits).obtain(file(web.url + "pad-1.tar.gz", make.sha256(GOOD)), LockFile())
    assert left(place) == []


def test_a_download_larger_than_the_recorded_size_is_not_read_to_its_end(place, web, file, locked):
    web.pages["/pad-1.tar.gz"] = endless
    with pytest.raises(ArtifactError, match=str(len(GOOD))):
        ArtifactCache().obtain(file(web.url + "pad-1.tar.gz"), locked)
    assert left(place) == []


def redirect_to(url):
    def page(handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return page


def test_a_redirection_to_another_host_is_followed_when_the_checksum_is_known(
    place, web, other_web, make, file
):
    other_web.pages["/real"] = GOOD
    web.pages["/pad-1.tar.gz"] = redirect_to(other_web.url + "real")
    got = ArtifactCache().obtain(file(web.url + "pad-1.tar.gz", make.sha256(GOOD)), LockFile())
    assert got.path.read_bytes() == GOOD


def test_a_redirection_to_an_unprotected_host_is_refused_when_nothing_is_known(place, web, other_web, file):
    other_web.pages["/real"] = GOOD
    web.pages["/pad-1.tar.gz"] = redirect_to(other_web.url + "real")
    with pytest.raises(ArtifactError, match="sends us on to"):
        ArtifactCache().obtain(file(), LockFile(), [UrlMirror(web.url)])
    assert left(place) == []


def test_upstream_without_protection_and_without_a_checksum_is_not_asked(place, web, file):
    web.pages["/pad-1.tar.gz"] = GOOD
    with pytest.raises(UnreachableError, match="is not protected"):
        ArtifactCache().obtain(file(web.url + "pad-1.tar.gz"), LockFile())
    assert web.asked == []


def test_a_mirrors_password_is_in_no_message_and_no_record(place, web, file):
    url = web.url.replace("http://", "http://user:canary@")
    web.pages["/other.tar.gz"] = GOOD
    got = ArtifactCache().obtain(file(name="other.tar.gz"), LockFile(), [UrlMirror(url)])
    assert "canary" not in got.source
    with pytest.raises(UnreachableError) as caught:
        ArtifactCache().obtain(file(), LockFile(), [UrlMirror(url)])
    assert "canary" not in caught.value.message


def _obtain(wanted) -> None:
    ArtifactCache().obtain(wanted, LockFile())


def test_processes_that_want_the_same_file_fetch_it_once(place, web, make, file):
    def slow(handler) -> None:
        time.sleep(0.5)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(GOOD)))
        handler.end_headers()
        handler.wfile.write(GOOD)

    web.pages["/pad-1.tar.gz"] = slow
    wanted = file(web.url + "pad-1.tar.gz", make.sha256(GOOD))
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_obtain, args=(wanted,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert web.asked == ["GET /pad-1.tar.gz"]
    assert left(place) == ["SHA256SUMS", "pad-1.tar.gz"]


def test_what_a_killed_download_left_behind_goes_with_the_next(place, web, make, file):
    place.cache.mkdir()
    (place.cache / ".pad-1.tar.gz.0123456789ab.part").write_bytes(b"half")
    web.pages["/pad-1.tar.gz"] = GOOD
    ArtifactCache().obtain(file(web.url + "pad-1.tar.gz", make.sha256(GOOD)), LockFile())
    assert left(place) == ["SHA256SUMS", "pad-1.tar.gz"]


def test_the_cache_is_itself_a_mirror(place, web, make, file, tmp_path, monkeypatch):
    web.pages["/pad-1.tar.gz"] = GOOD
    ArtifactCache().obtain(file(web.url + "pad-1.tar.gz", make.sha256(GOOD)), LockFile())
    monkeypatch.setenv("PROVISION_CACHE", str(tmp_path / "second"))
    got = ArtifactCache().obtain(file(), LockFile(), [DirectoryMirror(place.cache)])
    assert got.path.parent == place.cache


def test_a_mirror_that_we_make_serves_the_same_files_and_sha256sum_agrees(
    place, make, file, mirror, tmp_path
):
    (mirror / "pad-1.tar.gz").write_bytes(GOOD)
    got = ArtifactCache().obtain(file(), LockFile(), [DirectoryMirror(mirror)])
    target = tmp_path / "stick" / "provision"
    copy_to_mirror([got], target)
    copy_to_mirror([got], target)
    assert os.system(f"cd {target} && sha256sum --check --quiet SHA256SUMS") == 0
    assert ArtifactCache().obtain(file(), LockFile(), [DirectoryMirror(target)]).sha256 == got.sha256
    assert sorted(path.name for path in target.iterdir()) == ["SHA256SUMS", "pad-1.tar.gz"]


def test_a_cache_that_cannot_be_written_is_named(place, web, make, file):
    place.cache.write_text("a file where the directory should be")
    web.pages["/pad-1.tar.gz"] = GOOD
    with pytest.raises(ArtifactError, match=str(place.cache)) as caught:
        ArtifactCache().obtain(file(web.url + "pad-1.tar.gz", make.sha256(GOOD)), LockFile())
    assert "PROVISION_CACHE" in caught.value.remedy


def test_a_full_disk_is_named_and_leaves_nothing(place, web, make, monkeypatch):
    web.pages["/x"] = GOOD

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    place.cache.mkdir()
    monkeypatch.setattr("provision.artifacts.web.os.fsync", full)
    with pytest.raises(ArtifactError, match="No space left on device"):
        download(web.url + "x", place.cache / "x.part", limits=Limits())
    assert left(place) == []


def test_checksum_lists_in_the_forms_of_sha256sum_are_read():
    one, two = "1" * 64, "2" * 64
    text = f"{one}  a.tar\n{two} *./b.tar\nnot a line\n{'3' * 63}  c\n"
    assert parse_sums(text) == {"a.tar": one, "b.tar": two}


@pytest.mark.parametrize("text", ["ftp://x.example/y", "/nowhere/at/all", "missing"])
def test_a_mirror_that_is_none_is_an_error_with_a_remedy(text, tmp_path):
    with pytest.raises(ArtifactError) as caught:
        parse_mirror(text, tmp_path)
    assert caught.value.remedy


def test_mirrors_are_directories_relative_to_their_base_or_addresses(tmp_path):
    (tmp_path / "m").mkdir()
    assert parse_mirror("m", tmp_path) == DirectoryMirror(tmp_path / "m")
    assert parse_mirror(f"file://{tmp_path}/m", tmp_path) == DirectoryMirror(tmp_path / "m")
    assert parse_mirror("https://x.example/a", tmp_path) == UrlMirror("https://x.example/a/")
