"""Artifacts: what comes from upstream, chosen, fetched, verified, recorded."""

from provision.artifacts.cache import ArtifactCache, Obtained, copy_to_mirror
from provision.artifacts.lockfile import LockFile, MismatchError
from provision.artifacts.mirror import mirrors_of
from provision.artifacts.selection import (
    Selection,
    Unavailable,
    forget_installed,
    record_installed,
    select,
)
from provision.artifacts.web import UnreachableError

__all__ = [
    "ArtifactCache",
    "LockFile",
    "MismatchError",
    "Obtained",
    "Selection",
    "Unavailable",
    "UnreachableError",
    "copy_to_mirror",
    "forget_installed",
    "mirrors_of",
    "record_installed",
    "select",
]
