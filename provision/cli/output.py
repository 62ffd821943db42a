"""Printing: one place that knows whether a person or a program reads us."""

import io
import json
import os
import sys
from typing import Any, TextIO, cast

import typer
from rich.console import Console, ConsoleDimensions
from rich.theme import Theme

from provision.errors import UsageError

_THEME = Theme(
    {
        "good": "green",
        "bad": "bold red",
        "warn": "yellow",
        "quiet": "dim",
        "name": "bold",
        "add": "green",
        "change": "yellow",
    }
)

_YES = frozenset({"y", "yes", "s", "si", "sí"})
_NO = frozenset({"n", "no"})

#: Columns of what goes into a file or a pipe: more than any line of ours has.
_UNWRAPPED = 1000


class _Console(Console):
    """A console that wraps for a person's terminal only.

    A file or a pipe has no width: nothing is wrapped there, so that ``grep`` finds whole words. The stream is
    asked at each print, not once, since a test or a caller may have put another in its place meanwhile.
    """

    @property
    def size(self) -> ConsoleDimensions:
        """Columns and lines to write for."""
        if self.file.isatty():
            return super().size
        return ConsoleDimensions(_UNWRAPPED, 25)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        Console.size.fset(self, new_size)  # type: ignore[attr-defined]


#: Results, for people. No colour and no control codes unless it is a terminal (NO_COLOR is honoured by rich).
console = _Console(theme=_THEME, highlight=False)
#: Progress, questions, warnings and errors.
errors = _Console(theme=_THEME, highlight=False, stderr=True)


def file_console(file: TextIO) -> Console:
    """A console that writes results into a file: no colour, nothing wrapped."""
    return _Console(theme=_THEME, highlight=False, file=file)


class _Stream(io.FileIO):
    """Standard output or standard error, whose reader may go away: what is written then goes nowhere.

    ``provision runs list | head`` is no error; and a run whose words nobody reads any more has to end as it would have
    ended, with the exit code that it would have had.
    """

    gone = False

    def write(self, data: Any) -> int:
        """How many bytes were taken."""
        try:
            return super().write(data)
        except BrokenPipeError:
            self.gone = True
            return memoryview(data).nbytes


def outlive_readers() -> None:
    """From now on a reader of ours that goes away stops nothing."""
    for name in ("stdout", "stderr"):
        old = cast(TextIO | None, getattr(sys, name))
        if old is None:
            # Closed by whoever called us.
            continue
        old.flush()
        raw = _Stream(old.fileno(), "wb", closefd=False)
        stream = io.TextIOWrapper(
            io.BufferedWriter(raw),
            encoding=old.encoding,
            errors=old.errors,
            line_buffering=name == "stderr" or raw.isatty(),
        )
        setattr(sys, name, stream)


def reader_gone() -> bool:
    """Whether nobody reads standard output any more; whoever writes without end asks."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _Stream) and raw.gone


class _Mode:
    json = False


def set_json(value: bool) -> bool:
    """Callback of ``--json``: from now on errors are printed as JSON as well."""
    _Mode.json = _Mode.json or value
    return value


def json_wanted() -> bool:
    """Whether a program reads us."""
    return _Mode.json


def as_json(schema: str, data: dict[str, Any]) -> str:
    """One JSON document as text.

    Args:
        schema: name and version of its shape, such as ``provision/plan/v1``.
        data: what stands beside ``schema`` at the top level.
    """
    return json.dumps({"schema": schema, **data}, indent=2, ensure_ascii=False, default=str) + "\n"


def emit_json(schema: str, data: dict[str, Any]) -> None:
    """Print one JSON document on standard output.

    Args:
        schema: name and version of its shape, such as ``provision/plan/v1``.
        data: what stands beside ``schema`` at the top level.
    """
    sys.stdout.write(as_json(schema, data))
    sys.stdout.flush()


def interactive() -> bool:
    """Whether there is a person who can answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty() and os.environ.get("CI") != "true"


def confirm(question: str, *, yes: bool, remedy: str = "say --yes") -> None:
    """Ask whether to go on; who says no ends the command.

    Args:
        question: what is asked.
        yes: it was answered already, with ``--yes``.
        remedy: what to do where there is nobody.

    Raises:
        UsageError: there is nobody to ask.
        typer.Abort: the answer is no.
    """
    if yes:
        return
    if not interactive():
        raise UsageError("there is nobody to ask", remedy)
    if not agreed(question):
        raise typer.Abort


def agreed(question: str, *, default: bool = False) -> bool:
    """The answer to a question: yes or no, in any of our languages.

    Args:
        default: what an empty answer means.
    """
    while True:
        answer = typer.prompt(
            question,
            default="",
            show_default=False,
            prompt_suffix=" [Y/n]: " if default else " [y/N]: ",
            err=True,
        )
        word = answer.strip().casefold()
        if not word:
            return default
        if word in _YES | _NO:
            return word in _YES
        errors.print("Answer yes or no: y or n (s, si).", style="warn", markup=False)
