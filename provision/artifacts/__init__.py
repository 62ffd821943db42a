"""Artifacts: what comes from upstream, chosen, fetched, verified, recorded."""

from provision.artifacts.cache import ArtifactCache, Obtained, copy_to_mirror
from provision.artifacts.lockfile import LockFile, MismatchError, locked_content
from provision.artifacts.mirror import mirrors_of
from provision.artifacts.selection import (
    Known,
    Selection,
    Unavailable,
    Wrong,
    forget_installed,
    look_up,
    record_installed,
    select,
)
from provision.artifacts.web import UnreachableError

__all__ = [
    "ArtifactCache",
    "Known",
    "LockFile",
    "MismatchError",
    "Obtained",
    "Selection",
    "Unavailable",
    "UnreachableError",
    "Wrong",
    "copy_to_mirror",
    "forget_installed",
    "locked_content",
    "look_up",
    "mirrors_of",
    "record_installed",
    "select",
]
