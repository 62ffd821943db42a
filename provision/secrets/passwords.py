"""Where the vault passwords come from, and where a new one goes.

The order is fixed: the municipality's own client program, ``$PROVISION_VAULT_CLIENT``,
``$PROVISION_VAULT_PASSWORD_FILE``, ``vault.keys`` of ``municipality.yml``, the system keyring. A password
is never an argument.
"""

import os
import secrets
import shutil
import string
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from provision.errors import SecretsError
from provision.files import write_atomically

if TYPE_CHECKING:
    from provision.model import Workspace

CLIENT_VARIABLE: Final = "PROVISION_VAULT_CLIENT"
FILE_VARIABLE: Final = "PROVISION_VAULT_PASSWORD_FILE"
#: Set for client programs that we start, so that our own client notices when it is asked to ask itself.
ACTIVE_VARIABLE: Final = "PROVISION_VAULT_CLIENT_ACTIVE"
#: Exit code of a client program that does not know the vault id (Ansible: ``VAULT_ID_UNKNOWN_RC``).
UNKNOWN_ID: Final = 2
#: A client program may ask a person or a hardware token; seconds until we give up.
CLIENT_TIMEOUT: Final = 120.0

#: Letters and digits that cannot be taken for another one when read aloud or copied by hand.
UNAMBIGUOUS: Final = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lIo")))


class UnknownVaultError(SecretsError):
    """No place knows the password of this vault id."""


def generate_password(length: int = 32) -> str:
    """A random password of unambiguous letters and digits; ``length`` in characters."""
    return "".join(secrets.choice(UNAMBIGUOUS) for _ in range(length))


@dataclass(frozen=True, slots=True)
class Found:
    """A vault password and where it was.

    Args:
        password: the password itself.
        origin: in words, for messages.
        kept_by_us: it lies in a key directory or a keyring, where ``provision`` puts new ones for one vault
            id each; so a vault of this id has been made before.
    """

    password: str = field(repr=False)
    origin: str
    kept_by_us: bool = False


@dataclass(frozen=True, slots=True)
class VaultPasswords:
    """The vault passwords of one workspace.

    Args:
        workspace: its directory.
        municipality: its id, part of the keyring's service name.
        client: ``vault.client`` of ``municipality.yml``, if given; relative to the workspace.
        keys: ``vault.keys`` of ``municipality.yml``, a directory, if given; relative to the workspace.
        environment: where the ``PROVISION_*`` variables are read.
    """

    workspace: Path
    municipality: str
    client: Path | None = None
    keys: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    @classmethod
    def of(cls, workspace: "Workspace") -> "VaultPasswords":
        """The passwords of a loaded workspace."""
        municipality = workspace.municipality
        return cls(
            workspace.path,
            municipality.id,
            municipality.vault.client if municipality.vault is not None else None,
            municipality.vault.keys if municipality.vault is not None else None,
        )

    @classmethod
    def read(cls, path: Path) -> "VaultPasswords":
        """The passwords of the workspace in ``path``, from the two lines of its file that matter here.

        Ansible starts the client for each vault id of each run, so this does not load models and schools.

        Raises:
            SecretsError: there is no readable ``municipality.yml``.
        """
        import yaml

        source = path / "municipality.yml"
        try:
            document = yaml.safe_load(source.read_bytes())
        except (OSError, yaml.YAMLError, ValueError):
            document = None
        if not isinstance(document, dict) or not isinstance(document.get("id"), str):
            raise SecretsError(
                f"{source} cannot be read, so it is not known whose vault password is wanted.",
                "Set PROVISION_WORKSPACE to the directory that holds municipality.yml.",
            )
        vault = document.get("vault")
        client = vault.get("client") if isinstance(vault, dict) else None
        keys = vault.get("keys") if isinstance(vault, dict) else None
        return cls(
            path,
            document["id"],
            Path(client) if isinstance(client, str) else None,
            Path(keys) if isinstance(keys, str) else None,
        )

    @property
    def keyring_service(self) -> str:
        """The service name under which the system keyring holds this municipality's passwords."""
        return f"provision:{self.municipality}"

    def find(self, vault_id: str) -> Found | None:
        """Look for a password in every place, in order.

        Args:
            vault_id: a school's id, or ``municipality``.

        Returns:
            The first one found, or None when no place knows this vault id.

        Raises:
            SecretsError: a place exists but cannot be used: a program that fails, a key that others can read.
        """
        for program, name in self._clients():
            password = self._ask(program, name, vault_id)
            if password is not None:
                return Found(password, f"{name} ({program})")
        for place, name in self._key_places():
            if place.is_dir():
                key = place / f"{vault_id}.key"
                if key.exists():
                    return Found(_read_key(key), str(key), kept_by_us=True)
            elif place.exists():
                return Found(_read_key(place), f"{name} ({place})")
        return self._from_keyring(vault_id)

    def get(self, vault_id: str) -> Found:
        """Like ``find``, but a missing password is an error that says where one can be put."""
        found = self.find(vault_id)
        if found is None:
            raise UnknownVaultError(
                f"There is no vault password for “{vault_id}”: {self._looked_at()}.",
                f"Ask who set it up for the password, and put it into a file {vault_id}.key (mode 0600) in the "
                f"directory that vault.keys of municipality.yml or ${FILE_VARIABLE} names, or into the system "
                f'keyring with "keyring set {self.keyring_service} {vault_id}".',
            )
        return found

    def check_place(self, vault_id: str) -> None:
        """See that there is a place for a new password; none is made.

        Raises:
            SecretsError: there is none.
        """
        if any(self._clients()) or (next(self._key_places(), None) is None and _keyring() is None):
            # It is refused there before anything is made.
            with self.created(vault_id):
                pass

    @contextmanager
    def created(self, vault_id: str) -> Iterator[Found]:
        """Make a new password, and keep it where ``find`` finds it; undone when the block fails.

        Call it with the lock of this vault id held, after ``find`` found nothing.

        Raises:
            SecretsError: there is no place for it.
        """
        if any(self._clients()):
            raise SecretsError(
                f"The vault client program does not know “{vault_id}”, and new passwords cannot be put into "
                "it from here.",
                f"Store a long random password for “{vault_id}” where the program looks, then try again.",
            )
        password = generate_password()
        place, name = next(self._key_places(), (None, ""))
        if place is not None:
            key = place / f"{vault_id}.key"
            try:
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_atomically(key, password.encode() + b"\n", mode=0o600)
            except OSError as error:
                raise SecretsError(
                    f"The vault password of “{vault_id}” cannot be written to {key}: {error.strerror}.",
                    f"Make {place} writable for you, or let {name} name another directory.",
                ) from error
            try:
                yield Found(password, str(key), kept_by_us=True)
            except BaseException:
                with suppress(OSError):
                    key.unlink()
                raise
            return
        self._put_into_keyring(vault_id, password)
        try:
            yield Found(password, "the system keyring", kept_by_us=True)
        except BaseException:
            self._remove_from_keyring(vault_id)
            raise

    def _clients(self) -> Iterator[tuple[Path, str]]:
        if self.client is not None:
            yield self.workspace / self.client.expanduser(), "vault.client of municipality.yml"
        named = self.environment.get(CLIENT_VARIABLE)
        if named:
            on_path = None if "/" in named else shutil.which(named)
            yield (
                Path(on_path) if on_path else self.workspace / Path(named).expanduser(),
                f"${CLIENT_VARIABLE}",
            )

    def _ask(self, program: Path, name: str, vault_id: str) -> str | None:
        if self.environment.get(ACTIVE_VARIABLE):
            raise SecretsError(
                f"The vault client program ({name}) asks provision for the password, and provision asks it.",
                "Let it name a program that holds passwords, such as one for your password manager.",
            )
        try:
            answer = subprocess.run(
                [str(program), "--vault-id", vault_id],
                capture_output=True,
                timeout=CLIENT_TIMEOUT,
                check=False,
                env={**self.environment, ACTIVE_VARIABLE: "1"},
            )
        except subprocess.TimeoutExpired as error:
            raise SecretsError(
                f"The vault client program {program} gave no password within {CLIENT_TIMEOUT:.0f} seconds.",
                f"Try it by hand: {program} --vault-id {vault_id}",
            ) from error
        except OSError as error:
            raise SecretsError(
                f"The vault client program {program} ({name}) cannot be started: {error.strerror}.",
                f"Check that the file exists and is executable: chmod +x {program}",
            ) from error
        if answer.returncode == UNKNOWN_ID:
            return None
        said = answer.stderr.decode(errors="replace").strip()
        password = answer.stdout.decode(errors="replace").strip("\r\n")
        if answer.returncode != 0 or not password:
            why = f"ended with code {answer.returncode}" if answer.returncode else "printed no password"
            raise SecretsError(
                f"The vault client program {program} {why}" + (f": {said}" if said else "."),
                f"Try it by hand: {program} --vault-id {vault_id}",
            )
        return password

    def _key_places(self) -> Iterator[tuple[Path, str]]:
        """Where key files are, with the name of the setting: ``$PROVISION_VAULT_PASSWORD_FILE``,
        ``vault.keys``.

        The former may be a single file for all vault ids. The latter may not exist yet.
        """
        named = self.environment.get(FILE_VARIABLE)
        if named:
            place = self.workspace / Path(named).expanduser()
            if not place.exists():
                raise SecretsError(
                    f"${FILE_VARIABLE} names {place}, which does not exist.",
                    f"Make a directory for the keys (mkdir -m 700 {place}), or a file with the password "
                    "(mode 0600).",
                )
            yield _checked(place), f"${FILE_VARIABLE}"
        if self.keys is not None:
            yield _checked(self.workspace / self.keys.expanduser()), "vault.keys of municipality.yml"

    def _looked_at(self) -> str:
        """What was searched without success, in words."""
        places = [f"{name} does not know it" for _, name in self._clients()]
        places += [f"{place} has no key for it" for place, _ in self._key_places()]
        if not self.environment.get(FILE_VARIABLE):
            places.append(f"${FILE_VARIABLE} is not set")
        places.append(
            "the system keyring has none" if _keyring() is not None else "this system has no keyring"
        )
        return ", ".join(places)

    def _from_keyring(self, vault_id: str) -> Found | None:
        backend = _keyring()
        if backend is None:
            return None
        from keyring.errors import KeyringError

        try:
            password = backend.get_password(self.keyring_service, vault_id)
        except (KeyringError, RuntimeError, OSError) as error:
            raise SecretsError(
                f"The system keyring cannot be read: {error}",
                f"Unlock it, or name a key directory in ${FILE_VARIABLE}.",
            ) from error
        return Found(password, "the system keyring", kept_by_us=True) if password else None

    def _put_into_keyring(self, vault_id: str, password: str) -> None:
        backend = _keyring()
        remedy = (
            "Name a directory for the keys in municipality.yml: vault: {keys: ~/.provision-keys}; it is made, and it "
            f"belongs into no version control. Or for this shell alone: mkdir -m 700 ~/.provision-keys; "
            f"export {FILE_VARIABLE}=~/.provision-keys"
        )
        if backend is None:
            raise SecretsError(f"There is no place for the vault password of “{vault_id}”.", remedy)
        from keyring.errors import KeyringError

        try:
            backend.set_password(self.keyring_service, vault_id, password)
            kept = backend.get_password(self.keyring_service, vault_id) == password
        except (KeyringError, RuntimeError, OSError) as error:
            raise SecretsError(f"The system keyring does not take a password: {error}", remedy) from error
        if not kept:
            raise SecretsError("The system keyring did not keep the password that was put into it.", remedy)

    def _remove_from_keyring(self, vault_id: str) -> None:
        backend = _keyring()
        if backend is None:
            return
        from keyring.errors import KeyringError

        with suppress(KeyringError, RuntimeError, OSError):
            backend.delete_password(self.keyring_service, vault_id)


def _checked(place: Path) -> Path:
    """The same place, when nobody else can put keys there."""
    if place.is_dir() and place.stat().st_mode & 0o022:
        raise SecretsError(
            f"Other users may put files into the key directory {place}.", f"Close it: chmod 700 {place}"
        )
    return place


def _read_key(path: Path) -> str:
    """The password in a file that only its owner may read.

    Blanks at both ends are no part of it, as in Ansible's ``FileVaultSecret``.
    """
    try:
        mode = path.stat().st_mode
        if mode & 0o077:
            raise SecretsError(
                f"The vault password in {path} can be read by other users (mode {mode & 0o777:04o}).",
                f"Close it: chmod 600 {path}. If others have an account on this machine, take it for known.",
            )
        password = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SecretsError(f"The vault password in {path} cannot be read: {reason}.") from error
    if not password:
        raise SecretsError(
            f"The vault password file {path} is empty.",
            "Put the password into it, or restore it from a copy.",
        )
    return password


def _keyring() -> Any:
    """The system keyring's backend, or None where there is none (a server without a desktop, most often)."""
    import keyring
    from keyring.backends import fail, null

    backend = keyring.get_keyring()
    if isinstance(backend, fail.Keyring | null.Keyring):
        return None
    members = getattr(backend, "backends", None)
    return None if members is not None and not list(members) else backend
