"""Security updates that wait, by the files of apt and dpkg."""

from __future__ import annotations

import os
import re
import subprocess

from provision_probe import MOST_THINGS, STEP, UnanswerableError, at, keep, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def order(letter: str) -> int:
    """deb-version(7): a tilde before everything, letters before all other signs."""
    return -1 if letter == "~" else ord(letter) if letter.isalpha() else ord(letter) + 256


def part_key(text: str) -> list[Any]:
    """Something that sorts as dpkg sorts upstream versions and revisions."""
    key: list[Any] = []
    for plain, digits in re.findall(r"([^0-9]*)([0-9]*)", text):
        if plain or digits:
            key.append([*map(order, plain), 0])
            key.append(int(digits or 0))
    # Where one ends, the other may go on with a tilde, which is less than the end, or with something else.
    key.append([0])
    return key


def version_key(version: str) -> list[Any]:
    epoch, mark, rest = version.rpartition(":") if ":" in version else ("0", "", version)
    upstream, mark, revision = rest.rpartition("-")
    if not mark:
        upstream, revision = rest, "0"
    return [int(epoch) if epoch.isdigit() else 0, part_key(upstream), part_key(revision)]


def stanzas(text: str, wanted: set[str]) -> list[dict[str, str]]:
    """The paragraphs of a control file, with some of their fields."""
    pattern = re.compile(rf"^({'|'.join(sorted(wanted))}): (.*)$", re.MULTILINE)
    return [dict(pattern.findall(block)) for block in text.split("\n\n")]


def waiting(lists: list[Path]) -> list[list[str]]:
    """Packages that are there in an older version than the security archive has."""
    status = stanzas(read("/var/lib/dpkg/status", 64 << 20), {"Package", "Status", "Version"})
    there = {
        one["Package"]: one["Version"]
        for one in status
        if one.get("Status", "").endswith(" ok installed") and "Package" in one and "Version" in one
    }
    newest: dict[str, str] = {}
    for path in lists:
        text = path.read_text(errors="replace") if path.name.endswith("_Packages") else unpacked(path)
        for one in stanzas(text, {"Package", "Version"}):
            name, version = one.get("Package", ""), one.get("Version", "")
            if name in there and version:
                former = newest.get(name)
                if former is None or version_key(version) > version_key(former):
                    newest[name] = version
    return [
        [name, there[name], version]
        for name, version in sorted(newest.items())
        if version != there[name] and version_key(version) > version_key(there[name])
    ]


def unpacked(path: Path) -> str:
    """A package list that apt keeps compressed, unpacked by apt itself."""
    command = ["/usr/lib/apt/apt-helper", "cat-file", str(path)]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=STEP, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UnanswerableError(f"apt cannot unpack its lists: {error}") from None
    return done.stdout.decode("utf-8", "replace")


def updates() -> dict[str, Any]:
    """Security updates that wait, and when apt last read its lists and installed updates by itself.

    The lists are large: they are read again only when they, or what is installed, have changed.
    """
    folder = at("/var/lib/apt/lists")
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    # A name as apt gives it: the address with _ for /, and "security" in the suite or in the archive's name.
    lists = sorted(folder.glob(f"*security*_binary-{architecture}_Packages*"))[:16]
    if not lists:
        raise UnanswerableError("apt has read no list of a security archive")
    files = [at("/var/lib/dpkg/status"), *lists]
    stamps = [[str(path), state.st_mtime_ns, state.st_size] for path in files for state in [path.stat()]]
    result: dict[str, Any] = {}

    def change(kept: Any) -> Any:
        if isinstance(kept, dict) and kept.get("of") == stamps and isinstance(kept.get("waiting"), list):
            result["waiting"] = kept["waiting"]
            return kept
        result["waiting"] = waiting(lists)
        return {"of": stamps, "waiting": result["waiting"]}

    keep("updates.json", change)
    found = result["waiting"]
    return {
        "security": len(found),
        "packages": found[:MOST_THINGS],
        "lists_at": newest_of(
            "/var/lib/apt/periodic/update-stamp",
            "/var/lib/apt/periodic/update-success-stamp",
            "/var/lib/apt/lists",
        ),
        "installed_at": newest_of("/var/lib/apt/periodic/unattended-upgrades-stamp"),
    }


def newest_of(*paths: str) -> float | None:
    """When the newest of these was written."""
    return max((at(path).stat().st_mtime for path in paths if at(path).exists()), default=None)
