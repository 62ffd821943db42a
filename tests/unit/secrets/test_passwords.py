"""Vault passwords: four places in a fixed order, and none that others can read."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keyring
import pytest
from keyring.backends import fail, null

from provision.errors import SecretsError
from provision.secrets import VaultPasswords, client
from provision.secrets.passwords import UnknownVaultError

CLIENT = Path(sys.executable).with_name("provision-vault-client")


def program(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def vault_password(workspace, vault_id: str) -> str:
    return VaultPasswords.of(workspace).get(vault_id).password


def name_client(place, path: Path) -> None:
    place.workspace.municipality.vault = SimpleNamespace(client=path, keys=None)


def key(place, text: str = "from-key") -> Path:
    path = place.keys / "escola-mar.key"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_the_places_are_asked_in_order(place, memory_keyring, monkeypatch):
    memory_keyring.set_password("provision:vila", "escola-mar", "from-keyring")
    assert vault_password(place.workspace, "escola-mar") == "from-keyring"
    key(place)
    monkeypatch.setenv("PROVISION_VAULT_PASSWORD_FILE", str(place.keys))
    assert vault_password(place.workspace, "escola-mar") == "from-key"
    monkeypatch.setenv(
        "PROVISION_VAULT_CLIENT", str(program(place.keys / "a-client", "echo from-env-client"))
    )
    assert vault_password(place.workspace, "escola-mar") == "from-env-client"
    program(place.workspace.path / "b-client", "echo from-own-client")
    name_client(place, Path("b-client"))
    assert vault_password(place.workspace, "escola-mar") == "from-own-client"


def test_a_client_that_does_not_know_the_id_lets_the_next_place_answer(place, monkeypatch):
    key(place)
    monkeypatch.setenv("PROVISION_VAULT_CLIENT", str(program(place.keys / "a-client", "exit 2")))
    assert vault_password(place.workspace, "escola-mar") == "from-key"


def test_a_client_is_asked_in_ansibles_protocol(place):
    name_client(place, program(place.workspace.path / "c", 'echo "$# $1 $2"'))
    assert vault_password(place.workspace, "escola-mar") == "2 --vault-id escola-mar"


@pytest.mark.parametrize(
    ("body", "says"),
    [("echo no card >&2; exit 1", "ended with code 1: no card"), ("exit 0", "printed no password")],
)
def test_a_client_that_fails_stops_everything_with_its_own_words(place, body, says):
    key(place)
    name_client(place, program(place.workspace.path / "c", body))
    with pytest.raises(SecretsError, match=says) as caught:
        vault_password(place.workspace, "escola-mar")
    assert "--vault-id escola-mar" in caught.value.remedy


def test_a_client_that_cannot_be_started_is_named(place):
    name_client(place, Path("absent"))
    with pytest.raises(SecretsError, match=r"absent.*cannot be started") as caught:
        vault_password(place.workspace, "escola-mar")
    assert "chmod +x" in caught.value.remedy


def test_our_own_client_as_the_client_does_not_ask_itself_for_ever(place, monkeypatch):
    monkeypatch.setenv("PROVISION_VAULT_CLIENT", str(CLIENT))
    monkeypatch.setenv("PROVISION_WORKSPACE", str(place.workspace.path))
    with pytest.raises(SecretsError, match="asks provision for the password, and provision asks it"):
        vault_password(place.workspace, "escola-mar")


def test_one_password_file_is_for_every_vault_id(place, monkeypatch):
    path = key(place, "  all the same \n")
    monkeypatch.setenv("PROVISION_VAULT_PASSWORD_FILE", str(path))
    assert vault_password(place.workspace, "escola-mar") == "all the same"
    assert vault_password(place.workspace, "municipality") == "all the same"
    # It says nothing about the school being known, so a new school is still new.
    assert place.ensure() == ["pad_api_key", "pad_admin_password"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(place, mode):
    path = key(place)
    path.chmod(mode)
    with pytest.raises(SecretsError, match="can be read by other users") as caught:
        vault_password(place.workspace, "escola-mar")
    assert f"chmod 600 {path}" in caught.value.remedy


def test_a_key_directory_that_others_can_write_is_refused(place):
    key(place)
    place.keys.chmod(0o777)
    with pytest.raises(SecretsError, match="may put files into") as caught:
        vault_password(place.workspace, "escola-mar")
    assert f"chmod 700 {place.keys}" in caught.value.remedy


def test_an_empty_key_is_refused(place):
    key(place, "\n")
    with pytest.raises(SecretsError, match="is empty"):
        vault_password(place.workspace, "escola-mar")


def test_a_password_file_that_does_not_exist_is_named(place, monkeypatch):
    monkeypatch.setenv("PROVISION_VAULT_PASSWORD_FILE", "/nowhere/keys")
    with pytest.raises(SecretsError, match="/nowhere/keys"):
        vault_password(place.workspace, "escola-mar")


def test_a_workspace_may_have_a_key_directory_of_its_own(place, memory_keyring):
    place.workspace.municipality.vault = SimpleNamespace(client=None, keys=Path(".state/keys"))
    assert place.store.missing(place.school, place.definitions) != []
    own = place.workspace.path / ".state" / "keys"
    assert not own.exists()
    place.ensure()
    assert own.stat().st_mode & 0o777 == 0o700
    assert (own / "escola-mar.key").stat().st_mode & 0o777 == 0o600
    assert memory_keyring.kept == {}
    assert set(place.store.load("escola-mar")) == {"pad_api_key", "pad_admin_password"}


def test_the_environments_key_directory_comes_before_the_workspaces(place):
    place.workspace.municipality.vault = SimpleNamespace(client=None, keys=Path("keys"))
    own = place.workspace.path / "keys"
    own.mkdir(mode=0o700)
    (own / "escola-mar.key").write_text("own")
    (own / "escola-mar.key").chmod(0o600)
    assert vault_password(place.workspace, "escola-mar") == "own"
    key(place)
    assert vault_password(place.workspace, "escola-mar") == "from-key"


def test_a_new_school_puts_its_password_into_the_keyring(place, memory_keyring):
    place.ensure()
    assert set(memory_keyring.kept) == {("provision:vila", "escola-mar")}
    assert set(place.store.load("escola-mar")) == {"pad_api_key", "pad_admin_password"}


def test_a_password_is_taken_back_from_the_keyring_when_the_vault_file_cannot_be_written(
    place, memory_keyring
):
    place.workspace.secrets_dir.write_text("a file where the directory should be")
    with pytest.raises(SecretsError, match="cannot be written"):
        place.ensure()
    assert memory_keyring.kept == {}


@pytest.mark.parametrize("ring", [fail.Keyring, null.Keyring])
def test_without_a_place_for_a_new_password_nothing_is_written(place, monkeypatch, ring):
    monkeypatch.delenv("PROVISION_VAULT_PASSWORD_FILE")
    keyring.set_keyring(ring())
    with pytest.raises(SecretsError, match="no place for the vault password") as caught:
        place.ensure()
    assert "PROVISION_VAULT_PASSWORD_FILE" in caught.value.remedy
    assert not place.workspace.secrets_dir.exists()


def test_a_new_school_with_a_client_that_does_not_know_it_asks_for_the_password_there(place):
    name_client(place, program(place.workspace.path / "c", "exit 2"))
    with pytest.raises(SecretsError, match="does not know “escola-mar”"):
        place.ensure()
    assert not place.workspace.secrets_dir.exists()
    assert not (place.keys / "escola-mar.key").exists()


def test_an_unknown_vault_id_says_where_was_looked(place):
    with pytest.raises(UnknownVaultError, match="has no key for it, this system has no keyring"):
        vault_password(place.workspace, "escola-mar")


def run_client(place, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CLIENT, *arguments],
        env={**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring", **environment},
        cwd=place.workspace.path / "schools",
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def inside(place):
    (place.workspace.path / "schools").mkdir()
    return place


def test_the_client_prints_the_password_and_nothing_else(inside):
    key(inside)
    done = run_client(inside, "--vault-id", "escola-mar")
    assert (done.returncode, done.stdout, done.stderr) == (0, "from-key\n", "")


def test_the_client_takes_the_workspace_from_the_environment(inside, tmp_path):
    key(inside)
    done = run_client(inside, "--vault-id", "escola-mar", PROVISION_WORKSPACE=str(tmp_path))
    assert done.returncode == 1
    assert str(tmp_path / "municipality.yml") in done.stderr


def test_the_client_ends_with_two_for_an_unknown_id_as_ansible_expects(inside):
    done = run_client(inside, "--vault-id", "escola-lluna")
    assert (done.returncode, done.stdout) == (2, "")
    assert "escola-lluna" in done.stderr


def test_the_client_ends_with_one_for_a_key_that_others_can_read(inside):
    key(inside).chmod(0o644)
    done = run_client(inside, "--vault-id", "escola-mar")
    assert (done.returncode, done.stdout) == (1, "")
    assert "chmod 600" in done.stderr


def test_the_client_asks_the_workspaces_own_program(inside):
    program(inside.workspace.path / "own-client", "echo from-own-client")
    (inside.workspace.path / "municipality.yml").write_text("id: vila\nvault:\n  client: own-client\n")
    assert run_client(inside, "--vault-id", "x").stdout == "from-own-client\n"


def test_the_client_asks_no_program_of_a_workspace_that_another_user_put_above_us(
    inside, monkeypatch, capsys
):
    program(inside.workspace.path / "own-client", "touch started; echo password")
    (inside.workspace.path / "municipality.yml").write_text("id: vila\nvault:\n  client: own-client\n")
    real = Path.stat

    def stat(self, *, follow_symlinks=True):
        fields = list(real(self, follow_symlinks=follow_symlinks))
        if self.name == "municipality.yml":
            fields[4] = 4242
        return os.stat_result(fields)

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.delenv("PROVISION_WORKSPACE", raising=False)
    monkeypatch.chdir(inside.workspace.path)
    monkeypatch.setattr(sys, "argv", ["provision-vault-client", "--vault-id", "escola-mar"])
    with pytest.raises(SystemExit) as caught:
        client.main()
    said = capsys.readouterr()
    assert (caught.value.code, said.out) == (1, "")
    assert "belongs to another user" in said.err
    assert not (inside.workspace.path / "started").exists()


def test_the_client_starts_without_loading_what_it_does_not_need(inside):
    # Ansible starts it in each run, once for each vault id.
    key(inside)
    heavy = "{'pydantic', 'ansible', 'keyring', 'provision.model', 'cryptography'}"
    code = (
        "import sys; sys.argv = ['c', '--vault-id', 'escola-mar']\n"
        "from provision.secrets.client import main\n"
        "try: main()\n"
        f"except SystemExit: print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=inside.workspace.path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "from-key\n[]\n"


def test_the_client_finds_the_workspaces_own_keys(inside):
    (inside.workspace.path / "municipality.yml").write_text("id: vila\nvault:\n  keys: k\n")
    own = inside.workspace.path / "k"
    own.mkdir(mode=0o700)
    (own / "escola-mar.key").write_text("own")
    (own / "escola-mar.key").chmod(0o600)
    assert run_client(inside, "--vault-id", "escola-mar").stdout == "own\n"


def test_a_found_password_does_not_show_itself_in_messages(place):
    path = key(place, "canary-value")
    found = VaultPasswords.of(place.workspace).get("escola-mar")
    assert "canary" not in repr(found)
    assert found.origin == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
