"""The city's keys of a school's log: made once, encrypted at rest, renewed in the sight of both keys.

They lie in ``secrets/audit/<school>.keys``, sealed with the vault password of that school, so that one school's key can
be handed over without another's, and apart from the Ansible variables, which no signing key belongs among.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from provision.audit.tlog.encoding import TlogError
from provision.audit.tlog.note import Kind, SignerKey
from provision.errors import SecretsError
from provision.secrets.store import SecretStore

if TYPE_CHECKING:
    from provision.model import Workspace

#: What may sign beside Ed25519, for those whose rules name other algorithms (see op.exp.10 of the ENS).
Second = Literal["ecdsa", "ml-dsa"]
_KINDS: dict[str, Kind] = {"ecdsa": Kind.ECDSA, "ml-dsa": Kind.COSIGNATURE_MLDSA44}


@dataclass(frozen=True, slots=True)
class LogKeys:
    """The keys that sign a log.

    Args:
        current: they sign each checkpoint; the first is Ed25519.
        coming: made for a renewal that may have been broken off; empty otherwise.
    """

    current: tuple[SignerKey, ...]
    coming: tuple[SignerKey, ...] = ()


class KeyStore:
    """Reads and writes the keys of a workspace's logs.

    Args:
        workspace: whose ``secrets/audit`` is meant.
        secrets: opens and seals with the schools' vault passwords.
    """

    def __init__(self, workspace: "Workspace", secrets: SecretStore | None = None) -> None:
        self._directory = workspace.secrets_dir / "audit"
        self._secrets = secrets or SecretStore(workspace)

    def file(self, school: str) -> Path:
        """Where a school's keys are, or will be."""
        return self._directory / f"{school}.keys"

    def exists(self, school: str) -> bool:
        """Whether the school has keys."""
        return self.file(school).exists()

    def make(self, school: str, origin: str, second: Second | None = None) -> LogKeys:
        """New keys for a log that is about to begin; stored before anything is signed with them.

        Args:
            origin: the log's name, which is the keys' name.
            second: a further algorithm for a second signature line.

        Raises:
            SecretsError: the school has keys already, or they cannot be stored.
        """
        if self.exists(school):
            raise SecretsError(
                f"{school} has keys for its log already: {self.file(school)}",
                f"renew them with: provision audit rotate-key {school}",
            )
        keys = LogKeys(generate(origin, second))
        self.save(school, keys)
        return keys

    def load(self, school: str) -> LogKeys:
        """The keys of a school's log.

        Raises:
            SecretsError: there are none, they do not open, or they are damaged.
        """
        file = self.file(school)
        if not file.exists():
            raise SecretsError(
                f"the keys of the audit log of {school} are missing: {file}",
                "get them from a colleague or from version control (git pull); they are encrypted",
            )
        plain = self._secrets.unseal(school, file)
        try:
            document = json.loads(plain)
            return LogKeys(
                *(tuple(SignerKey.parse(text) for text in document[part]) for part in ("current", "coming"))
            )
        except (ValueError, KeyError, TypeError, TlogError) as error:
            # The error itself could quote a key.
            raise SecretsError(
                f"{file} opens, but what is inside are no keys ({type(error).__name__}).",
                f"Bring it back from version control: git checkout -- {file}",
            ) from None

    def save(self, school: str, keys: LogKeys) -> None:
        """Store the keys; the former ones stay until the new ones are safely on the disk.

        Raises:
            SecretsError: the disk is full, ...
        """
        document = {
            "schema": "provision/log-keys/v1",
            "current": [key.text for key in keys.current],
            "coming": [key.text for key in keys.coming],
        }
        self._secrets.seal(school, self.file(school), json.dumps(document).encode())


def generate(origin: str, second: Second | None = None) -> tuple[SignerKey, ...]:
    """New keys: Ed25519, and the second algorithm where one is asked for."""
    kinds = [Kind.ED25519, *([_KINDS[second]] if second else [])]
    return tuple(SignerKey.generate(origin, kind) for kind in kinds)


def second_of(keys: Sequence[SignerKey]) -> Second | None:
    """The further algorithm that these keys have."""
    for name, kind in _KINDS.items():
        if any(key.verifier.kind == kind for key in keys):
            return name  # type: ignore[return-value]
    return None
