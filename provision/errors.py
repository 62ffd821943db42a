"""Every error that the library raises on purpose.

Library code raises one of these and never prints or exits; ``provision.cli`` turns them into a message and an
exit code (``exit_code``; the table is in the design and in ``provision --help``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from provision.text import printable


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file or on a host, in words for the person who has to mend it.

    Whatever a server or a file said in them steers no terminal.

    Args:
        message: what is wrong, and what is allowed.
        remedy: what to do next; may be empty when the message says it.
        file: the file at fault, if any.
        line: counted from 1; 0 when unknown.
        column: counted from 1; 0 when unknown.
        code: a short stable name for programs, such as ``unknown-key``.
    """

    message: str
    remedy: str = ""
    file: Path | None = None
    line: int = 0
    column: int = 0
    code: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", printable(self.message))
        object.__setattr__(self, "remedy", printable(self.remedy))

    def where(self) -> str:
        """The place as ``file:line:column``, as far as it is known."""
        if self.file is None:
            return ""
        place = str(self.file)
        if self.line:
            place += f":{self.line}"
            if self.column:
                place += f":{self.column}"
        return place


class ProvisionError(Exception):
    """Base of all our errors. Whatever a server or a file said in them steers no terminal.

    Args:
        message: what went wrong, one sentence.
        remedy: what the person can do next.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        # Here for all of them: paramiko's words for a line that fails quote the other side, whoever that is.
        self.message = printable(message)
        self.remedy = printable(remedy)
        super().__init__(self.message)


class UsageError(ProvisionError):
    """The command was used wrongly."""

    exit_code = 2


class ConfigurationError(ProvisionError):
    """Workspace files are wrong; carries every problem that was found, not only the first."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem], message: str = "") -> None:
        count = len(problems)
        super().__init__(message or f"{count} problem{'s' if count != 1 else ''} in the configuration")
        self.problems = tuple(problems)


class SecretsError(ProvisionError):
    """The vault password is missing or wrong, or a vault file is damaged."""

    exit_code = 2


class ArtifactError(ProvisionError):
    """An artifact cannot be had, or is not what the lock file says.

    Args:
        problems: every artifact, when there are several.
    """

    exit_code = 3

    def __init__(self, message: str, remedy: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(message, remedy)
        self.problems = tuple(problems)


class RefusedError(ProvisionError):
    """Refused before any change: preflight failed, host unreachable, host key unknown, school locked.

    Args:
        problems: every reason, when there are several.
    """

    exit_code = 3

    def __init__(self, message: str, remedy: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(message, remedy)
        self.problems = tuple(problems)


class HostKeyError(RefusedError):
    """The host's key is unknown or is not the one we trust."""


class KeyRefusedError(RefusedError):
    """A host does not let us in with any of our keys."""


class LockedError(RefusedError):
    """Somebody else's run holds the school."""


class RunFailedError(ProvisionError):
    """A run began and did not end well."""


class LabError(ProvisionError):
    """A disposable server could not be made, found or removed."""
