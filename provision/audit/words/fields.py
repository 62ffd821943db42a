"""Reading an entry's data without trusting its shape: entries of a later version, and what somebody else wrote."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provision.text import printable_line

#: Longest value that is put into a sentence, in characters.
LIMIT = 300


@dataclass(frozen=True, slots=True)
class Fields:
    """JSON data that may hold anything; every answer has the kind that was asked for.

    Args:
        value: the data; something else than an object has no fields.
    """

    value: Any

    def text(self, *path: str) -> str:
        """The text or number at a path, on one line and safe to show; empty when there is none."""
        found = self._at(path)
        if isinstance(found, bool) or not isinstance(found, str | int):
            return ""
        return printable_line(str(found), LIMIT)

    def whole(self, *path: str) -> int:
        """The whole number at a path; 0 when there is none."""
        found = self._at(path)
        return found if isinstance(found, int) and not isinstance(found, bool) else 0

    def true(self, *path: str) -> bool:
        """Whether ``true`` stands at a path."""
        return self._at(path) is True

    def has(self, *path: str) -> bool:
        """Whether anything stands at a path."""
        return self._at(path) is not None

    def inside(self, *path: str) -> "Fields":
        """What stands at a path."""
        return Fields(self._at(path))

    def items(self, *path: str) -> list["Fields"]:
        """The members of the list at a path; none when it is no list."""
        found = self._at(path)
        return [Fields(item) for item in found] if isinstance(found, list) else []

    def texts(self, *path: str) -> list[str]:
        """The texts of the list at a path."""
        return [text for item in self.items(*path) if (text := item.text())]

    def pairs(self, *path: str) -> list[tuple[str, "Fields"]]:
        """Names and values of the object at a path."""
        found = self._at(path)
        if not isinstance(found, Mapping):
            return []
        return [(printable_line(str(key), LIMIT), Fields(value)) for key, value in found.items()]

    def _at(self, path: tuple[str, ...]) -> Any:
        value = self.value
        for name in path:
            if not isinstance(value, Mapping):
                return None
            value = value.get(name)
        return value
