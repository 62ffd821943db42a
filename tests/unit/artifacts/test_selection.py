"""Which release a school gets: what it asks for, what can be had, and what it has already."""

import hashlib
import json
import time

import pytest
from pysequoia import Tsk

from provision.artifacts import Known, MismatchError, forget_installed, lockfile, look_up, record_installed
from provision.errors import ArtifactError

FILE = b"the real thing"
IN_RELEASE = b"-----BEGIN PGP SIGNED MESSAGE-----\n"


def apt(web, tmp_key, version="3.0", **more):
    repository = {
        "name": "pad",
        "uri": web.url + "apt",
        "suite": "stable",
        "key": tmp_key[0],
        "fingerprint": tmp_key[1],
    }
    return {
        "version": version,
        "sources": [{"kind": "apt", "repositories": [repository], "packages": ["pad"]}],
        **more,
    }


@pytest.fixture
def key(place):
    made = Tsk.generate(user_id="Upstream <packages@example.org>").extract_certificate()
    (place.workspace.path / "roles" / "pad" / "files" / "pad.gpg").write_bytes(bytes(made))
    return "pad.gpg", made.fingerprint.upper()


def in_mirror(mirror, name="pad-3.tar.gz", data=FILE):
    (mirror / name).write_bytes(data)
    return {"name": name, "role": "archive"}


def answers(npm, make, integrity=None):
    return npm(f"echo '\"{integrity or make.integrity}\"'")


def test_without_a_version_the_newest_release_that_can_be_had_is_taken(place, make, mirror):
    file = in_mirror(mirror)
    absent = {"name": "absent.tar.gz", "role": "archive"}
    place.offer(make.archive("3.9", file), make.archive("3.10", file), make.archive("3.11", absent))
    assert place.only(mirror=str(mirror)).version == "3.10"


def test_a_release_for_the_lab_is_taken_only_when_nothing_else_can_be_had(place, make, mirror, npm):
    asked = answers(npm, make)
    place.offer(make.npm(), make.archive("0.9", {"name": "pad-3.tar.gz", "role": "archive"}))
    chosen = place.only(mirror=str(mirror))
    assert (chosen.version, chosen.lab_only, chosen.source.kind) == ("1.0", True, "npm")
    assert asked.exists()
    forget_installed(place.workspace, place.school)
    in_mirror(mirror)
    assert place.only(mirror=str(mirror)).version == "0.9"


def test_a_school_never_gets_a_release_for_the_lab(place, make, npm):
    answers(npm, make)
    place.workspace.municipality.lab = False
    place.offer(make.npm(), version="1.0")
    chosen, unavailable = place.select()
    assert chosen == []
    assert "cannot be installed on debian-12 here" in unavailable[0].reasons[0]


def test_the_first_source_that_can_be_had_is_taken(place, make, mirror, web, key):
    in_mirror(mirror)
    release = apt(web, key)
    release["sources"] += make.archive("3.0", {"name": "pad-3.tar.gz", "role": "archive"})["sources"]
    place.offer(release, version="3.0")
    assert place.only(mirror=str(mirror)).source.kind == "archive"
    forget_installed(place.workspace, place.school)
    web.pages["/apt/dists/stable/InRelease"] = IN_RELEASE
    place.workspace.state_dir.joinpath("probes.json").unlink(missing_ok=True)
    assert place.only(mirror=str(mirror)).source.kind == "apt"


def test_archives_come_with_verified_files_and_their_checksums(place, make, mirror):
    files = [in_mirror(mirror), {**in_mirror(mirror, "node.tar.xz", b"node"), "role": "node"}]
    place.offer(make.archive("3.0", *files), version="3.0")
    chosen = place.only(mirror=str(mirror))
    assert chosen.files == {"archive": mirror / "pad-3.tar.gz", "node": mirror / "node.tar.xz"}
    assert chosen.checksums == {"archive": make.sha256(FILE), "node": make.sha256(b"node")}


def test_the_first_download_is_recorded_and_a_later_difference_stops_the_run(place, make, mirror):
    place.offer(make.archive("3.0", in_mirror(mirror)))
    place.only(mirror=str(mirror))
    assert place.lock().files["pad-3.tar.gz"].sha256 == make.sha256(FILE)
    in_mirror(mirror, data=b"changed")
    with pytest.raises(MismatchError) as caught:
        place.select(mirror=str(mirror))
    assert make.sha256(FILE) in caught.value.message
    assert make.sha256(b"changed") in caught.value.message


def test_what_is_to_be_had_is_recorded_once(place, make, mirror):
    place.offer(make.archive("3.0", in_mirror(mirror)))
    place.only(mirror=str(mirror))
    before = place.workspace.lock_file.read_bytes()
    place.only(mirror=str(mirror))
    assert place.workspace.lock_file.read_bytes() == before


def test_a_service_that_cannot_be_had_says_why_for_each_source_and_what_to_do(
    place, make, mirror, web, key, npm
):
    npm("exit 1")
    release = apt(web, key)
    release["sources"] += make.archive("3.0", {"name": "pad-3.tar.gz", "role": "archive"})["sources"]
    place.offer(release, make.npm())
    chosen, (missing,) = place.select(mirror=str(mirror))
    assert chosen == []
    assert (missing.service, missing.version) == ("pad", None)
    assert len(missing.reasons) == 3
    assert "127.0.0.1 answers 404" in missing.reasons[0]
    assert f"pad-3.tar.gz is not in {mirror} and {place.cache}" in missing.reasons[1]
    assert "npm registry cannot be reached" in missing.reasons[2]
    assert "--mirror DIR" in missing.remedy
    assert "127.0.0.1" in missing.remedy
    assert not place.workspace.lock_file.exists()


@pytest.mark.parametrize(
    ("files", "available"),
    [
        ({"InRelease": IN_RELEASE}, True),
        ({"Release": b"Origin: pad\n"}, True),
        ({"InRelease": b"<html>please log in</html>"}, False),
        ({}, False),
    ],
)
def test_a_package_repository_answers_with_a_release_file_or_is_not_there(place, web, key, files, available):
    web.pages |= {f"/apt/dists/stable/{name}": data for name, data in files.items()}
    place.offer(apt(web, key))
    chosen, _ = place.select()
    assert bool(chosen) is available


def test_a_download_that_is_a_web_page_is_not_available(place, make, web):
    def login(handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html; charset=utf-8")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    web.pages["/pad-3.tar.gz"] = login
    file = {"name": "pad-3.tar.gz", "role": "archive", "url": web.url + "pad-3.tar.gz"}
    place.offer(make.archive("3.0", file))
    chosen, (missing,) = place.select()
    assert chosen == []
    assert "web page" in missing.reasons[0]


def test_a_server_that_answers_only_to_get_is_asked_so(place, make, web):
    def picky(handler) -> None:
        if handler.command == "HEAD":
            handler.send_response(405)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(FILE)))
        handler.end_headers()
        handler.wfile.write(FILE)

    web.pages["/pad-3.tar.gz"] = picky
    url = web.url + "pad-3.tar.gz"
    place.offer(
        make.archive(
            "3.0", {"name": "pad-3.tar.gz", "role": "archive", "url": url, "sha256": make.sha256(FILE)}
        )
    )
    assert place.only().version == "3.0"


def test_a_good_answer_holds_for_the_next_process_and_a_bad_one_does_not(place, web, key):
    place.offer(apt(web, key))
    assert place.select()[0] == []
    web.pages["/apt/dists/stable/InRelease"] = IN_RELEASE
    place.only()
    asked = len(web.asked)
    place.only()
    assert len(web.asked) == asked


def test_good_answers_grow_old(place, web, key):
    web.pages["/apt/dists/stable/InRelease"] = IN_RELEASE
    place.offer(apt(web, key))
    place.only()
    kept = place.workspace.state_dir / "probes.json"
    kept.write_text(json.dumps({name: when - 3601 for name, when in json.loads(kept.read_text()).items()}))
    del web.pages["/apt/dists/stable/InRelease"]
    assert place.select()[0] == []


def test_a_damaged_note_of_good_answers_is_not_needed(place, web, key):
    web.pages["/apt/dists/stable/InRelease"] = IN_RELEASE
    place.offer(apt(web, key))
    place.workspace.state_dir.mkdir()
    (place.workspace.state_dir / "probes.json").write_text("[")
    assert place.only().version == "3.0"


def test_what_was_chosen_stays_while_it_can_be_had(place, make, mirror, npm):
    answers(npm, make)
    place.offer(make.npm(), make.archive("3.0", {"name": "pad-3.tar.gz", "role": "archive"}))
    assert place.only(mirror=str(mirror)).version == "1.0"
    in_mirror(mirror)
    assert place.only(mirror=str(mirror)).version == "1.0"
    npm("exit 1")
    (place.workspace.state_dir / "probes.json").unlink()
    assert place.only(mirror=str(mirror)).version == "3.0"


def test_what_is_installed_stays_without_asking_anybody(place, make, mirror, npm):
    answers(npm, make)
    place.offer(make.npm(), make.archive("3.0", {"name": "pad-3.tar.gz", "role": "archive"}))
    record_installed(place.workspace, place.school, [place.only(mirror=str(mirror))])
    asked = npm("exit 1")
    asked.unlink()
    (place.workspace.state_dir / "probes.json").unlink()
    in_mirror(mirror)
    before = place.workspace.lock_file.read_bytes()
    assert place.only(mirror=str(mirror)).version == "1.0"
    assert not asked.exists()
    assert place.workspace.lock_file.read_bytes() == before
    forget_installed(place.workspace, place.school)
    assert place.only(mirror=str(mirror)).version == "3.0"


def test_an_installed_archive_that_is_nowhere_any_more_stays_and_says_so(place, make, mirror):
    place.offer(make.archive("3.0", in_mirror(mirror)), version="3.0")
    record_installed(place.workspace, place.school, [place.only(mirror=str(mirror))])
    (mirror / "pad-3.tar.gz").unlink()
    chosen = place.only(mirror=str(mirror))
    assert chosen.files == {}
    # The role still has to see that what is on the server is this.
    assert chosen.checksums == {"archive": make.sha256(FILE)}
    assert "cannot be had" in chosen.remark


def two_archives(web):
    """The city's own copy, which only a mirror has, and upstream's."""
    web.pages["/pad-1.sh"] = FILE
    pinned = {"url": web.url + "pad-1.sh", "sha256": hashlib.sha256(FILE).hexdigest()}
    own = {"kind": "archive", "files": [{"name": "pad.sh", "role": "archive"}]}
    upstream = {
        "kind": "archive",
        "files": [{"name": "pad-1.sh", "role": "archive", **pinned}],
        "caution": {"ca": "És vell.", "es": "Es viejo.", "en": "It is old."},
    }
    return {"version": "3.0", "sources": [own, upstream]}


def test_an_installed_archive_comes_from_where_it_came_when_a_server_is_set_up_anew(place, make, web):
    place.offer(two_archives(web), version="3.0")
    first = place.only()
    assert (first.origin, first.caution.en) == ("archive pad-1.sh", "It is old.")
    record_installed(place.workspace, place.school, [first])
    again = place.only()
    assert (again.origin, again.checksums) == ("archive pad-1.sh", {"archive": make.sha256(FILE)})
    assert again.files["archive"].read_bytes() == FILE


@pytest.mark.parametrize("served", [False, True])
def test_the_citys_own_copy_takes_the_place_of_upstreams_archive_from_then_on(
    place, make, mirror, web, other_web, served
):
    place.offer(two_archives(web), version="3.0")
    record_installed(place.workspace, place.school, [place.only()])
    own, where = b"read by the city", str(mirror)
    if served:
        other_web.pages["/pad.sh"], where = own, other_web.url
    else:
        (mirror / "pad.sh").write_bytes(own)
    chosen = place.only(mirror=where)
    assert (chosen.origin, chosen.checksums) == ("archive pad.sh", {"archive": make.sha256(own)})
    assert chosen.caution is None
    record_installed(place.workspace, place.school, [chosen])
    # The mirror is not at hand: what is there stays, though upstream's is on this machine.
    assert place.only().checksums == {"archive": make.sha256(own)}


def test_another_version_in_the_school_file_is_followed(place, make, mirror):
    releases = [
        make.archive("3.0", in_mirror(mirror)),
        make.archive("2.0", in_mirror(mirror, "pad-2.tar.gz")),
    ]
    place.offer(*releases, version="2.0")
    record_installed(place.workspace, place.school, [place.only(mirror=str(mirror))])
    place.offer(*releases, version="3.0")
    assert place.only(mirror=str(mirror)).version == "3.0"


def a_school(place, *releases, newest):
    """A school, no lab, whose file names no version: the model takes the newest."""
    place.workspace.municipality.lab = False
    place.offer(*releases, version=newest)
    place.school.services["pad"].named = False


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        (["4.5.13", "5.1.6"], "4.5.13"),
        # The line's mended release.
        (["4.5.13", "4.5.14", "5.1.6"], "4.5.14"),
        (["4.5.14", "5.1.6"], "4.5.14"),
    ],
)
def test_a_newer_provision_takes_no_school_to_another_line_unasked(place, make, mirror, offered, taken):
    file = in_mirror(mirror)
    a_school(place, make.archive("4.5.13", file), newest="4.5.13")
    record_installed(place.workspace, place.school, [place.only(mirror=str(mirror))])
    a_school(place, *[make.archive(version, file) for version in offered], newest=offered[-1])
    chosen = place.only(mirror=str(mirror))
    assert (chosen.version, chosen.newer) == (taken, "5.1.6")
    assert chosen.installed == ("" if taken == "4.5.13" else "4.5.13")
    # Looking is no installing: what is there is known until it is done.
    assert place.only(mirror=str(mirror)).installed == chosen.installed
    place.school.services["pad"].named = True
    named = place.only(mirror=str(mirror))
    assert (named.version, named.installed, named.newer) == ("5.1.6", "4.5.13", "")


@pytest.mark.parametrize("offered", [["5.1.6"], ["4.5.12", "5.1.6"]])
def test_a_line_that_this_provision_does_not_know_is_left_for_no_other(place, make, mirror, offered):
    file = in_mirror(mirror)
    a_school(place, make.archive("4.5.13", file), newest="4.5.13")
    record_installed(place.workspace, place.school, [place.only(mirror=str(mirror))])
    a_school(place, *[make.archive(version, file) for version in offered], newest="5.1.6")
    chosen, (missing,) = place.select(mirror=str(mirror))
    assert chosen == []
    assert "4.5.13 cannot be installed" in missing.reasons[0]
    assert "Choose another version" in missing.remedy


def test_a_release_that_is_not_offered_any_more_is_not_kept(place, make, mirror):
    place.offer(make.archive("2.0", in_mirror(mirror)))
    record_installed(place.workspace, place.school, [place.only(mirror=str(mirror))])
    place.offer(make.archive("3.0", in_mirror(mirror)))
    assert place.only(mirror=str(mirror)).version == "3.0"


def test_the_mirrors_are_the_commands_the_environments_and_the_municipalitys(
    place, make, tmp_path, monkeypatch
):
    places = {}
    for name in ("command", "environment", "municipality"):
        places[name] = tmp_path / name
        places[name].mkdir()
        in_mirror(places[name])
    place.offer(make.archive("3.0", {"name": "pad-3.tar.gz", "role": "archive"}))
    place.workspace.municipality.mirror = "../municipality"
    assert place.only().files["archive"].parent == places["municipality"]
    monkeypatch.setenv("PROVISION_MIRROR", str(places["environment"]))
    assert place.only().files["archive"].parent == places["environment"]
    assert place.only(mirror=str(places["command"])).files["archive"].parent == places["command"]


def test_the_npm_registry_is_asked_for_the_very_content_that_the_role_pins(place, make, npm):
    asked = answers(npm, make)
    place.offer(make.npm())
    assert place.only().remark == ""
    assert asked.read_text().startswith("view ep_pad@1.0 dist.integrity --json")
    assert place.lock().packages["ep_pad@1.0"].integrity == make.integrity


def test_another_content_in_the_npm_registry_stops_the_run(place, make, npm):
    other = "sha512-" + "B" * 86 + "=="
    answers(npm, make, other)
    place.offer(make.npm())
    with pytest.raises(MismatchError) as caught:
        place.select()
    assert make.integrity in caught.value.message
    assert other in caught.value.message


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("echo npm error code E404 >&2; exit 1", "does not have ep_pad@1.0"),
        ("exit 0", "does not have ep_pad@1.0"),
        ("echo npm error code ENOTFOUND >&2; exit 1", "cannot be reached"),
    ],
)
def test_a_registry_without_the_package_is_told_from_one_that_is_away(place, make, npm, body, says):
    npm(body)
    place.offer(make.npm())
    _, (missing,) = place.select()
    assert says in missing.reasons[0]


def test_without_npm_on_this_machine_the_package_is_taken_for_available_and_said_to_be_unchecked(
    place, make, tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    place.offer(make.npm())
    assert place.only().remark == "not checked: npm is not installed on this machine"


@pytest.mark.parametrize(
    ("lock", "says"),
    [
        ("{}", "does not pin ep_pad"),
        ('{"packages": {"node_modules/ep_pad": {"version": "2.0", "integrity": "x"}}}', "pins ep_pad 2.0"),
    ],
)
def test_a_role_whose_npm_lock_does_not_fit_its_release_is_an_error(place, make, npm, lock, says):
    answers(npm, make)
    (place.workspace.path / "roles" / "pad" / "files" / "package-lock.json").write_text(lock)
    place.offer(make.npm())
    with pytest.raises(ArtifactError, match=says):
        place.select()


def test_another_signing_key_than_the_recorded_one_stops_the_run(place, web, key):
    web.pages["/apt/dists/stable/InRelease"] = IN_RELEASE
    place.offer(apt(web, key))
    place.only()
    text = place.workspace.lock_file.read_text()
    place.workspace.lock_file.write_text(text.replace(key[1], "F" * 40))
    with pytest.raises(MismatchError, match="F" * 40) as caught:
        place.select()
    assert "--accept pad/pad" in caught.value.remedy


def test_servers_that_do_not_answer_are_asked_all_at_once(place, make, web, monkeypatch):
    waiting = []

    def silent(handler) -> None:
        waiting.append(handler.path)
        while len(waiting) < 6:
            time.sleep(0.01)
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    files = []
    for number in range(6):
        # Each answers only when all six have been asked.
        web.pages[f"/{number}.tar"] = silent
        files.append({"name": f"{number}.tar", "role": f"r{number}", "url": f"{web.url}{number}.tar"})
    place.offer(make.archive("3.0", *files))
    chosen, (missing,) = place.select()
    assert chosen == []
    assert len(waiting) == 6
    # They can be had; what fails is fetching a file without protection and without a checksum.
    assert "is not protected" in missing.reasons[0]


def test_a_new_school_gets_no_release_past_its_end_of_life_without_an_explicit_word(place, make, mirror):
    place.workspace.municipality.lab = False
    file = in_mirror(mirror)
    old = {**make.archive("2.0", file), "end_of_life": "2020-01-31"}
    new = make.archive("3.0", file)
    place.offer(old, new, version="2.0")
    chosen, unavailable = place.select(mirror=str(mirror))
    assert chosen == []
    assert unavailable[0].reasons == ("2.0: upstream's support ended on 2020-01-31",)
    assert unavailable[0].remedy == (
        "Choose 3.0, or write accept_end_of_life: true beside it in escola-mar.yml."
    )
    place.offer(old, new, version="2.0", accept_end_of_life=True)
    assert place.only(mirror=str(mirror)).version == "2.0"


def test_a_release_on_request_is_taken_only_when_it_is_named(place, make, mirror):
    file = in_mirror(mirror)
    newest = {**make.archive("4.0", file), "on_request": True}
    place.offer(newest, make.archive("3.0", file))
    assert place.only(mirror=str(mirror)).version == "3.0"
    place.offer(newest, make.archive("3.0", file), version="4.0")
    assert place.only(mirror=str(mirror)).version == "4.0"


def test_a_school_that_runs_a_release_past_its_end_of_life_keeps_it(place, make, mirror):
    place.workspace.municipality.lab = False
    release = make.archive("2.0", in_mirror(mirror))
    place.offer(release, version="2.0")
    record_installed(place.workspace, place.school, [place.only(mirror=str(mirror))])
    place.offer({**release, "end_of_life": "2020-01-31"}, version="2.0")
    kept = place.only(mirror=str(mirror))
    assert (kept.version, kept.ended) == ("2.0", "2020-01-31")


def with_languages(make, mirror):
    release = make.archive("3.0", in_mirror(mirror))
    release["sources"][0]["languages"] = {"ca": "pack-3-ca.zip", "es": "pack-3-es.zip"}
    return release


def test_the_pack_of_a_schools_language_is_held_by_the_lock_like_any_file(place, make, mirror):
    place.offer(with_languages(make, mirror))
    in_mirror(mirror, "pack-3-ca.zip", b"programs in Catalan")
    in_mirror(mirror, "pack-3-es.zip", b"programs in Spanish")
    chosen = place.only(mirror=str(mirror))
    sha256 = hashlib.sha256(b"programs in Catalan").hexdigest()
    assert (chosen.files["language"].name, chosen.checksums["language"]) == ("pack-3-ca.zip", sha256)
    assert place.lock().files["pack-3-ca.zip"].sha256 == sha256
    # Another school's is not asked for.
    assert "pack-3-es.zip" not in place.lock().files
    in_mirror(mirror, "pack-3-ca.zip", b"programs of somebody else")
    with pytest.raises(MismatchError, match="pack-3-ca"):
        place.select(mirror=str(mirror))


def test_a_pack_that_nobody_has_is_done_without(place, make, mirror):
    place.offer(with_languages(make, mirror))
    chosen = place.only(mirror=str(mirror))
    assert set(chosen.files) == set(chosen.checksums) == {"archive"}
    assert chosen.remark == ""
    # It comes later, to a school that has the release already.
    record_installed(place.workspace, place.school, [chosen])
    in_mirror(mirror, "pack-3-ca.zip", b"programs in Catalan")
    assert "language" in place.only(mirror=str(mirror)).files


# --- a look that fetches nothing and writes nothing ------------------------------------------------------------------


def test_a_look_asks_each_address_once_for_all_schools_and_fetches_nothing(place, web, make):
    web.pages["/pad-1.tar"] = b"pad"
    place.offer(make.archive("1", {"name": "pad-1.tar", "role": "archive", "url": f"{web.url}pad-1.tar"}))
    known = Known(place.workspace)
    for _ in range(3):
        chosen, unavailable, wrong = look_up(place.workspace, place.school, known=known)
        assert (chosen[0].version, chosen[0].files, unavailable, wrong) == ("1", {}, [], [])
    assert len(web.asked) == 1
    assert not place.workspace.lock_file.exists()
    assert not place.workspace.state_dir.exists()
    assert not place.cache.exists()


def test_a_look_asks_nobody_for_an_archive_that_is_installed(place, web, make):
    place.offer(make.archive("1", {"name": "pad-1.tar", "role": "archive", "url": f"{web.url}pad-1.tar"}))
    with lockfile.LockFile.edit(place.workspace.lock_file, place.workspace.state_dir) as lock:
        lock.choices["escola-mar"] = {"pad": lockfile.Choice(version="1", kind="archive", installed=True)}
    chosen, unavailable, wrong = look_up(place.workspace, place.school)
    assert (chosen[0].version, unavailable, wrong, web.asked) == ("1", [], [], [])


def test_a_look_gives_what_is_wrong_with_one_service_beside_the_others(place, mirror, make):
    (mirror / "pad-1.tar").write_bytes(b"another")
    pinned = make.sha256(b"pad")
    place.offer(make.archive("1", {"name": "pad-1.tar", "role": "archive", "sha256": pinned}))
    chosen, unavailable, wrong = look_up(place.workspace, place.school, mirror=str(mirror))
    assert (chosen, unavailable, wrong[0].service) == ([], [], "pad")
    assert pinned in wrong[0].error.message
