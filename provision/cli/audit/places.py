"""``SCHOOL|DIR``: a school of the workspace, or any directory that holds a log (an auditor has no workspace)."""

from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from provision.audit.log import SchoolLog, log_directory
from provision.audit.tlog import Policy, TlogError, TreeError, read_file
from provision.audit.tlog.policy import MAX_POLICY
from provision.errors import ConfigurationError, UsageError
from provision.model import ResolvedSchool, Workspace, find_workspace, load_workspace

LogArgument = Annotated[
    str,
    typer.Argument(
        metavar="SCHOOL|DIR",
        help="A school of the workspace, or a directory with its log.",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Place:
    """A log, and what is known around it.

    Args:
        workspace, school: the municipality's files where they are at hand and right; else None.
        trouble: why they are not used although they are there; empty otherwise.
    """

    log: SchoolLog
    workspace: Workspace | None = None
    school: ResolvedSchool | None = None
    trouble: str = ""

    @property
    def zone(self) -> tzinfo:
        """The school's time zone; UTC where it is not known."""
        return ZoneInfo(self.school.timezone) if self.school else UTC

    @property
    def zone_name(self) -> str:
        """Its name."""
        return self.school.timezone if self.school else "UTC"


def open_place(name: str, workspace: Path | None) -> Place:
    """The log that is meant.

    Raises:
        UsageError: there is no such school or directory.
        LogError: the log is not there or damaged.
    """
    directory = Path(name).expanduser()
    if (directory / "checkpoint").is_file():
        return Place(SchoolLog.open(directory))
    if directory.is_dir() and "/" in name:
        raise UsageError(
            f"{name} holds no audit log: it has no checkpoint file.", "Name the directory that has one."
        )
    if "/" in name or name.startswith("."):
        raise UsageError(f"There is no directory {name}.", "Name a school's id or a directory with a log.")
    root = find_workspace(workspace)
    try:
        loaded = load_workspace(root)
    except ConfigurationError as error:
        # Reading what happened must not depend on today's configuration.
        return Place(SchoolLog.open(log_directory(root, name)), trouble=error.message)
    place = log_directory(root, name)
    if name not in loaded.schools and (place / "checkpoint").is_file():
        return Place(SchoolLog.open(place))
    school = loaded.school(name)
    return Place(SchoolLog.open(place), loaded, school)


def read_named(file: Path, limit: int, what: str) -> bytes:
    """A file that the user named; a link that they made is theirs to follow.

    Args:
        limit: bytes.
        what: the file in a word, for messages.

    Raises:
        UsageError: it is not there, too large, or cannot be read.
    """
    real = file.expanduser().resolve()
    try:
        data = read_file(real.parent, real.name, limit)
    except TreeError as error:
        raise UsageError(f"the {what} cannot be read: {error}", "check the name of the file") from error
    if data is None:
        raise UsageError(f"there is no {what} at {file}", "check the name of the file")
    return data


def read_policy(file: Path) -> Policy:
    """The keys that somebody trusts.

    Raises:
        UsageError: the file is not there, or not in the format tlog-policy.
    """
    try:
        return Policy.parse(read_named(file, MAX_POLICY, "policy"))
    except TlogError as error:
        raise UsageError(
            f"{file} is no policy: {error}", "ask for it again; it names the log’s and the witnesses’ keys"
        ) from error
