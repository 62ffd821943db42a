"""The secrets of each school, in one Ansible vault file a school.

A vault file is a YAML mapping of Ansible variables, encrypted as a whole under the vault id of its school,
so that one school's password can be handed over without another's. ``ansible-playbook`` and
``ansible-vault`` read it as it is.
"""

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from provision.errors import SecretsError
from provision.files import locked, remove_leftovers, write_atomically
from provision.secrets.passwords import Found, VaultPasswords, generate_password

if TYPE_CHECKING:
    from provision.model import ResolvedSchool, Workspace
    from provision.model.service import Secret, ServiceDefinition

#: The vault id of what belongs to the municipality and to no school.
MUNICIPALITY: Final = "municipality"
#: The variable with the private keys of the internal authority's certificates, by site.
TLS_KEYS: Final = "tls_private_keys"
#: In the municipality's vault: secrets of services on servers that schools share, by server and variable.
SHARED_HOSTS: Final = "shared_hosts"
#: The variable of the role audit_trail with the password of the log's web address.
AUDIT_PASSWORD: Final = "audit_trail_web_password"  # noqa: S105 - the variable's name
_HEADER: Final = b"$ANSIBLE_VAULT;"


def become_password_name(host: str) -> str:
    """The variable that holds the sudo password of a host; a variable's name cannot have hyphens."""
    return f"host_{host.replace('-', '_')}_become_password"


#: Of any host: a password may be stored before its host asks for one.
_BECOME_PASSWORD = re.compile(r"host_[a-z0-9_]{1,64}_become_password")


class SecretStore:
    """Reads and writes the vault files of a workspace.

    Every change is made under a lock and is one atomic step: after a crash, or on a full disk, the old file
    is whole, and two processes of one administrator do not lose each other's secrets.

    Args:
        workspace: whose ``secrets/`` is meant.
    """

    def __init__(self, workspace: "Workspace") -> None:
        self._workspace = workspace
        self._passwords = VaultPasswords.of(workspace)
        self._known: dict[str, Found] = {}

    def path(self, vault_id: str) -> Path:
        """The vault file of a school, or of the municipality."""
        return self._workspace.secrets_dir / f"{vault_id}.yml"

    def exists(self, vault_id: str) -> bool:
        """Whether there is a vault file."""
        return self.path(vault_id).exists()

    def load(self, vault_id: str) -> dict[str, Any]:
        """All secrets of a school, or of the municipality.

        Args:
            vault_id: the school's id, or ``municipality``.

        Returns:
            values by variable name; empty for a school that is new.

        Raises:
            SecretsError: no password, the wrong one, a damaged file, or a file that has gone.
        """
        if not self.exists(vault_id):
            self._check_new(vault_id)
            return {}
        return self._decrypt(vault_id, self._password(vault_id))

    def is_secret(self, name: str) -> bool:
        """Whether a school's vault file may hold a secret of this name: one that some service declares, or ours."""
        return name in self._declarable or bool(_BECOME_PASSWORD.fullmatch(name))

    @cached_property
    def _declarable(self) -> set[str]:
        definitions = [entry.definition for entry in self._workspace.catalog.values()]
        declared = {secret.name for definition in definitions for secret in definition.secrets}
        return declared | {TLS_KEYS, AUDIT_PASSWORD}

    def check_names(self, vault_id: str, names: Iterable[str]) -> None:
        """Refuse a vault file with other things than secrets.

        Ansible takes its variables before those of the inventory: a setting in it would take the place of the school
        file's, and stand in no diff, in no record and in no hash of the audit log.

        Raises:
            SecretsError: names that nobody declares.
        """
        foreign = sorted(name for name in names if not self.is_secret(name))
        if foreign:
            path = self.path(vault_id)
            raise SecretsError(
                f"The vault file {path} holds what no service declares as its secret: {', '.join(foreign)}.",
                "Settings belong into the school file. Take it out with: "
                f"ansible-vault edit --vault-id {vault_id}@provision-vault-client {path}",
            )

    def missing(self, school: "ResolvedSchool", definitions: Iterable["ServiceDefinition"]) -> list[str]:
        """Names of the secrets that ``ensure`` would generate; nothing is written.

        Raises:
            SecretsError: see ``load``; also no place for the password of a vault file that is not there yet.
        """
        present = self.load(school.id)
        self.check_place(school.id)
        return [secret.name for secret in _declared(definitions) if not present.get(secret.name)]

    def check_place(self, vault_id: str) -> None:
        """See that a vault file which is not there yet could be made.

        Raises:
            SecretsError: there is no place for its password.
        """
        if not self.exists(vault_id) and self._passwords.find(vault_id) is None:
            self._passwords.check_place(vault_id)

    def ensure(self, school: "ResolvedSchool", definitions: Iterable["ServiceDefinition"]) -> list[str]:
        """Generate what the services need and the vault file lacks. What is there stays as it is.

        Args:
            school: the school.
            definitions: the services whose secrets are needed.

        Returns:
            names of the secrets that were generated.

        Raises:
            SecretsError: see ``load``; also no place for the password of a new vault file, or a full disk.
        """
        wanted = _declared(definitions)
        there = self.exists(school.id)
        present = self.load(school.id) if there else {}
        common = self._common(school, present)
        if there:
            same = all(present.get(name) == value for name, value in common.items())
            if same and all(present.get(secret.name) for secret in wanted):
                self._tighten(school.id)
                return []
        made = [name for name in common if not present.get(name)]
        with self.edit(school.id) as values:
            values.update(common)
            for secret in wanted:
                if not values.get(secret.name):
                    values[secret.name] = _generate(secret)
                    made.append(secret.name)
        return made

    def _common(self, school: "ResolvedSchool", present: Mapping[str, Any]) -> dict[str, str]:
        """Secrets that the school has in common with others, as the municipality's vault has them.

        They are made there when they are missing; what the first school had before the server was shared counts.
        Who cannot open the municipality's vault goes on with what the school's own has.
        """
        shared = _shared_secrets(school)
        if not shared:
            return {}
        try:
            known = self.load(MUNICIPALITY).get(SHARED_HOSTS) or {}
        except SecretsError:
            if all(present.get(secret.name) for _, secret in shared):
                return {}
            raise
        if any(not (known.get(host) or {}).get(secret.name) for host, secret in shared):
            with self.edit(MUNICIPALITY) as values:
                # Another process may have been faster.
                known = {host: dict(items) for host, items in (values.get(SHARED_HOSTS) or {}).items()}
                for host, secret in shared:
                    kept = known.setdefault(host, {})
                    kept.setdefault(secret.name, present.get(secret.name) or _generate(secret))
                values[SHARED_HOSTS] = known
        return {secret.name: known[host][secret.name] for host, secret in shared}

    def _share(self, school: "ResolvedSchool", new: Mapping[str, str]) -> None:
        """Tell the municipality's vault of new secrets, as far as the school has them in common with others."""
        shared = [(host, secret.name) for host, secret in _shared_secrets(school) if secret.name in new]
        if shared:
            with self.edit(MUNICIPALITY) as values:
                known = {host: dict(items) for host, items in (values.get(SHARED_HOSTS) or {}).items()}
                for host, name in shared:
                    known.setdefault(host, {})[name] = new[name]
                values[SHARED_HOSTS] = known

    def rotate_many(self, school: "ResolvedSchool", names: Iterable[str]) -> None:
        """Replace secrets by new ones, all of them or none; ``provision apply`` brings them to the server.

        Args:
            school: the school.
            names: variable names of secrets, or ``tls_private_keys`` (new keys with the next certificates).

        Raises:
            SecretsError: no service of the school has a secret of that name, or see ``load``.
        """
        self._rotate(school, list(names))

    def check_generated(self, school: "ResolvedSchool", names: Iterable[str]) -> None:
        """See that ``rotate_many`` would take these names; nothing is written.

        Raises:
            SecretsError: one is no secret of the school, or came from outside; see ``load``, too.
        """
        _check_generated(school, names, self.load(school.id))

    def rotate_all(self, school: "ResolvedSchool") -> list[str]:
        """Replace every generated secret of the school, and make the vault file anew if it is lost.

        What was not generated (a sudo password, say) stays, as far as the file is still there.

        Returns:
            names of the secrets that were replaced.
        """
        names = list(_declared_by_name(school))
        self._rotate(school, names, anew=True)
        return names

    def set(self, vault_id: str, name: str, value: str) -> None:
        """Store a secret that comes from outside, such as a sudo password.

        Args:
            vault_id: the school's id, or ``municipality``.
            name: the Ansible variable.
            value: the secret.

        Raises:
            SecretsError: see ``load``.
        """
        if not name.isidentifier():
            raise SecretsError(
                f"“{name}” cannot be the name of a secret.", "Use letters, digits and underscores only."
            )
        school = self._workspace.schools.get(vault_id)
        if school is not None:
            self._share(school, {name: value})
        with self.edit(vault_id) as values:
            values[name] = value

    @contextmanager
    def edit(self, vault_id: str, *, anew: bool = False) -> Iterator[dict[str, Any]]:
        """Change a vault file under its lock; it is written when the block ends well and something changed.

        Args:
            vault_id: the school's id, or ``municipality``.
            anew: start an empty file even where one has been before and is lost.

        Yields:
            the secrets, to be changed in place.
        """
        with self._lock(vault_id):
            path = self.path(vault_id)
            if path.exists():
                found = self._password(vault_id)
                values = self._decrypt(vault_id, found)
                before = _dump(values)
                yield values
                after = _dump(values)
                if after != before:
                    self._write(path, _encrypt(after, found.password, vault_id))
                self._tighten(vault_id)
                return
            if not anew:
                self._check_new(vault_id)
            values = {}
            yield values
            known = self._passwords.find(vault_id)
            if known is not None:
                self._write(path, _encrypt(_dump(values), known.password, vault_id))
            else:
                with self._passwords.created(vault_id) as known:
                    self._write(path, _encrypt(_dump(values), known.password, vault_id))
            self._known[vault_id] = known

    def seal(self, vault_id: str, path: Path, plain: bytes) -> None:
        """Write a file of its own, encrypted with the vault password of a school.

        Args:
            vault_id: the school's id, or ``municipality``.
            path: the file; replaced as one step.
            plain: its content.

        Raises:
            SecretsError: no password for an existing vault file, no place for that of a new one, or a full disk.
        """
        with self._lock(vault_id):
            known = self._known.get(vault_id) or self._passwords.find(vault_id)
            if known is not None:
                self._write(path, _encrypt(plain, known.password, vault_id))
            else:
                with self._passwords.created(vault_id) as known:
                    self._write(path, _encrypt(plain, known.password, vault_id))
            self._known[vault_id] = known

    def unseal(self, vault_id: str, path: Path) -> bytes:
        """Read what ``seal`` wrote.

        Raises:
            SecretsError: no password, the wrong one, or a damaged file.
        """
        found = self._password(vault_id)
        try:
            plain = _open(path.read_bytes(), found.password, vault_id)
        except OSError as error:
            raise SecretsError(f"{path} cannot be read: {error.strerror}.") from error
        if plain is None:
            raise SecretsError(
                f"{path} does not open with the password from {found.origin}.",
                f"Bring it back from version control: git checkout -- {path}",
            )
        return plain

    def _rotate(self, school: "ResolvedSchool", names: list[str], *, anew: bool = False) -> None:
        declared = _declared_by_name(school)
        new = {name: _generate(declared[name]) for name in names if name in declared}
        if set(names) <= {*new, TLS_KEYS}:
            # The municipality's vault first: after a crash in between, the next run brings it to the school's.
            self._share(school, new)
        with self.edit(school.id, anew=anew) as values:
            _check_generated(school, names, values)
            for name in names:
                values[name] = new.get(name, {})

    def _password(self, vault_id: str) -> Found:
        if vault_id not in self._known:
            self._known[vault_id] = self._passwords.get(vault_id)
        return self._known[vault_id]

    def _check_new(self, vault_id: str) -> None:
        """Refuse to take a school for new whose vault file was there once: new secrets would lock out the
        old.

        Raises:
            SecretsError: something shows that there was a vault file.
        """
        signs = []
        issued = self._workspace.ca_dir / "issued" / vault_id
        runs = self._workspace.runs_dir / vault_id
        if vault_id == MUNICIPALITY and (self._workspace.ca_dir / "ca.pem").exists():
            signs.append(f"the authority's certificate is in {self._workspace.ca_dir / 'ca.pem'}")
        if vault_id != MUNICIPALITY and issued.is_dir() and any(issued.iterdir()):
            signs.append(f"its certificates are in {issued}")
        if vault_id != MUNICIPALITY and runs.is_dir() and any(runs.iterdir()):
            signs.append(f"its runs are in {runs}")
        if not signs:
            found = self._passwords.find(vault_id)
            if found is not None and found.kept_by_us:
                signs.append(f"its vault password is in {found.origin}")
        if not signs:
            return
        path = self.path(vault_id)
        restore = (
            f"Bring it back from version control (git pull, or git checkout -- {path}) or from a backup."
        )
        if vault_id == MUNICIPALITY:
            lost = f"If it is lost for good, remove {self._workspace.ca_dir}: a new authority is made."
        else:
            lost = f"If it is lost for good: provision secrets rotate {vault_id} --all makes new secrets."
        raise SecretsError(f"The vault file {path} has gone, although {signs[0]}.", f"{restore} {lost}")

    def _decrypt(self, vault_id: str, found: Found) -> dict[str, Any]:
        path = self.path(vault_id)
        restore = f"Bring the file back from version control: git checkout -- {path}"
        try:
            sealed = path.read_bytes()
        except OSError as error:
            raise SecretsError(f"The vault file {path} cannot be read: {error.strerror}.") from error
        if b"\n<<<<<<< " in b"\n" + sealed:
            raise SecretsError(
                f"The vault file {path} has a merge conflict: two people changed it at the same time.",
                f"Take one side (git checkout --theirs -- {path}), then run the command again: what is "
                "missing is generated.",
            )
        if not sealed.startswith(_HEADER):
            what = "is not encrypted" if sealed.strip() else "is empty"
            remedy = (
                f"Encrypt it: ansible-vault encrypt --encrypt-vault-id {vault_id} {path}"
                if sealed.strip()
                else restore
            )
            raise SecretsError(f"The vault file {path} {what}.", remedy)
        header = sealed.split(b"\n", 1)[0].decode(errors="replace").strip().split(";")
        owner = header[3] if len(header) > 3 else vault_id
        if owner != vault_id:
            raise SecretsError(
                f"The vault file {path} belongs to “{owner}”, not to “{vault_id}”.",
                restore,
            )
        plain = _open(sealed, found.password, vault_id)
        if plain is None:
            raise SecretsError(
                f"The vault file {path} does not open with the password from {found.origin}: the password is "
                "another one, or the file is damaged.",
                f"Ask a colleague for the password of “{vault_id}”. If it is the right one: {restore}",
            )
        try:
            values = yaml.load(plain, _Loader)  # noqa: S506 - a safe loader with one more tag
        except _TemplateError as error:
            raise SecretsError(
                f"The vault file {path} holds a template (line {error.line}), which Ansible would evaluate.",
                "If it is part of the secret, write !unsafe before the value; otherwise take it out: "
                f"ansible-vault edit --vault-id {vault_id}@provision-vault-client {path}",
            ) from None
        except (yaml.YAMLError, ValueError) as error:
            # The error itself would quote the line, and the line is a secret.
            mark = getattr(error, "problem_mark", None)
            line = f" (line {mark.line + 1})" if mark is not None else ""
            raise SecretsError(
                f"The vault file {path} opens, but what is inside is not valid YAML{line}.",
                f"Mend it with: ansible-vault edit --vault-id {vault_id}@provision-vault-client {path}",
            ) from None
        if values is None:
            return {}
        if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
            raise SecretsError(f"The vault file {path} must hold “name: secret” lines.", restore)
        return values

    def _lock(self, vault_id: str) -> AbstractContextManager[None]:
        file = self._workspace.state_dir / f"secrets-{vault_id}.lock"
        return locked(
            file, self.path(vault_id), SecretsError, mode=0o700, remedy="Make the workspace writable for you."
        )

    def _write(self, path: Path, sealed: bytes) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.chmod(0o700)
            remove_leftovers(path)
            write_atomically(path, sealed, mode=0o600)
        except OSError as error:
            raise SecretsError(
                f"The vault file {path} cannot be written: {error.strerror}.",
                "What was there before is unharmed. Free some space or mend the permissions, then try again.",
            ) from error

    def _tighten(self, vault_id: str) -> None:
        """Version control does not keep modes: close the file and its directory again."""
        path = self.path(vault_id)
        for place, mode in ((path.parent, 0o700), (path, 0o600)):
            if place.stat().st_mode & 0o077:
                try:
                    place.chmod(mode)
                except OSError as error:
                    raise SecretsError(
                        f"{place} can be read by other users, and you may not change that: {error.strerror}.",
                        f"Ask its owner to run: chmod {mode:o} {place}",
                    ) from error


class _Loader(yaml.SafeLoader):
    """Safe YAML with Ansible's ``!unsafe``, for values that are no templates."""


class _Dumper(yaml.SafeDumper):
    """Safe YAML that a person can read in ``ansible-vault edit``."""


class _TemplateError(Exception):
    """A text that Ansible would take for a template.

    Args:
        line: where it stands.
    """

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def _is_template(text: str) -> bool:
    return any(mark in text for mark in ("{{", "{%", "{#"))


def _construct_text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    text = str(loader.construct_scalar(node))
    if _is_template(text):
        raise _TemplateError(node.start_mark.line + 1)
    return text


def _construct_unsafe(loader: yaml.SafeLoader, node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.constructor.ConstructorError(None, None, "!unsafe is for text", node.start_mark)
    return str(loader.construct_scalar(node))


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    # Ansible would take a password with braces for a template and fail, or worse, evaluate it.
    tag = "!unsafe" if _is_template(text) else "tag:yaml.org,2002:str"
    return dumper.represent_scalar(tag, text, style="|" if text.count("\n") > 1 else None)


_Loader.add_constructor("!unsafe", _construct_unsafe)
_Loader.add_constructor("tag:yaml.org,2002:str", _construct_text)
_Dumper.add_representer(str, _represent_text)


def _dump(values: dict[str, Any]) -> bytes:
    return yaml.dump(values, Dumper=_Dumper, allow_unicode=True, sort_keys=True, width=4096).encode()


def _encrypt(plain: bytes, password: str, vault_id: str) -> bytes:
    from ansible.parsing.vault import VaultLib, VaultSecret

    sealed: bytes = VaultLib().encrypt(plain, secret=VaultSecret(password.encode()), vault_id=vault_id)
    return sealed


def _open(sealed: bytes, password: str, vault_id: str) -> bytes | None:
    """The plain text, or None when the password does not fit or the file is damaged."""
    from ansible.errors import AnsibleError
    from ansible.parsing.vault import VaultLib, VaultSecret

    try:
        plain = VaultLib([(vault_id, VaultSecret(password.encode()))]).decrypt(sealed)
    except (AnsibleError, ValueError, IndexError):
        return None
    return bytes(plain)


def base_secrets(definitions: Iterable["ServiceDefinition"]) -> list["Secret"]:
    """What base roles need for these services: where there is a site, the audit log has an address with a password."""
    from provision.model.service import Secret

    if not any(definition.needs.site for definition in definitions):
        return []
    why = "the school's laptop fetches the audit log with it, as the user auditor of https://SITE/.well-known/provision-audit/"
    return [Secret(name=AUDIT_PASSWORD, why=why)]


def _declared(definitions: Iterable["ServiceDefinition"]) -> list["Secret"]:
    """What the services declare, each name once, in order; then what base roles need for them."""
    definitions = list(definitions)
    named: dict[str, Secret] = {}
    for definition in definitions:
        for secret in definition.secrets:
            named.setdefault(secret.name, secret)
    return [*named.values(), *base_secrets(definitions)]


def _declared_by_name(school: "ResolvedSchool") -> dict[str, "Secret"]:
    return {secret.name: secret for secret in _declared(use.definition for use in school.services.values())}


def _check_generated(school: "ResolvedSchool", names: Iterable[str], values: Mapping[str, Any]) -> None:
    declared = _declared_by_name(school)
    for name in names:
        if name in declared or (name == TLS_KEYS and values.get(TLS_KEYS)):
            continue
        if name in values:
            raise SecretsError(
                f"“{name}” was not generated by provision, so it cannot be generated anew.",
                f"Change it where it comes from, then: provision secrets set {school.id} {name}",
            )
        known = sorted({*declared, *(key for key in values if key == TLS_KEYS)})
        # Only for this error: the model is not needed for opening a vault.
        from provision.model.rules import did_you_mean

        there = f"There are: {', '.join(known)}." if known else "Its services need no secrets."
        raise SecretsError(
            f"The school “{school.id}” has no secret “{name}”.", did_you_mean(name, known) or there
        )


def _shared_secrets(school: "ResolvedSchool") -> list[tuple[str, "Secret"]]:
    """Secrets of services on servers that schools share, each with its server."""
    return [
        (use.host, secret)
        for use in school.services.values()
        if school.is_shared(use)
        for secret in use.definition.secrets
    ]


def _generate(secret: "Secret") -> str:
    if secret.kind == "hex":
        return secrets.token_hex((secret.length + 1) // 2)[: secret.length]
    return generate_password(secret.length)
