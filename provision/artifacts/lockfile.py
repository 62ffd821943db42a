"""``artifacts.lock``: what came from upstream, as it was the first time.

Where upstream publishes no checksum or signature that we could pin, the first download is recorded here and
any later difference stops the run. The file lies in the workspace, belongs into version control, and is
sorted by name so that a change is one line in a diff.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from provision.errors import ArtifactError
from provision.files import ReadOnce, locked, remove_leftovers, write_atomically
from provision.model.service import Sha256

#: The file has a line for each service of each school: read by C where PyYAML has it, which is ten times as fast.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_HEADER: Final = (
    "# What came from upstream, as it was the first time. Written by provision; keep it under version "
    "control.\n"
    "# After a change that upstream has announced: provision artifacts lock --accept NAME\n"
)


class DamagedLockError(ArtifactError):
    """``artifacts.lock`` is wrong: a file of the workspace, as the others are."""

    exit_code = 2


class MismatchError(ArtifactError):
    """Something from upstream is not what it was, or not what it should be.

    Args:
        name: the file, key or package.
        expected: checksum or fingerprint that was recorded or pinned.
        found: the one that it has now.
    """

    def __init__(self, name: str, expected: str, found: str, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.name = name
        self.expected = expected
        self.found = found


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LockedFile(_Entry):
    """A file: its checksum, its size in bytes, where it came from first, and when."""

    sha256: Sha256
    size: Annotated[int, Field(ge=0)]
    source: str
    date: date


class LockedRepository(_Entry):
    """A signed apt repository: its address and the fingerprint of the key that signs it."""

    uri: str
    fingerprint: str


class LockedPackage(_Entry):
    """An npm package: its integrity value and the checksum of the role's lock file with all it depends on."""

    integrity: str
    lock_sha256: Sha256


class Choice(_Entry):
    """The release of a service that a school has, and the kind of source that it came from.

    Args:
        installed: an apply with it ended well, so nothing more is needed from the source.
    """

    version: str
    kind: Literal["apt", "archive", "npm"]
    installed: bool = False


class LockFile(BaseModel):
    """The content of ``artifacts.lock``."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = Field(default=1, alias="schema")
    files: dict[str, LockedFile] = Field(default_factory=dict)
    #: By ``service/repository``.
    repositories: dict[str, LockedRepository] = Field(default_factory=dict)
    #: By ``package@version``.
    packages: dict[str, LockedPackage] = Field(default_factory=dict)
    #: By school and service.
    choices: dict[str, dict[str, Choice]] = Field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "LockFile":
        """Read the file; one that does not exist is empty.

        Args:
            path: ``artifacts.lock``.

        Raises:
            ArtifactError: it cannot be read, or somebody damaged it.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls()
        except (OSError, UnicodeDecodeError) as error:
            raise DamagedLockError(f"{path} cannot be read: {error}") from error
        restore = f"Bring it back from version control: git checkout -- {path}"
        if "\n<<<<<<< " in f"\n{text}":
            raise DamagedLockError(
                f"{path} has a merge conflict.",
                "Keep the lines of both sides, remove those with <<<<<<<, ======= and >>>>>>>, and try "
                "again.",
            )
        try:
            document = _parsed(text)
            if (
                isinstance(document, dict)
                and isinstance(document.get("schema"), int)
                and document["schema"] > 1
            ):
                raise DamagedLockError(
                    f"{path} was written by a newer provision (schema {document['schema']}).",
                    "Update provision.",
                )
            return cls.model_validate({} if document is None else document)
        except ValidationError as error:
            place = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise DamagedLockError(f"{path} is damaged at “{place}”.", restore) from error
        except (yaml.YAMLError, ValueError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f", line {mark.line + 1}," if mark is not None else ""
            raise DamagedLockError(f"{path}{line} is no valid YAML.", restore) from error

    @classmethod
    @contextmanager
    def edit(cls, path: Path, state_dir: Path) -> Iterator["LockFile"]:
        """Change the file under a lock; written in one step when the block ends well and something changed.

        Args:
            path: ``artifacts.lock``.
            state_dir: where the lock is taken.

        Yields:
            the newest content, to be changed in place.

        Raises:
            ArtifactError: see ``read``; also a full disk, and another process that holds the lock for a
            minute.
        """
        try:
            with locked(state_dir / "artifacts.lock", path, ArtifactError, mode=0o700):
                content = cls.read(path)
                before = content.data()
                yield content
                if content.data() != before:
                    remove_leftovers(path)
                    write_atomically(path, content.text().encode(), mode=0o644)
        except OSError as error:
            raise ArtifactError(
                f"{path} cannot be written: {error.strerror}.",
                "What was there before is unharmed. Free some space or mend the permissions, then try again.",
            ) from error

    def data(self) -> dict[str, Any]:
        """What stands in the file, sorted by name."""
        content: dict[str, Any] = {"schema": self.format}
        for name, entries in (
            ("files", self.files),
            ("repositories", self.repositories),
            ("packages", self.packages),
        ):
            if entries:
                content[name] = {key: entries[key].model_dump() for key in sorted(entries)}
        choices = {
            school: {service: used[service].model_dump() for service in sorted(used)}
            for school, used in sorted(self.choices.items())
            if used
        }
        if choices:
            content["choices"] = choices
        return content

    def text(self) -> str:
        """The file's text."""
        return _HEADER + yaml.safe_dump(self.data(), sort_keys=False, allow_unicode=True, width=4096)

    def forget(self, name: str) -> bool:
        """Drop the entry of a file, repository or package, so that the next sight of it is taken for the
        first.

        Returns:
            whether there was one.
        """
        known = [entries for entries in (self.files, self.repositories, self.packages) if name in entries]
        for entries in known:
            del entries[name]
        return bool(known)


def _parsed(text: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError:
        # PyYAML's own names the place better.
        return yaml.safe_load(text)


#: The lock file to be looked at only, read once for all schools of a command while it is the same.
locked_content = ReadOnce(LockFile.read)
