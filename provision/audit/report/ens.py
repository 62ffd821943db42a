"""The measures of the Spanish National Security Framework, and where the report has evidence for each."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict

from provision.audit.report.texts import TEXTS
from provision.audit.words.terms import Language

Category = Literal["basic", "medium", "high"]
CATEGORIES: tuple[Category, ...] = get_args(Category)
#: Sections of the report, in order; their texts have the same keys.
SECTIONS = (
    "verdict", "summary", "people", "services", "versions", "runs", "failures", "access", "data", "unexplained",
    "governance", "ens", "gdpr", "method",
)  # fmt: skip
_FILE = Path(__file__).with_name("ens.yml")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Text(_Strict):
    ca: str
    es: str
    en: str


class _Requires(_Strict):
    basic: str
    medium: str
    high: str


class Measure(_Strict):
    """A measure of annex II.

    Args:
        depends_on: initials of the dimensions whose level decides; empty: the system's category.
        requires: by category, in the decree's notation.
        evidence: sections of the report; empty: the log does not cover it.
    """

    id: str
    depends_on: str
    title: _Text
    requires: _Requires
    evidence: tuple[str, ...] = ()
    note: _Text | None = None


class Group(_Strict):
    """Measures that belong together, such as ``op.exp``."""

    id: str
    title: _Text


class Framework(_Strict):
    """The whole of ``ens.yml``."""

    measures: tuple[Measure, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A measure as the matrix shows it."""

    id: str
    title: str
    required: bool
    requires: str
    evidence: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """The matrix for a category.

    Args:
        groups: title and rows of each group.
        needed: measures that the category asks for. covered: those of them with evidence here.
    """

    groups: tuple[tuple[str, str, tuple[Row, ...]], ...]
    needed: int
    covered: int


@cache
def framework() -> Framework:
    """The measures as they are shipped."""
    return Framework.model_validate(yaml.safe_load(_FILE.read_text(encoding="utf-8")))


def matrix(category: Category, lang: Language) -> Matrix:
    """The measures for a category, in a language."""
    rows = {measure.id: _row(measure, category, lang) for measure in framework().measures}
    required = [row for row in rows.values() if row.required]
    return Matrix(
        groups=tuple(
            (
                group.id,
                getattr(group.title, lang),
                tuple(row for row in rows.values() if _group(row.id) == group.id),
            )
            for group in framework().groups
        ),
        needed=len(required),
        covered=sum(bool(row.evidence) for row in required),
    )


def _group(measure: str) -> str:
    return measure.rpartition(".")[0]


def _row(measure: Measure, category: Category, lang: Language) -> Row:
    said: str = getattr(measure.requires, category)
    words = {"aplica": TEXTS[lang]["applies"], "n.a.": TEXTS[lang]["not_required"]}
    between = f" {TEXTS[lang]['or']} "
    return Row(
        id=measure.id,
        title=getattr(measure.title, lang),
        required=said != "n.a.",
        requires=words.get(said) or f"{words['aplica']} {said.replace(' o ', between)}",
        evidence=measure.evidence,
        note=getattr(measure.note, lang) if measure.note else "",
    )
