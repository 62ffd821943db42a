"""What every question of ``provision health`` is answered with, whoever asked it.

A finding is safe to show as text: it is bounded, on one line, and holds no character that steers a terminal. What a
page or a table needs besides (HTML, formulas of a spreadsheet) is the affair of what writes these: ``html.escape``, and
``guarded`` of ``provision.audit.export.spreadsheet``.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from provision.model.municipality import Language
from provision.model.service import Text
from provision.text import printable_line

LANGUAGES: tuple[Language, ...] = ("ca", "es", "en")

State = Literal["ok", "warning", "problem", "unreachable", "unknown"]
#: From well to worst; ``unknown`` is "could not be asked", which is no fault of the service by itself.
STATES: tuple[State, ...] = ("ok", "unknown", "warning", "problem", "unreachable")

#: ``service`` of what belongs to the server itself.
HOST = "host"
#: Longest ``measured``, and longest text of a server inside a sentence, in characters.
MEASURED_LIMIT, VALUE_LIMIT = 300, 120
#: Longest sentence with all its values.
SENTENCE_LIMIT = 600
#: Most figures of one finding.
FIGURES_LIMIT = 32

_PROBE = re.compile(r"[a-z0-9][a-z0-9_.@:/-]{0,119}\Z")
_PLACE = re.compile(r"(\b[Dd]e )?\{([a-z_]{1,30})\}")
#: Before these Catalan says ``d'`` instead of ``de``.
_ELIDES = re.compile(r"[aeiouàèéíòóúh]", re.IGNORECASE)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,60}\Z")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence in the languages that the tool speaks."""

    ca: str
    es: str
    en: str

    @classmethod
    def of(cls, text: Text) -> "Sentence":
        """The sentence of a ``service.yml``."""
        return cls(text.ca, text.es, text.en)

    @classmethod
    def short(cls, title: Text) -> "Sentence":
        """The name of a service as it stands inside a sentence: its title up to the first comma."""
        return cls(*(text.split(",")[0].strip() for text in (title.ca, title.es, title.en)))

    @classmethod
    def plain(cls, text: str) -> "Sentence":
        """What is the same in every language: a number, a name, what a server said."""
        return cls(text, text, text)

    @classmethod
    def joined(cls, parts: Sequence["Sentence"], between: str = ", ") -> "Sentence":
        """Several sentences as one.

        Args:
            between: what stands between two of them, in every language.
        """
        return cls(*(between.join(part.in_(lang) for part in parts) for lang in LANGUAGES))

    def in_(self, lang: Language) -> str:
        """The sentence in one language."""
        return self.ca if lang == "ca" else self.es if lang == "es" else self.en

    def filled(self, **values: object) -> "Sentence":
        """The sentence with values in the places of their names, such as ``{unit}``.

        Args:
            values: what stands there; texts may come from a server: they are bounded and made printable.
                A ``Sentence`` is put in its own language.

        A place without a value stays as it is: no text can make this fail, or reach anything else.
        """

        spoken = {name: value for name, value in values.items() if isinstance(value, Sentence)}
        plain = {
            name: printable_line(str(value), VALUE_LIMIT)
            for name, value in values.items()
            if name not in spoken
        }

        def text(lang: Language) -> str:
            safe = plain | {name: value.in_(lang) for name, value in spoken.items()}

            def put(place: re.Match[str]) -> str:
                value, before = safe.get(place[2]), place[1] or ""
                if value is None:
                    return place[0]
                if before and lang == "ca" and _ELIDES.match(value):
                    before = f"{before[0]}'"
                return before + value

            return _PLACE.sub(put, self.in_(lang))

        return Sentence(*(text(lang) for lang in LANGUAGES))

    def bounded(self, limit: int) -> "Sentence":
        """The sentence on one printable line of so many characters at the most."""
        return Sentence(*(printable_line(self.in_(lang), limit) for lang in LANGUAGES))


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    Args:
        name: with what it counts at its end, as Prometheus wants it: ``disk_free_bytes``, ``clock_offset_seconds``.
        value: a finite number.
        unit: ``B``, ``s``, ``%`` or nothing, as Nagios' performance data have it.
        label: what it is of, where there are several (a mount point, a database).
        warning: from where on (or below what) it is no longer well, where there is such a threshold.
        critical: the same for a problem.

    Raises:
        ValueError: no name for a figure, or no finite number.
    """

    name: str
    value: float
    unit: Literal["", "B", "s", "%"] = ""
    label: str = ""
    warning: float | None = None
    critical: float | None = None

    def __post_init__(self) -> None:
        """Refuse what a monitoring system would choke on."""
        numbers = [number for number in (self.value, self.warning, self.critical) if number is not None]
        if not _NAME.match(self.name) or not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"no figure: {self.name!r} {numbers!r}")
        object.__setattr__(self, "label", printable_line(self.label, 80))


@dataclass(frozen=True, slots=True)
class Finding:
    """One answered question.

    Args:
        service: id of the service, or ``host`` for the server itself.
        host: name of the school's host; empty where it is seen from outside.
        probe: id, stable: monitoring systems key on it. What it is of may follow a colon (``disk:/var``).
        title: what is asked.
        measured: what was seen, in one plain line; ``Sentence.plain`` of what a server said in its own words.
        meaning: what it means for the school; none when all is well.
        remedy: what to do next, with the command; none when all is well.
        seconds: how long asking took.
        figures: numbers, for monitoring systems.

    Raises:
        ValueError: the probe's id is none that a monitoring system can keep.
    """

    service: str
    host: str
    probe: str
    title: Sentence
    state: State
    measured: Sentence
    meaning: Sentence | None
    remedy: Sentence | None
    seconds: float
    figures: tuple[Figure, ...] = ()

    def __post_init__(self) -> None:
        """See that nothing of a server gets in unbounded, whoever made the finding."""
        if not _PROBE.match(self.probe):
            raise ValueError(f"no id of a probe: {self.probe[:130]!r}")
        object.__setattr__(self, "figures", self.figures[:FIGURES_LIMIT])
        object.__setattr__(self, "measured", self.measured.bounded(MEASURED_LIMIT))
        for name in ("title", "meaning", "remedy"):
            sentence: Sentence | None = getattr(self, name)
            if sentence is not None:
                object.__setattr__(self, name, sentence.bounded(SENTENCE_LIMIT))


def probe_id(kind: str, of: str = "") -> str:
    """The id of a probe, ``kind:of``, with everything that an id cannot hold replaced.

    Args:
        of: what it is about, such as a unit or a mount point; may come from a server.
    """
    tail = re.sub(r"[^a-z0-9_.@:/-]", "_", of.lower())[: 118 - len(kind)]
    return f"{kind}:{tail}" if tail else kind
