"""What was measured, as a table for people and as one line of JSON for programs."""

import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One number.

    Args:
        name: for programs; its unit is the last word where it is not seconds.
        what: for people.
        value: in ``unit``.
        aim: what it should be at most, in ``unit``; None where there is none.
        beside: what helps to read it: a ratio, a spread.
        digits: behind the point.
    """

    name: str
    what: str
    value: float
    unit: str = "s"
    aim: float | None = None
    beside: str = ""
    digits: int = 2

    def shown(self) -> str:
        """The number with its unit."""
        return f"{self.value:,.{self.digits}f} {self.unit}"

    def judged(self) -> str:
        """The aim, and whether it was met."""
        if self.aim is None:
            return ""
        return f"at most {self.aim:g} {self.unit}: {'met' if self.value <= self.aim else '[red]missed[/red]'}"


@dataclass(frozen=True)
class Part:
    """What belongs together: one table.

    Args:
        name: for programs.
    """

    name: str
    title: str
    figures: Sequence[Figure]

    def table(self) -> Table:
        """For people."""
        table = Table(title=self.title, title_justify="left")
        aims = any(figure.aim is not None for figure in self.figures)
        table.add_column("what")
        table.add_column("measured", justify="right")
        if aims:
            table.add_column("aim")
        table.add_column("beside it")
        for figure in self.figures:
            judged = [figure.judged()] if aims else []
            table.add_row(figure.what, figure.shown(), *judged, figure.beside)
        return table


def as_line(parts: Iterable[Part]) -> str:
    """Everything as one line of JSON."""
    return json.dumps({part.name: {one.name: round(one.value, 4) for one in part.figures} for part in parts})


def timed(action: Callable[[], object]) -> float:
    """Seconds that an action takes."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def in_turns(rounds: int, actions: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure several things so that what else the machine does falls on all of them.

    Args:
        rounds: how often each; every second round goes backwards.
        actions: each gives its own figure.
    """
    found: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(rounds):
        names = list(actions)
        for name in names if number % 2 == 0 else reversed(names):
            found[name].append(actions[name]())
    return found


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which so many percent of the values lie."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
