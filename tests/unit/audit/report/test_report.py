"""The report's content and form; how it looks is tried in test_browser.py."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from provision.audit.log import SchoolLog
from provision.audit.report import CATEGORIES, ServiceView, Surroundings, render_report
from provision.audit.report.ens import SECTIONS, framework, matrix
from provision.audit.report.texts import TEXTS
from provision.audit.words import LANGUAGES, Language
from tests.unit.audit.report.sample import Sample, long_log, rich_log
from tests.unit.audit.words.test_words import placeholders

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;{{7*7}}\x1b[2J\u202e"
AROUND = Surroundings(
    school="Escola <Marinada>",
    processor="Ajuntament de Vilafresca",
    processor_contact="TIC, tic@vilafresca.example.org",
    dpo="Montserrat Cabanes, dpd@vilafresca.example.org",
    known=True,
    services=(
        ServiceView(
            "etherpad", {"ca": "Fulls", "es": "Hojas", "en": "Pads"}, hostname="pad.escola.example.org",
            personal_data=("Texts of the pads.",), outbound=(("updates.example.org:443", "News of releases."),),
            settings=(("chat", "true"),),
        ),
    ),
)  # fmt: skip


class Page(HTMLParser):
    """What a page is made of."""

    VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def named(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]

    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> SchoolLog:
    return rich_log(tmp_path_factory.mktemp("report") / "log")


@pytest.fixture(scope="module", params=LANGUAGES)
def page(request: pytest.FixtureRequest, log: SchoolLog) -> tuple[Language, Page]:
    return request.param, Page(
        render_report(log, lang=request.param, now=NOW, surroundings=AROUND, category="medium")
    )


def test_every_language_has_the_same_texts_with_the_same_places_for_names() -> None:
    for lang in LANGUAGES:
        assert TEXTS[lang].keys() == TEXTS["en"].keys()
        for key, text in TEXTS[lang].items():
            assert text.strip()
            assert placeholders(text) == placeholders(TEXTS["en"][key]), (lang, key)


def test_every_element_is_closed_and_the_language_is_declared(page: tuple[Language, Page]) -> None:
    lang, parsed = page
    assert not parsed.unbalanced
    assert not parsed.open
    assert parsed.named("html") == [{"lang": lang}]
    assert len(parsed.named("title")) >= 1


def test_nothing_in_the_page_asks_for_anything_outside(page: tuple[Language, Page]) -> None:
    _, parsed = page
    assert not parsed.named("script", "link", "img", "iframe", "object", "embed", "form", "base", "style src")
    for _, attributes in parsed.tags:
        assert not {"src", "srcset", "style", "background", "action"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
        href = attributes.get("href")
        assert href is None or href.startswith("#")
    policy = next(meta for meta in parsed.named("meta") if meta.get("http-equiv"))
    assert str(policy["content"]).startswith("default-src 'none'; style-src 'sha256-")


def test_headings_come_in_order_and_each_link_leads_somewhere(page: tuple[Language, Page]) -> None:
    _, parsed = page
    levels = [int(tag[1]) for tag, _ in parsed.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in parsed.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    for link in parsed.named("a"):
        assert str(link["href"]).removeprefix("#") in ids
    assert set(SECTIONS) <= set(ids)


def test_tables_have_captions_and_their_headers_a_scope(page: tuple[Language, Page]) -> None:
    _, parsed = page
    tables = parsed.named("table")
    assert len(tables) > 12
    assert len(parsed.named("caption")) == len(tables)
    assert all(header.get("scope") in {"col", "row", "rowgroup"} for header in parsed.named("th"))


def test_charts_have_a_text_and_their_numbers_as_a_table(page: tuple[Language, Page]) -> None:
    _, parsed = page
    charts = [svg for svg in parsed.named("svg") if svg.get("role") == "img"]
    ids = {attributes.get("id") for _, attributes in parsed.tags}
    assert len(charts) == 2
    for chart in charts:
        assert set(str(chart["aria-labelledby"]).split()) <= ids
    assert len(parsed.named("details")) == 2
    assert all(svg.get("aria-hidden") == "true" for svg in parsed.named("svg") if svg.get("role") != "img")


def test_it_tells_who_acted_what_changed_and_how_failures_ended(log: SchoolLog) -> None:
    words = Page(render_report(log, lang="ca", now=NOW, surroundings=AROUND)).words()
    for part in (
        "Mireia Ferrer i Soler", "Jordi Pons i Camps", "mferrer@tic-07",
        "SHA256:9m1Hq0Kcb2yT4oQf7tq0aWmJvQ2mYt3J5ZcXbH2l8sA",
        "9 execucions en el període: 5 bé, 3 amb problemes, 1 sense final.",
        "escriu 1 fitxer: /etc/etherpad/settings.json", "instal·la 9 paquets", "reinicia etherpad.service",
        "el detall de 2 passos s'ha esborrat", "resolt per l'execució del",
        "a main, postgresql, pas «Install PostgreSQL»",
        "ha vist el secret etherpad_api_key", "ha donat accés a main", "anomena una execució que no és al registre",
        "no consta que hagi acabat", "Escriptura del registre interrompuda", "4 d sense cap entrada",
        "Classes tallades mentre es feien", "2 classes, 31 participants (execució r9, escola escola-riu)",
        "amb canvis sense desar", "updates.example.org:443", "pad.escola.example.org", "dpd@vilafresca.example.org",
        "Escola <Marinada>",
    ):  # fmt: skip
        assert part in words, part
    versions = words[words.index("Versions abans i després Servei") :][:200]
    assert "no hi era 3.3.1" in versions


def test_a_period_leaves_out_what_is_outside_but_knows_the_versions_before_it(log: SchoolLog) -> None:
    since, until = datetime(2026, 9, 20, tzinfo=UTC), datetime(2026, 9, 26, tzinfo=UTC)
    words = Page(render_report(log, lang="en", now=NOW, since=since, until=until)).words()
    assert "2 runs in the period: 1 well, 1 with problems, 0 without an end." in words
    assert "Primera instal·lació" not in words
    versions = words[words.index("Versions before and after Service") :][:200]
    assert "3.3.0 3.3.1" in versions


def test_a_failure_is_followed_to_the_good_run_after_the_period(log: SchoolLog) -> None:
    until = datetime(2026, 9, 25, 8, tzinfo=UTC)
    words = Page(render_report(log, lang="en", now=NOW, until=until)).words()
    assert words.count("resolved by the run of") == 2


def test_whatever_stands_in_a_log_is_shown_and_never_obeyed(tmp_path: Path, log: SchoolLog) -> None:
    hostile = Page(render_report(rich_log(tmp_path / "log", HOSTILE), lang="en", now=NOW))
    clean = Page(render_report(log, lang="en", now=NOW))
    assert {tag for tag, _ in hostile.tags} == {tag for tag, _ in clean.tags}
    assert {name for _, found in hostile.tags for name in found} == {
        name for _, found in clean.tags for name in found
    }
    assert "<script>alert(1)</script>" in hostile.words()
    assert "{{7*7}}" in hostile.words()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", hostile.words())


def test_without_a_workspace_it_says_what_it_does_not_know(log: SchoolLog) -> None:
    words = Page(render_report(log, lang="es", now=NOW)).words()
    assert "sin los ficheros del municipio" in words
    assert "por completar" in words
    assert "Etherpad, hojas" in words


@dataclass
class _Finding:
    text: str

    def words(self, lang: str = "en") -> str:
        return f"{self.text} in {lang}"

    def where(self, lang: str = "en") -> str:
        return "entry 4"


@dataclass
class _Verdict:
    ok: bool
    findings: list[_Finding]
    vouched: bool = True

    def line(self, lang: str = "en") -> str:
        return f"<the line in {lang}>"


def test_the_verdict_stands_at_the_top_with_its_findings(log: SchoolLog) -> None:
    good = Page(render_report(log, lang="en", now=NOW, verdict=_Verdict(True, []))).words()
    bad = Page(
        render_report(log, lang="ca", now=NOW, verdict=_Verdict(False, [_Finding("edited")] * 50))
    ).words()
    alone = Page(render_report(log, lang="en", now=NOW, verdict=_Verdict(True, [], vouched=False))).words()
    none = Page(render_report(log, lang="en", now=NOW)).words()
    assert "Verified <the line in en>" in good
    assert "nobody outside vouches for the keys <the line in en>" in alone
    assert "Verified" not in alone
    assert "No verificat <the line in ca>" in bad
    assert bad.count("entry 4: edited in ca") == 40
    assert "I 10 més" in bad
    assert "nobody checked its signatures" in none
    assert bad.index("No verificat") < bad.index("Contingut")


def test_an_empty_period_and_a_log_of_one_entry_can_be_told(tmp_path: Path, log: SchoolLog) -> None:
    later = datetime(2030, 1, 1, tzinfo=UTC)
    assert "No run failed" in render_report(
        log, lang="en", now=NOW, since=later, until=later + timedelta(days=1)
    )
    sample = Sample(tmp_path / "log")
    sample.heartbeats(1)
    assert "no anomena cap servei" in render_report(sample.write(), lang="ca", now=NOW)


def test_ten_thousand_entries_stay_a_file_that_can_be_sent_by_mail(tmp_path: Path) -> None:
    assert len(render_report(long_log(tmp_path / "log", 10_000), lang="ca", now=NOW).encode()) < 1_000_000


def test_the_framework_has_every_measure_of_the_decree_once_and_in_all_languages() -> None:
    measures = framework().measures
    families = {"org": 4, "op.pl": 5, "op.acc": 6, "op.exp": 10, "op.ext": 4, "op.nub": 1, "op.cont": 4,
                "op.mon": 3,
                "mp.if": 7, "mp.per": 4, "mp.eq": 4, "mp.com": 4, "mp.si": 5, "mp.sw": 2, "mp.info": 6,
                "mp.s": 4}  # fmt: skip
    assert [measure.id for measure in measures] == [
        f"{family}.{number}" for family, count in families.items() for number in range(1, count + 1)
    ]
    assert [group.id for group in framework().groups] == list(families)
    for measure in measures:
        assert bool(measure.note) == bool(measure.evidence)
        assert set(measure.evidence) <= set(SECTIONS)


def test_the_matrix_shows_the_column_of_the_category_and_where_the_evidence_is(log: SchoolLog) -> None:
    assert [matrix(category, "en").needed for category in CATEGORIES] == [52, 68, 73]
    rows = {row.id: row for _, _, group in matrix("medium", "ca").groups for row in group}
    assert rows["op.exp.8"].requires == "sí + R1 + R2 + R3 + R4"
    assert rows["op.exp.8"].evidence == ("verdict", "people", "runs")
    assert rows["mp.com.4"].requires == "sí + [R1 o R2 o R3]"
    assert rows["mp.info.4"].requires == "no s'exigeix"
    assert rows["mp.if.4"].evidence == ()
    html = render_report(log, lang="en", now=NOW, category="high")
    row = html[html.index("op.exp.5 Change management") :][:600]
    assert 'href="#runs"' in row
    assert "not covered by this log" in html[html.index("mp.if.4 Electric power") :][:300]
