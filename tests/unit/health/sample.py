"""Answers of schools for the tests of what shows them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from provision.health.ask import Answers, key_of
from provision.health.history import Check
from provision.health.result import Figure, Finding, Sentence, State

NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
#: What a broken or hostile server may send: steers a terminal, a page, a spreadsheet, Prometheus, Nagios, a shell.
HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e <script>alert(1)</script><img src=x onerror=alert(2)> "
    '=cmd|"/c calc"!A1 "} 1\n# TYPE x counter\nprovision_probe_ok{school="x"} 1\\ \'x\'=1;2 | evil=1 `id` $HOME$ \r\n'
)


def words(text: str) -> Sentence:
    return Sentence(f"{text} (ca)", f"{text} (es)", f"{text} (en)")


def finding(
    probe: str = "page",
    state: State = "ok",
    *,
    service: str = "pads",
    host: str = "",
    measured: str | Sentence = "answers 200",
    meaning: str = "Nobody can write.",
    remedy: str = "Run provision apply escola-mar, or call the city.",
    figures: tuple[Figure, ...] = (),
) -> Finding:
    bad = state != "ok"
    seen = measured if isinstance(measured, Sentence) else Sentence.plain(measured)
    return Finding(
        service, host, probe, words(f"Question {probe}"), state, seen,
        words(meaning) if bad else None, words(remedy) if bad else None, 0.12, figures,
    )  # fmt: skip


DISK = Figure("disk_free_bytes", 12_000_000_000, "B", "/var", warning=5e9, critical=1e9)
LOAD = Figure("cpu_used_percent", 12.5, "%", warning=80, critical=95)


def answers(school: str = "escola-mar", *findings: Finding, name: str = "Escola Mar") -> Answers:
    made = findings or (
        finding(),
        finding("unit", "problem", host="main", measured="failed"),
        finding("disk:/var", "ok", service="host", host="main", measured="12 GB free", figures=(DISK, LOAD)),
        finding("certificate", "warning", service="host", host="main", measured="6 days left"),
    )
    gave = Answers(
        school, name, tuple(made), NOW, 1.25, titles={"pads": Sentence("Fulls", "Hojas", "Pads & more")}
    )
    return replace(gave, since={key_of(one): NOW - timedelta(hours=3) for one in made})


def hostile() -> Answers:
    """Every field that a server, a role or a school file has a say in, at its worst."""
    evil = Finding(
        HOSTILE, HOSTILE, "page", Sentence(HOSTILE, HOSTILE, HOSTILE), "problem", Sentence.plain(HOSTILE),
        Sentence(HOSTILE, HOSTILE, HOSTILE), Sentence(HOSTILE, HOSTILE, HOSTILE), 1.0,
        (Figure("disk_free_bytes", 1.5, "B", HOSTILE), Figure("errors_total", 2)),
    )  # fmt: skip
    other = replace(evil, service="pads", host="main", probe="a:b/c@d")
    return Answers(
        HOSTILE, HOSTILE, (evil, other), NOW, 1.0, titles={"pads": Sentence(HOSTILE, HOSTILE, HOSTILE)}
    )


def past(*states: State, step: timedelta = timedelta(hours=1)) -> list[Check]:
    """Askings up to now, from old to new."""
    return [
        Check(NOW - step * (len(states) - 1 - place), state, 1.0, True, {state: 1}, ())
        for place, state in enumerate(states)
    ]


def bare(text: str) -> bool:
    """Whether no character steers a terminal, line breaks and spaces that hold together aside."""
    return all(sign.isprintable() or sign in "\n\N{NO-BREAK SPACE}" for sign in text)
