"""The page in a real browser, without script: what it asks for, how it is built, whether it can be read."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from provision.health.render import as_page
from provision.health.result import STATES
from tests.unit.audit.report.test_browser import COLOURS, opened
from tests.unit.audit.report.test_contrast import contrast
from tests.unit.health.sample import NOW, answers, finding, hostile, past

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("health-page")
    schools = [
        answers(
            f"escola-{state}",
            finding("page", state),
            finding("unit", state, host="main"),
            name=f"Escola {state}",
        )
        for state in STATES
    ]
    checks = {answers.school: past(*STATES) for answers in schools}
    for name, shown in (("good.html", [answers(), *schools]), ("hostile.html", [hostile(), answers()])):
        html = as_page(
            "Vilafresca", shown, checks,
            lang="ca", zone=ZoneInfo("Europe/Madrid"), zone_name="Europe/Madrid", now=NOW,
        )  # fmt: skip
        (directory / name).write_text(html, "utf-8")
    return directory


@pytest.fixture(scope="module")
def context() -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"],
        )
        yield browser.new_context(java_script_enabled=False, viewport={"width": 1200, "height": 900})
        browser.close()


@pytest.fixture
def page(context: BrowserContext, pages: Path) -> Iterator[Page]:
    shown, _, _ = opened(context, pages / "good.html")
    yield shown
    shown.close()


@pytest.mark.parametrize("name", ["good.html", "hostile.html"])
def test_the_page_asks_for_nothing_but_itself(context: BrowserContext, pages: Path, name: str) -> None:
    shown, asked, complaints = opened(context, pages / name)
    assert asked == [(pages / name).as_uri()]
    assert complaints == []
    assert shown.locator("script, img, iframe, object, form, input").count() == 0
    shown.close()


def test_a_screen_reader_finds_landmarks_headings_the_table_and_the_lines(page: Page) -> None:
    for role in ("main", "banner", "contentinfo"):
        assert page.get_by_role(role).count() == 1  # type: ignore[arg-type]
    assert page.get_by_role("heading", level=1).count() == 1
    table = page.get_by_role("table", name="Com estan les escoles")
    assert table.get_by_role("row").count() == 7
    assert table.get_by_role("columnheader").count() == 4
    row = table.get_by_role("row", name="Escola problem")
    assert row.get_by_role("img", name="Estat de Escola problem, les últimes 24 hores").count() == 1
    assert row.get_by_role("cell", name="problema", exact=True).count() == 1


def test_on_a_phone_it_stays_a_table_for_the_screen_reader_and_nothing_sticks_out(
    context: BrowserContext, pages: Path
) -> None:
    for name in ("good.html", "hostile.html"):
        shown, _, _ = opened(context, pages / name)
        shown.set_viewport_size({"width": 360, "height": 800})
        assert shown.evaluate("document.documentElement.scrollWidth") <= 360
        assert shown.get_by_role("table").get_by_role("columnheader").count() == 4
        shown.close()


def test_every_text_as_it_is_drawn_has_enough_contrast(page: Page) -> None:
    found = page.evaluate(COLOURS)
    assert len(found) > 100
    assert [row for row in found if contrast(row[1], row[2]) < 4.5] == []


def test_the_keyboard_leads_from_the_row_to_the_school_and_opens_a_service(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Ves a la taula"
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Escola unreachable"
    assert page.locator(":focus").evaluate("element => getComputedStyle(element).outlineWidth") == "3px"
    page.keyboard.press("Enter")
    assert page.url.endswith("#school-0")
    closed = page.locator("details:not([open])").first
    closed.locator("summary").focus()
    assert not closed.locator(".findings").first.is_visible()
    page.keyboard.press("Enter")
    assert page.locator("details:focus-within .findings").first.is_visible()


def test_without_colours_every_state_can_still_be_told(page: Page) -> None:
    styles = page.evaluate(
        "() => [...document.querySelectorAll('table.schools tbody th')].map(th => [th.className,"
        " getComputedStyle(th).borderLeftStyle])"
    )
    by_state = dict(styles)
    assert set(by_state) == set(STATES)
    assert len(set(by_state.values())) == len(STATES)


def test_it_prints_on_paper_of_a4(page: Page) -> None:
    paper = page.pdf(prefer_css_page_size=True)
    assert paper.startswith(b"%PDF")
    assert b"/MediaBox [0 0 594.95996 841.91998]" in paper or b"/MediaBox [0 0 595" in paper
