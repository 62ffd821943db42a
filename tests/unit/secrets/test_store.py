"""The secrets of a school: generated once, never lost, open to their owner alone."""

import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from provision.errors import SecretsError
from provision.secrets import SecretStore, become_password_name
from provision.secrets.passwords import UNAMBIGUOUS, generate_password

ANSIBLE_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
CLIENT = Path(sys.executable).with_name("provision-vault-client")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_school_gets_what_its_services_declare(place):
    assert place.ensure() == ["pad_api_key", "pad_admin_password"]
    values = place.store.load("escola-mar")
    assert len(values["pad_api_key"]) == 64
    assert set(values["pad_api_key"]) <= set("0123456789abcdef")
    assert len(values["pad_admin_password"]) == 24
    assert set(values["pad_admin_password"]) <= set(UNAMBIGUOUS)


def test_a_second_ensure_changes_nothing(place):
    place.ensure()
    before = place.vault.read_bytes()
    assert place.ensure() == []
    assert place.vault.read_bytes() == before


def test_ensure_keeps_what_is_there_and_adds_what_is_missing(place):
    place.store.set("escola-mar", "pad_api_key", "from the old server")
    place.store.set("escola-mar", "own_note", "kept")
    assert place.ensure() == ["pad_admin_password"]
    values = place.store.load("escola-mar")
    assert (values["pad_api_key"], values["own_note"]) == ("from the old server", "kept")


def test_missing_names_what_ensure_would_generate_and_writes_nothing(place):
    assert place.store.missing(place.school, place.definitions) == ["pad_api_key", "pad_admin_password"]
    assert not place.workspace.secrets_dir.exists()
    assert list(place.keys.iterdir()) == []


def test_passwords_have_no_signs_that_look_alike():
    assert not set(generate_password(4000)) & set("0O1lI")


def test_two_schools_share_no_secret_and_no_password(place):
    place.ensure()
    first = place.store.load("escola-mar")
    place.school.id = "escola-bosc"
    place.ensure()
    second = place.store.load("escola-bosc")
    assert not set(first.values()) & set(second.values())
    assert (place.keys / "escola-mar.key").read_text() != (place.keys / "escola-bosc.key").read_text()


def test_files_with_secrets_are_closed_to_others(place):
    place.ensure()
    assert mode(place.workspace.secrets_dir) == 0o700
    assert mode(place.vault) == 0o600
    assert mode(place.keys / "escola-mar.key") == 0o600


def test_modes_that_version_control_opened_are_closed_again(place):
    place.ensure()
    place.vault.chmod(0o644)
    place.workspace.secrets_dir.chmod(0o755)
    place.ensure()
    assert (mode(place.workspace.secrets_dir), mode(place.vault)) == (0o700, 0o600)


def test_the_vault_file_holds_no_secret_in_clear(place):
    place.ensure()
    sealed = place.vault.read_text()
    assert sealed.startswith("$ANSIBLE_VAULT;1.2;AES256;escola-mar\n")
    for value in place.store.load("escola-mar").values():
        assert value not in sealed


def test_ansible_reads_every_value_as_it_was_stored(place, tmp_path):
    place.ensure()
    place.store.set("escola-mar", "tricky", "a {{ template }} 'and' \"quotes\" : # ñ")
    place.store.set("escola-mar", "digits", "0123")
    place.store.set("escola-mar", "lines", "one\n  two\nthree\n")
    written = tmp_path / "written.json"
    playbook = tmp_path / "playbook.yml"
    template = (
        "{{ {'tricky': tricky, 'digits': digits, 'lines': lines, 'pad_api_key': pad_api_key} | to_json }}"
    )
    task = {"ansible.builtin.copy": {"dest": str(written), "content": template}}
    play = {"hosts": "localhost", "gather_facts": False, "vars_files": [str(place.vault)], "tasks": [task]}
    playbook.write_text(yaml.safe_dump([{**play, "connection": "local"}]))
    subprocess.run(
        [ANSIBLE_PLAYBOOK, "--vault-id", f"escola-mar@{CLIENT}", playbook],
        env={**os.environ, "PROVISION_WORKSPACE": str(place.workspace.path), "LC_ALL": "C.UTF-8"},
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    values = place.store.load("escola-mar")
    assert json.loads(written.read_text()) == {
        name: values[name] for name in ("tricky", "digits", "lines", "pad_api_key")
    }


def sealed(place, text: str) -> None:
    """A vault file as somebody wrote it by hand."""
    place.ensure()
    place.store.seal("escola-mar", place.vault, text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "own: text\npad_api_key: \"{{ lookup('pipe', 'id') }}\"\n",
        "own: text\ntls_private_keys:\n  site: '{% set x = 1 %}'\n",
        "own: text\n'{{ x }}': y\n",
    ],
)
def test_a_template_that_ansible_would_evaluate_is_refused_with_its_line(place, text):
    sealed(place, text)
    line = 3 if "tls" in text else 2
    with pytest.raises(SecretsError, match=rf"holds a template \(line {line}\)") as caught:
        place.store.load("escola-mar")
    assert "!unsafe" in caught.value.remedy
    assert "lookup" not in str(caught.value)
    place.store.seal("escola-mar", place.vault, b"pad_api_key: !unsafe '{{ no template }}'\n")
    assert place.store.load("escola-mar") == {"pad_api_key": "{{ no template }}"}


def test_what_is_no_secret_is_refused_in_a_vault_file(place):
    place.workspace.catalog = {"pad": SimpleNamespace(definition=place.definitions[0])}
    good = ["pad_api_key", "tls_private_keys", "audit_trail_web_password", "host_video_2_become_password"]
    place.store.check_names("escola-mar", good)
    bad = ["base_operators", "host_x_become_password_", "provision_roles"]
    with pytest.raises(
        SecretsError, match="base_operators, host_x_become_password_, provision_roles"
    ) as caught:
        place.store.check_names("escola-mar", [*bad, *good])
    assert "school file" in caught.value.remedy


@pytest.mark.parametrize(
    "value",
    ["0123", "true", "null", "2026-11-23", "a: b", "", "one\ntwo\nthree\n", "{{ x }}", "ñ€\u2028", "- x"],
)
def test_a_value_comes_back_as_the_text_it_was(place, value):
    place.store.set("escola-mar", "value", value)
    assert place.store.load("escola-mar")["value"] == value


def test_a_wrong_password_names_the_file_and_where_the_password_came_from(place):
    place.ensure()
    (place.keys / "escola-mar.key").write_text("another one")
    with pytest.raises(SecretsError) as caught:
        place.store.load("escola-mar")
    assert str(place.vault) in caught.value.message
    assert str(place.keys / "escola-mar.key") in caught.value.message
    assert "colleague" in caught.value.remedy


def damaged_in_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] = ord("0") if data[len(data) // 2] != ord("0") else ord("1")
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (damaged_in_the_middle, "does not open"),
        (lambda path: path.write_bytes(path.read_bytes()[:-200]), "does not open"),
        (lambda path: path.write_bytes(path.read_bytes()[:38] + b"\nzz zz\n"), "does not open"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("pad_api_key: in clear\n"), "is not encrypted"),
        (
            lambda path: path.write_bytes(b"<<<<<<< HEAD\n" + path.read_bytes() + b"=======\n>>>>>>> x\n"),
            "merge conflict",
        ),
        (
            lambda path: path.write_bytes(path.read_bytes().replace(b";escola-mar", b";escola-bosc", 1)),
            "belongs to “escola-bosc”",
        ),
    ],
    ids=["bit", "cut", "no hex", "empty", "clear", "conflict", "other school's"],
)
def test_a_damaged_vault_file_is_an_error_that_names_the_file_and_never_overwritten(place, damage, says):
    place.ensure()
    damage(place.vault)
    before = place.vault.read_bytes()
    for attempt in (place.ensure, lambda: place.store.load("escola-mar")):
        with pytest.raises(SecretsError) as caught:
            attempt()
        assert says in caught.value.message
        assert str(place.vault) in caught.value.message
        assert caught.value.remedy
    assert place.vault.read_bytes() == before


@pytest.mark.parametrize(
    "inside", ["pad: [canary-value", "- canary-value", "canary-value", "1: canary-value"]
)
def test_an_error_about_what_is_inside_does_not_quote_it(place, inside, monkeypatch):
    monkeypatch.setattr("provision.secrets.store._dump", lambda values: inside.encode())
    place.store.set("escola-mar", "x", "y")
    with pytest.raises(SecretsError) as caught:
        place.store.load("escola-mar")
    assert "canary" not in caught.value.message + caught.value.remedy
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_school_without_a_password_says_where_one_can_be_put(place):
    place.ensure()
    (place.keys / "escola-mar.key").unlink()
    with pytest.raises(SecretsError) as caught:
        place.store.load("escola-mar")
    assert "escola-mar" in caught.value.message
    assert "escola-mar.key" in caught.value.remedy
    assert "provision:vila" in caught.value.remedy


def test_a_lost_vault_file_is_not_taken_for_a_new_school(place):
    place.ensure()
    place.vault.unlink()
    for attempt in (place.ensure, lambda: place.store.load("escola-mar")):
        with pytest.raises(SecretsError, match="has gone, although its vault password is in") as caught:
            attempt()
        assert "git checkout" in caught.value.remedy
        assert "provision secrets rotate escola-mar --all" in caught.value.remedy
    assert not place.vault.exists()


@pytest.mark.parametrize("sign", ["runs/escola-mar/1", "ca/issued/escola-mar/pad.pem"])
def test_a_school_that_has_been_served_is_not_new_even_without_its_password(place, sign):
    path = place.workspace.path / sign
    path.parent.mkdir(parents=True)
    path.write_text("")
    with pytest.raises(SecretsError, match="has gone"):
        place.ensure()


def test_rotate_all_makes_a_lost_vault_file_anew_with_the_same_password(place):
    place.ensure()
    old = place.store.load("escola-mar")
    key = (place.keys / "escola-mar.key").read_text()
    place.vault.unlink()
    assert place.store.rotate_all(place.school) == ["pad_api_key", "pad_admin_password"]
    new = place.store.load("escola-mar")
    assert old.keys() == new.keys()
    assert not set(old.values()) & set(new.values())
    assert (place.keys / "escola-mar.key").read_text() == key


def test_rotate_replaces_one_secret_and_no_other(place):
    place.ensure()
    before = place.store.load("escola-mar")
    place.store.rotate_many(place.school, ["pad_api_key"])
    after = place.store.load("escola-mar")
    assert after["pad_api_key"] != before["pad_api_key"]
    assert len(after["pad_api_key"]) == 64
    assert after["pad_admin_password"] == before["pad_admin_password"]


def test_rotate_of_an_unknown_name_lists_the_known_ones(place):
    place.ensure()
    with pytest.raises(SecretsError, match="no secret “pad_key”") as caught:
        place.store.rotate_many(place.school, ["pad_key"])
    assert "pad_api_key" in caught.value.remedy


def test_what_came_from_outside_cannot_be_rotated(place):
    place.ensure()
    name = become_password_name("main-one")
    assert name == "host_main_one_become_password"
    place.store.set("escola-mar", name, "given by the school")
    with pytest.raises(SecretsError, match="was not generated"):
        place.store.rotate_many(place.school, [name])
    assert place.store.load("escola-mar")[name] == "given by the school"


def test_when_one_of_several_names_is_wrong_nothing_is_rotated(place):
    place.ensure()
    before = place.vault.read_bytes()
    with pytest.raises(SecretsError):
        place.store.rotate_many(place.school, ["pad_api_key", "nonsense"])
    assert place.vault.read_bytes() == before


def test_a_name_that_is_no_variable_is_refused(place):
    with pytest.raises(SecretsError, match="cannot be the name"):
        place.store.set("escola-mar", "two words", "x")


def _add(workspace, number: int) -> None:
    SecretStore(workspace).set("escola-mar", f"secret_{number}", str(number))


def test_processes_that_write_at_the_same_time_lose_nothing(place):
    place.ensure()
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_add, args=(place.workspace, number)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    values = place.store.load("escola-mar")
    assert [values[f"secret_{number}"] for number in range(8)] == [str(number) for number in range(8)]


def _ensure(place) -> None:
    place.ensure()


def test_processes_that_make_the_same_school_at_the_same_time_agree_on_one_password(place):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_ensure, args=(place,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert set(place.store.load("escola-mar")) == {"pad_api_key", "pad_admin_password"}


def _write_with_little_room(place, report) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
    try:
        place.store.set("escola-mar", "large", "x" * 9000)
    except SecretsError as error:
        report.put(error.message)
    else:
        report.put("written")


def test_when_the_disk_is_full_the_old_file_stays_whole(place):
    place.ensure()
    before = place.vault.read_bytes()
    context = multiprocessing.get_context("fork")
    report = context.SimpleQueue()
    process = context.Process(target=_write_with_little_room, args=(place, report))
    process.start()
    process.join()
    assert f"{place.vault} cannot be written" in report.get()
    assert place.vault.read_bytes() == before
    assert [path.name for path in place.workspace.secrets_dir.iterdir()] == ["escola-mar.yml"]


def _ensure_with_little_room(place, report) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
    try:
        place.ensure()
    except SecretsError as error:
        report.put(error.message)
    else:
        report.put("written")


def test_when_the_disk_is_full_a_new_school_is_still_new(place):
    context = multiprocessing.get_context("fork")
    report = context.SimpleQueue()
    process = context.Process(target=_ensure_with_little_room, args=(place, report))
    process.start()
    process.join()
    assert "cannot be written" in report.get()
    assert list(place.keys.iterdir()) == []
    assert place.ensure() == ["pad_api_key", "pad_admin_password"]


def test_what_a_killed_process_left_behind_goes_with_the_next_write(place):
    place.ensure()
    leftover = place.workspace.secrets_dir / ".escola-mar.yml.0123456789ab.tmp"
    leftover.write_text("half")
    place.store.rotate_many(place.school, ["pad_api_key"])
    assert not leftover.exists()


def test_a_vault_file_that_is_a_link_stays_a_link(place, tmp_path):
    place.ensure()
    real = tmp_path / "elsewhere.yml"
    shutil.move(place.vault, real)
    place.vault.symlink_to(real)
    place.store.rotate_many(place.school, ["pad_api_key"])
    assert place.vault.is_symlink()
    assert yaml.safe_load(real.read_text()).startswith("$ANSIBLE_VAULT")


def test_an_error_inside_an_edit_writes_nothing(place):
    place.ensure()
    before = place.vault.read_bytes()
    with pytest.raises(RuntimeError), place.store.edit("escola-mar") as values:
        values["pad_api_key"] = "changed"
        raise RuntimeError
    assert place.vault.read_bytes() == before
