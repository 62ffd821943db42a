"""A workspace as a whole: found, read, checked, and with every default filled in."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision import paths
from provision.errors import ConfigurationError, Problem, UsageError
from provision.model import Workspace, find_workspace, load_workspace
from provision.model.catalog import version_key
from provision.model.document import split_lines

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
ROLE_FILES = ("service.yml", "meta/argument_specs.yml", "meta/renamed.yml", "defaults/main.yml")
Write = Callable[[str, object], Path]
Problems = Callable[[], list[Problem]]
Load = Callable[[], Workspace]

SCHOOL: dict[str, Any] = {
    "schema": 1,
    "name": "Escola del Mar",
    "domain": "escola-mar.example",
    "hosts": {"main": {"address": "192.0.2.20"}},
    "services": {"wiki": {"hostname": "docs.escola-mar.example"}},
}


def school(**changes: Any) -> dict[str, Any]:
    return {**SCHOOL, **changes}


def city(place: Path, **changes: Any) -> None:
    file = place / "municipality.yml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **changes}))


def codes(found: list[Problem]) -> list[str]:
    return [problem.code for problem in found]


def test_a_school_gets_the_defaults_of_the_municipality(place: Path, load: Load) -> None:
    city(
        place,
        defaults={
            "locale": "es_ES.UTF-8",
            "ssh_user": "tic",
            "ssh_port": 2222,
            "ssh_key": "k/id",
            "system": "debian-13",
        },
    )
    found = load().school("escola-pi")
    host = found.hosts["main"]
    assert (found.locale, found.timezone, found.tls.mode) == ("es_ES.UTF-8", "Europe/Madrid", "acme")
    assert (host.user, host.port, host.system) == ("tic", 2222, "debian-13")
    assert host.ssh_key == place / "k/id"


def test_a_citys_copy_takes_the_place_of_upstreams_package_repository(place: Path) -> None:
    def repositories() -> dict[str, Any]:
        entries = load_workspace(place, paths.ROLES).catalog.values()
        return {item.name: item for entry in entries for item in entry.repositories()}

    upstream = repositories()
    faithful = {"uri": "https://copies.vilaprova.example/nodesource"}
    anew = {
        "uri": "http://copies.vilaprova.example/jitsi",
        "key_url": "https://copies.vilaprova.example/key.asc",
        "fingerprint": "A" * 40,
    }
    city(place, repositories={"nodesource": faithful, "jitsi": anew})
    found = repositories()
    assert found["etherpad"] == upstream["etherpad"]
    # What upstream signed needs no other key.
    assert found["nodesource"] == upstream["nodesource"].model_copy(update=faithful)
    assert found["jitsi"] == upstream["jitsi"].model_copy(update={**anew, "key": "jitsi-copy.asc"})


def test_what_a_school_says_itself_wins(place: Path, write: Write, load: Load) -> None:
    write(
        "schools/escola-mar.yml",
        school(
            timezone="Atlantic/Canary",
            tls={"mode": "internal"},
            hosts={"main": {"address": "2001:DB8::20", "user": "root", "port": 22, "system": "debian-13"}},
        ),
    )
    city(place, defaults={"ssh_user": "tic", "ssh_port": 2222})
    found = load().school("escola-mar")
    host = found.hosts["main"]
    assert (found.timezone, found.tls.mode) == ("Atlantic/Canary", "internal")
    assert (host.address, host.user, host.port, host.system) == ("2001:db8::20", "root", 22, "debian-13")


def test_a_service_gets_the_newest_release_that_is_fit_for_a_school(load: Load) -> None:
    service = load().school("escola-pi").services["wiki"]
    assert service.version == "3.10"
    assert service.host == "main"


def test_in_a_lab_the_release_is_left_open_until_its_sources_are_asked(place: Path, load: Load) -> None:
    city(place, lab=True)
    assert load().school("escola-pi").services["wiki"].version is None


def test_in_a_lab_a_release_for_the_lab_may_be_named(place: Path, write: Write, load: Load) -> None:
    city(place, lab=True)
    wiki = {"hostname": "docs.escola-mar.example", "version": "4.0"}
    write("schools/escola-mar.yml", school(services={"wiki": wiki}))
    assert load().school("escola-mar").services["wiki"].version == "4.0"


def test_settings_are_the_defaults_of_the_role_with_those_of_the_school_over_them(
    write: Write, load: Load
) -> None:
    wiki = {"hostname": "docs.escola-mar.example", "settings": {"open": True, "banner": None}}
    write("schools/escola-mar.yml", school(services={"wiki": wiki}))
    found = load().school("escola-mar").services["wiki"].settings
    assert found["open"] is True
    assert found["title"] == "Wiki"
    assert found["max_upload_mb"] == 10
    assert not any(name.startswith("wiki_") for name in found)
    assert "token" not in found


def test_an_old_release_is_allowed_and_noted(write: Write, load: Load) -> None:
    wiki = {"hostname": "docs.escola-mar.example", "version": "3.9"}
    write("schools/escola-mar.yml", school(services={"wiki": wiki}))
    workspace = load()
    assert codes(list(workspace.notes)) == ["end-of-life"]
    assert workspace.notes[0].message == "wiki 3.9: upstream's support has ended (2024-06-30)."


def test_a_key_file_that_is_on_another_computer_is_a_note(write: Write, load: Load) -> None:
    write("schools/escola-mar.yml", school(hosts={"main": {"address": "192.0.2.20", "ssh_key": "keys/no"}}))
    assert codes(list(load().notes)) == ["no-key-file"]


def test_the_same_private_address_behind_two_jump_hosts_is_two_servers(
    write: Write, problems: Problems
) -> None:
    for name in ("un", "dos"):
        host = {"address": "10.0.0.2", "jump": f"pont-{name}.example.org"}
        write(f"schools/{name}.yml", school(domain=f"{name}.example", hosts={"main": host}, services={}))
    assert problems() == []


def test_the_file_name_is_the_id_and_must_be_one(write: Write, problems: Problems) -> None:
    write("schools/Escola Mar.yml", school())
    write(
        "schools/municipality.yml",
        school(domain="m.example", hosts={"main": {"address": "192.0.2.9"}}, services={}),
    )
    write(
        "schools/port.yaml", school(domain="p.example", hosts={"main": {"address": "192.0.2.8"}}, services={})
    )
    found = problems()
    assert codes(found) == ["bad-id"] * 3
    assert 'Rename it to "escola-mar.yml".' in [problem.remedy for problem in found]


def test_a_file_name_with_a_line_break_in_it_is_no_id(write: Write, problems: Problems) -> None:
    write("schools/escola-mar\n.yml", school())
    assert codes(problems()) == ["bad-id"]


@pytest.mark.parametrize("other", ["Escola-Pi.yml", "escola-pi.yaml", "ESCOLA-PI.YML"])
def test_ids_that_differ_only_by_case_or_ending_are_duplicates(
    other: str, write: Write, problems: Problems
) -> None:
    write(f"schools/{other}", "not even read")
    found = problems()
    assert codes(found) == ["duplicate-id"]
    assert found[0].file is not None
    assert found[0].file.name == other
    assert '"escola-pi.yml"' in found[0].message


def test_hidden_and_other_files_beside_the_schools_are_left_alone(write: Write, problems: Problems) -> None:
    for name in (".escola-pi.yml.swp", "escola-pi.yml~", "README.md", ".hidden.yml", "old.d/escola.yml"):
        write(f"schools/{name}", "{{ nonsense")
    assert problems() == []


def test_all_problems_of_all_files_come_at_once(place: Path, write: Write, problems: Problems) -> None:
    city(place, languages=["xx"])
    write("schools/un.yml", "name: [")
    write("schools/dos.yml", school(domain="nope"))
    write("roles/chat/service.yml", "schema: 1\nid: chat\n")
    files = {problem.file.name for problem in problems() if problem.file}
    assert files == {"municipality.yml", "un.yml", "dos.yml", "service.yml"}


def test_a_broken_municipality_does_not_hide_what_is_wrong_with_the_schools(
    write: Write, problems: Problems
) -> None:
    write("municipality.yml", "name: [")
    write("schools/dos.yml", school(services={"wikki": {"hostname": "docs.escola-pi.example"}}))
    assert codes(problems()) == ["broken-yaml", "unknown-service", "duplicate-hostname"]


def test_a_missing_municipality_file_is_named(place: Path, problems: Problems) -> None:
    (place / "municipality.yml").unlink()
    found = problems()
    assert codes(found) == ["unreadable"]
    assert found[0].message == "This file does not exist."


def test_a_workspace_without_schools_is_right(place: Path, load: Load) -> None:
    (place / "schools" / "escola-pi.yml").unlink()
    (place / "schools").rmdir()
    workspace = load()
    assert workspace.schools == {}
    with pytest.raises(UsageError) as caught:
        workspace.school("escola-pi")
    assert caught.value.remedy == "There is no school yet: provision school add ID"


def test_a_school_that_does_not_exist_is_guessed(load: Load) -> None:
    with pytest.raises(UsageError) as caught:
        load().school("escola-py")
    assert caught.value.remedy == 'Did you mean "escola-pi"?'


def test_a_sixth_service_is_one_directory_in_the_workspace(write: Write, load: Load) -> None:
    definition = {
        "schema": 1,
        "id": "hello",
        "title": {"ca": "Hola", "es": "Hola", "en": "Hello"},
        "systems": ["debian-12"],
        "resources": {"memory_mb": 1, "disk_mb": 1},
        "releases": [{"version": "1", "sources": [{"kind": "apt", "packages": ["hello"]}]}],
    }
    write("roles/hello/service.yml", definition)
    write("schools/escola-mar.yml", school(services={"hello": {"hostname": "hola.escola-mar.example"}}))
    assert load().school("escola-mar").services["hello"].version == "1"


def test_a_way_out_names_a_setting_that_the_role_has(place: Path, write: Write, problems: Problems) -> None:
    definition = yaml.safe_load((place / "roles/wiki/service.yml").read_text())
    for setting, expected in (("max_upload_mb", []), ("max_uplaod_mb", ["unknown-setting"])):
        way_out = {"to": "example.org", "why": "Pictures.", "when": setting}
        write("roles/wiki/service.yml", {**definition, "outbound": [way_out]})
        assert codes(problems()) == expected


def test_a_service_that_is_described_twice_is_refused(place: Path, tmp_path: Path) -> None:
    other = tmp_path / "more" / "chat"
    other.mkdir(parents=True)
    (other / "service.yml").write_text((place / "roles" / "chat" / "service.yml").read_text())
    with pytest.raises(ConfigurationError) as caught:
        load_workspace(place, [tmp_path / "more"])
    assert codes(list(caught.value.problems)) == ["duplicate-service"]


def test_defaults_of_a_service_are_plain_values(write: Write, problems: Problems) -> None:
    write("roles/wiki/defaults/main.yml", "wiki_title: '{{ inventory_hostname }}'\nwiki_max_upload_mb: 3\n")
    found = problems()
    assert codes(found) == ["template"]
    assert found[0].line == 1


def test_versions_are_sorted_as_people_do() -> None:
    versions = ["4.0", "3.10", "4.0~rc1", "3.9", "3.9.1", "10", "4.0.1"]
    assert sorted(versions, key=version_key) == ["3.9", "3.9.1", "3.10", "4.0~rc1", "4.0", "4.0.1", "10"]


def test_the_shipped_inventories_are_right() -> None:
    demo = load_workspace(paths.DEMO_INVENTORY)
    assert demo.municipality.lab
    assert demo.school("escola-demo").hosts["main"].address == "escola-demo.lab.test"
    example = load_workspace(paths.ROOT / "inventories" / "example")
    assert len(example.schools) == 3
    assert not example.notes


def test_a_workspace_is_found_by_name_environment_place_and_inventories(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PROVISION_WORKSPACE", raising=False)
    assert find_workspace(place) == place
    assert find_workspace(place / "municipality.yml") == place
    monkeypatch.chdir(place / "schools")
    assert find_workspace() == place
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no workspace here"):
        find_workspace()
    (tmp_path / "inventories").mkdir()
    place.rename(tmp_path / "inventories" / "un")
    assert find_workspace() == tmp_path / "inventories" / "un"
    (tmp_path / "inventories" / "dos").mkdir()
    (tmp_path / "inventories" / "dos" / "municipality.yml").touch()
    with pytest.raises(UsageError, match=r"inventories/dos, inventories/un"):
        find_workspace()
    monkeypatch.setenv("PROVISION_WORKSPACE", str(tmp_path / "inventories" / "dos"))
    assert find_workspace().name == "dos"
    assert find_workspace(tmp_path / "inventories" / "un").name == "un"


@pytest.mark.parametrize("rule", ["/keys/", "keys", "*.key", "/keys/*"])
def test_vault_keys_that_git_would_take_along_are_refused_until_it_leaves_them_out(
    rule: str, place: Path, write: Write, problems: Problems
) -> None:
    city(place, vault={"keys": "keys"})
    assert problems() == []
    subprocess.run(["git", "init", "--quiet", str(place)], check=True)
    found = problems()
    assert codes(found) == ["keys-in-git"]
    assert found[0].remedy.startswith(f'Add the line "/keys/" to {place.name}/.gitignore')
    write(".gitignore", f"{rule}\n")
    assert problems() == []


@pytest.mark.parametrize("keys", [".state/keys", "../keys", "~/keys"])
def test_vault_keys_of_this_machine_alone_and_outside_of_the_workspace_are_right(
    keys: str, place: Path, problems: Problems
) -> None:
    city(place, vault={"keys": keys})
    subprocess.run(["git", "init", "--quiet", str(place)], check=True)
    assert problems() == []


OPERATOR = {
    "login": "mireia",
    "name": "Mireia Pons",
    "ssh_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f mireia"],
}


@pytest.mark.parametrize("default", [True, False])
def test_an_operator_is_not_whom_a_host_needs_a_sudo_password_of(
    default: bool, place: Path, write: Write, problems: Problems
) -> None:
    city(place, operators=[OPERATOR], defaults={"ssh_user": "mireia"} if default else {})
    host = {"address": "192.0.2.20", "become_password": True, **({} if default else {"user": "mireia"})}
    write("schools/escola-mar.yml", school(hosts={"main": host}))
    found = problems()
    assert codes(found) == ["operator-with-password"]
    assert found[0].file is not None
    assert found[0].file.name == "escola-mar.yml"
    write("schools/escola-mar.yml", school(hosts={"main": {**host, "user": "tecnic"}}))
    assert problems() == []
    write("schools/escola-mar.yml", school(hosts={"main": {**host, "become_password": False}}))
    assert problems() == []


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes a place belong to another user, as far as anybody can see, and us somebody who is not root."""
    theirs: set[str] = set()
    real = Path.stat

    def stat(self: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = real(self, follow_symlinks=follow_symlinks)
        seen = os.path.realpath(self) if follow_symlinks else str(self)
        fields = list(found)
        fields[4] = 4242 if seen in theirs else 1000
        return os.stat_result(fields)

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.delenv("PROVISION_WORKSPACE", raising=False)
    monkeypatch.setattr(Path, "stat", stat)
    return lambda place: theirs.add(str(place))


@pytest.mark.parametrize("part", [".", "municipality.yml"])
def test_a_workspace_of_another_user_is_used_only_when_it_is_named(
    part: str,
    place: Path,
    tmp_path: Path,
    stranger: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(place / "schools")
    assert find_workspace() == place
    stranger(place / part)
    with pytest.raises(UsageError, match="belongs to another user") as caught:
        find_workspace()
    assert f"--workspace {place}" in caught.value.remedy
    assert find_workspace(place) == place
    monkeypatch.setenv("PROVISION_WORKSPACE", str(place))
    assert find_workspace() == place
    monkeypatch.delenv("PROVISION_WORKSPACE")
    monkeypatch.setenv("SUDO_UID", "4242")
    assert find_workspace() == place


def test_the_only_workspace_under_inventories_must_be_ours_too(
    place: Path, tmp_path: Path, stranger: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inventories").mkdir()
    found = place.rename(tmp_path / "inventories" / "un")
    monkeypatch.chdir(tmp_path)
    assert find_workspace() == found
    stranger(found)
    with pytest.raises(UsageError, match="belongs to another user"):
        find_workspace()


def test_a_link_that_another_user_made_to_our_own_file_does_not_make_it_our_workspace(
    place: Path, tmp_path: Path, stranger: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "municipality.yml").symlink_to(place / "municipality.yml")
    monkeypatch.chdir(shared)
    assert find_workspace() == shared
    stranger(shared / "municipality.yml")
    with pytest.raises(UsageError, match="belongs to another user"):
        find_workspace()


def test_a_directory_that_is_no_workspace_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_workspace(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert caught.value.remedy == f"Make one: provision init {tmp_path}"


WORDS = """
schema name domain hosts main address services wiki chat hostname settings port tls mode acme provided
version system debian-12 a.example 192.0.2.1 host contact email operators login ssh_keys languages defaults
open limits editors releases sources kind apt probes type str list dict elements options choices description
required default
"""
words = st.sampled_from(WORDS.split())
leaves = (
    words
    | st.none()
    | st.booleans()
    | st.integers(-1, 70000)
    | st.floats()
    | st.dates()
    | st.text(max_size=8)
)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=6),
    max_leaves=25,
)


def mangled() -> st.SearchStrategy[dict[str, Any]]:
    """A good school of which some parts are something else."""
    return st.dictionaries(words, trees, max_size=3).map(lambda changes: {**SCHOOL, **changes})


def check_total(place: Path) -> None:
    try:
        load_workspace(place, ())
    except ConfigurationError as error:
        assert error.problems
        for problem in error.problems:
            assert problem.file is not None
            assert problem.message
            lines = split_lines(problem.file.read_bytes().decode("utf-8-sig", "replace"))
            assert 1 <= problem.line <= max(1, len(lines))


# Each example overwrites the one before, so that one copy of the workspace serves them all.
lenient = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)


@lenient
@given(
    content=st.binary(max_size=300)
    | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_any_content_of_a_school_file_is_read_or_refused_with_a_place(content: bytes, place: Path) -> None:
    (place / "schools" / "any.yml").write_bytes(content)
    check_total(place)


@lenient
@given(tree=trees | mangled())
def test_any_yaml_in_a_school_file_is_read_or_refused_with_a_place(tree: object, place: Path) -> None:
    (place / "schools" / "any.yml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    check_total(place)


@lenient
@given(tree=trees | st.dictionaries(words, trees, max_size=3))
@pytest.mark.parametrize("name", ["municipality.yml", *(f"roles/wiki/{file}" for file in ROLE_FILES)])
def test_any_yaml_in_the_other_files_is_read_or_refused_with_a_place(
    name: str, tree: object, place: Path
) -> None:
    file = place / name
    good = yaml.safe_load((FIXTURES / name if "roles" in name else FIXTURES / "workspace" / name).read_text())
    if isinstance(tree, dict):
        tree = {**good, **tree}
    if name.endswith("argument_specs.yml") and isinstance(tree, dict):
        options = {f"wiki_{key}": value for key, value in tree.items()}
        tree = {
            "argument_specs": {"main": {"options": {**options, "wiki_title": tree, "wiki_editors": tree}}}
        }
        wiki = {
            "hostname": "a.example",
            "settings": {"title": "x", "open": True, "editors": [{"login": "x"}]},
        }
        (place / "schools" / "any.yml").write_text(yaml.safe_dump(school(services={"wiki": wiki})))
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    check_total(place)
