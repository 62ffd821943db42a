"""Municipalities, schools, hosts and services: what the files say, checked, with defaults filled in."""

from provision.model.catalog import ServiceEntry, load_catalog
from provision.model.workspace import (
    ResolvedHost,
    ResolvedSchool,
    ResolvedService,
    Workspace,
    find_workspace,
    load_workspace,
)

__all__ = [
    "ResolvedHost",
    "ResolvedSchool",
    "ResolvedService",
    "ServiceEntry",
    "Workspace",
    "find_workspace",
    "load_catalog",
    "load_workspace",
]
