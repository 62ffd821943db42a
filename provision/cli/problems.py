"""Shows problems of files and hosts: the place, the line itself, what is wrong, what to do."""

import re
import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from provision.cli.output import errors
from provision.errors import Problem
from provision.model import Workspace
from provision.model.document import MAX_BYTES, split_lines

#: The most of a source line that is shown.
_MAX_SHOWN = 100
# A key whose value may be a secret; ``become_password`` is ours, and says yes or no.
_SECRET = re.compile(
    r"(?<![\w-])(?!become_password\b)[\w-]*(?:passw|secret|token|api_?key|contrase)[\w-]*(?=[\"']?\s*[:=])"
    r"|PRIVATE KEY",
    re.IGNORECASE,
)


def render(problems: Sequence[Problem], console: Console) -> None:
    """Print every problem for people.

    Args:
        problems: in the order in which they are to be read.
        console: where to; on a terminal long lines are folded and colours used.
    """
    lines_of = cache(_lines_of)
    for problem in problems:
        lines = lines_of(problem.file) if problem.file and problem.line else ()
        for text in _block(problem, lines, console.width if console.is_terminal else 0):
            console.print(text, soft_wrap=True)
        console.print()


def warn_of_broken(workspace: Workspace) -> bool:
    """Say on standard error which files of schools are wrong; gives whether there are any.

    Args:
        workspace: loaded leniently (``load_workspace``).
    """
    if not workspace.broken:
        return False
    render([problem for problems in workspace.broken.values() for problem in problems], errors)
    names = ", ".join(workspace.broken)
    errors.print(
        f"Files of schools are wrong: {names}. The others are not affected.", style="warn", markup=False
    )
    return True


def as_data(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """The problems for ``--json``, as they stand in ``provision/error/v1``; what is unknown is null."""
    return [
        {
            "file": str(problem.file) if problem.file else None,
            "line": problem.line or None,
            "column": problem.column or None,
            "code": problem.code,
            "message": problem.message,
            "remedy": problem.remedy,
        }
        for problem in problems
    ]


def _block(problem: Problem, lines: Sequence[str], width: int) -> list[Text]:
    """One problem's lines: place, source, message, remedy."""
    block = []
    if problem.file is not None:
        place = str(_from_here(problem.file))
        if problem.line:
            place += f":{problem.line}"
        if problem.column:
            place += f":{problem.column}"
        block.append(Text(place, style="bold"))
    if 0 < problem.line <= len(lines) and lines[problem.line - 1].strip():
        block += _source(lines[problem.line - 1], problem.line, problem.column)
    block += _folded(problem.message, "  ", "  ", width, "bold red" if problem.file is None else "")
    block += _folded(problem.remedy, "  → ", "    ", width, "green") if problem.remedy else []
    return block


def _folded(text: str, first: str, rest: str, width: int, style: str) -> list[Text]:
    if not width:
        return [Text(first + text, style=style)]
    wrapped = textwrap.wrap(
        text,
        max(40, min(width, 100)),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [Text(line, style=style) for line in wrapped]


def _source(line: str, number: int, column: int) -> list[Text]:
    """The line at fault and a mark under the word that is meant."""
    gutter = f"{number:>5} "
    line = line.expandtabs(1) if "\t" not in line[: max(column, 1)] else line.replace("\t", "→")
    start = min(max(column - 1, 0), len(line))
    length = _length(line, start)
    if found := _SECRET.search(line):
        # What comes behind may be the secret itself.
        kept = line[: found.end()]
        line = f"{kept} ..." if line[found.end() :].strip(" :\"'") else line
        start = min(start, len(kept))
        length = min(length, max(1, len(kept) - start))
    if start > _MAX_SHOWN // 2 and len(line) > _MAX_SHOWN:
        cut = start - _MAX_SHOWN // 4
        line, start = f"...{line[cut:]}", start - cut + 3
    if len(line) > _MAX_SHOWN:
        line = f"{line[: _MAX_SHOWN - 3]}..."
    length = max(1, min(length, len(line) - start))
    shown = Text.assemble((f"{gutter}│ ", "dim"), line)
    if not column:
        return [shown]
    before = " " * cell_len(line[:start])
    marks = "^" * max(1, cell_len(line[start : start + length]))
    return [shown, Text.assemble((f"{' ' * len(gutter)}│ ", "dim"), before, (marks, "bold red"))]


def _length(line: str, start: int) -> int:
    """How many characters the word at ``start`` has: a key, a text in quotes, or a plain value."""
    rest = line[start:]
    for form in (r"(\"[^\"]*\"|'[^']*')", r"[^\s:#\[\]{},\"'][^:#\[\]{},]*(?=:(\s|$))"):
        if found := re.match(form, rest):
            return len(found.group())
    value = re.split(r"\s#", rest)[0]
    opened = line[:start]
    if opened.count("[") > opened.count("]") or opened.count("{") > opened.count("}"):
        value = re.split(r"[,\]}]", value)[0]
    return max(1, len(value.rstrip()))


def _from_here(file: Path) -> Path:
    """A path as short as it can be said in the current directory."""
    try:
        return file.relative_to(Path.cwd())
    except ValueError:
        return file


def _lines_of(file: Path) -> tuple[str, ...]:
    """A file's lines to show; none where it cannot be read."""
    try:
        if file.stat().st_size > MAX_BYTES:
            return ()
        return tuple(split_lines(file.read_bytes().decode("utf-8-sig", "replace")))
    except OSError:
        return ()
