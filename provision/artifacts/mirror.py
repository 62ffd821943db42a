"""Mirrors: directories and web addresses that hold artifacts by name, beside a ``SHA256SUMS``."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit, urlunsplit

from provision.errors import ArtifactError

if TYPE_CHECKING:
    from provision.model import Workspace

SUMS: Final = "SHA256SUMS"
VARIABLE: Final = "PROVISION_MIRROR"
_SUMS_LINE: Final = re.compile(r"([0-9a-f]{64}) [ *](?:\./)?(\S+)")


@dataclass(frozen=True, slots=True)
class DirectoryMirror:
    """A directory on this machine."""

    path: Path

    def file(self, name: str) -> Path | None:
        """The file of that name, if the directory has it."""
        path = self.path / name
        return path if path.is_file() else None

    def sums(self) -> dict[str, str]:
        """What its ``SHA256SUMS`` says; empty when it has none."""
        try:
            return parse_sums((self.path / SUMS).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return {}

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class UrlMirror:
    """A directory on a web server; ``url`` ends in a slash."""

    url: str

    def address(self, name: str) -> str:
        """The address of the file of that name."""
        return self.url + name

    def __str__(self) -> str:
        return shown(self.url)


Mirror = DirectoryMirror | UrlMirror


def parse_mirror(text: str, base: Path) -> Mirror:
    """A mirror from what a person wrote.

    Args:
        text: a directory, or an address with ``http:``, ``https:`` or ``file:``.
        base: what a relative directory is relative to.

    Raises:
        ArtifactError: there is no such directory, or we do not speak the protocol.
    """
    parts = urlsplit(text)
    if parts.scheme in {"http", "https"} and parts.netloc:
        return UrlMirror(urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/", query="", fragment="")))
    if "://" in text and parts.scheme != "file":
        raise ArtifactError(
            f"The mirror {shown(text)} is no directory and no http or https address.",
            "Name a directory, or an address such as https://mirror.example.org/provision",
        )
    directory = base / Path(unquote(parts.path) if parts.scheme == "file" else text).expanduser()
    if not directory.is_dir():
        raise ArtifactError(
            f"The mirror {directory} is no directory.", "Check the name, or mount the disk that it is on."
        )
    return DirectoryMirror(directory.resolve())


def mirrors_of(workspace: "Workspace", named: str | None) -> list[Mirror]:
    """The mirrors to ask, in order: ``--mirror``, ``$PROVISION_MIRROR``, ``mirror`` of ``municipality.yml``.

    Args:
        workspace: whose ``municipality.yml`` may name one, relative to the workspace.
        named: the command's own.

    Raises:
        ArtifactError: see ``parse_mirror``.
    """
    wanted: list[tuple[str | None, Path]] = [
        (named, Path.cwd()),
        (os.environ.get(VARIABLE), Path.cwd()),
        (workspace.municipality.mirror, workspace.path),
    ]
    return list(dict.fromkeys(parse_mirror(text, base) for text, base in wanted if text))


def parse_sums(text: str) -> dict[str, str]:
    """Checksums by name, from the output of ``sha256sum``; lines of other forms are passed over."""
    return {match[2]: match[1] for line in text.splitlines() if (match := _SUMS_LINE.fullmatch(line.strip()))}


def format_sums(sums: dict[str, str]) -> str:
    """What ``sha256sum --check`` reads."""
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))


def shown(url: str) -> str:
    """An address as it may be printed and recorded: without user name and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""
