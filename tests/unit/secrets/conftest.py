"""A small workspace on disk, with the parts that the secrets need."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail

from provision.model.service import ServiceDefinition
from provision.secrets import SecretStore

TEXT = {"ca": "Bloc", "es": "Bloc", "en": "Notes"}
PAD_SECRETS = [
    {"name": "pad_api_key", "kind": "hex", "length": 64, "why": "for Moodle"},
    {"name": "pad_admin_password", "length": 24, "why": "first login"},
]


def definition(service: str, secrets: list[dict[str, Any]]) -> ServiceDefinition:
    """A service that wants these secrets."""
    return ServiceDefinition.model_validate(
        {
            "schema": 1,
            "id": service,
            "title": TEXT,
            "systems": ["debian-12"],
            "resources": {"memory_mb": 1, "disk_mb": 1},
            "secrets": secrets,
            "releases": [
                {"version": "1", "sources": [{"kind": "apt", "repositories": [], "packages": [service]}]}
            ],
        }
    )


@dataclass
class Place:
    """A workspace, one school in it, and a directory for the vault passwords."""

    workspace: Any
    school: Any
    keys: Path
    definitions: list[ServiceDefinition] = field(default_factory=list)

    @property
    def store(self) -> SecretStore:
        """A store as a new process would have it."""
        return SecretStore(self.workspace)

    @property
    def vault(self) -> Path:
        """The school's vault file."""
        return self.workspace.secrets_dir / f"{self.school.id}.yml"

    def ensure(self) -> list[str]:
        """Generate what is missing."""
        return self.store.ensure(self.school, self.definitions)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A workspace without secrets; vault passwords go to a key directory."""
    for name in ("PROVISION_VAULT_CLIENT", "PROVISION_VAULT_CLIENT_ACTIVE", "PROVISION_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "city"
    root.mkdir()
    (root / "municipality.yml").write_text("schema: 1\nid: vila\nname: Vila\n")
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    monkeypatch.setenv("PROVISION_VAULT_PASSWORD_FILE", str(keys))
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    pad = definition("pad", PAD_SECRETS)
    school = SimpleNamespace(
        id="escola-mar",
        domain="escola-mar.example",
        services={"pad": SimpleNamespace(definition=pad)},
        is_shared=lambda service: False,
    )
    workspace = SimpleNamespace(
        path=root,
        municipality=SimpleNamespace(id="vila", name="Vila de Prova", vault=None),
        schools={"escola-mar": school},
        secrets_dir=root / "secrets",
        state_dir=root / ".state",
        runs_dir=root / "runs",
        ca_dir=root / "ca",
    )
    yield Place(workspace, school, keys, [pad])
    keyring.set_keyring(before)


class MemoryKeyring(KeyringBackend):
    """A keyring that forgets."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def memory_keyring(place: Place, monkeypatch: pytest.MonkeyPatch) -> MemoryKeyring:
    """The system keyring, and no key directory."""
    monkeypatch.delenv("PROVISION_VAULT_PASSWORD_FILE")
    ring = MemoryKeyring()
    keyring.set_keyring(ring)
    return ring
