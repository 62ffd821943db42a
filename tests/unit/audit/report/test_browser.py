"""The report in a real browser, without script: what it asks for, how it is built, whether it can be read."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Request, sync_playwright

from provision.audit.report import render_report
from tests.unit.audit.report.sample import rich_log
from tests.unit.audit.report.test_contrast import contrast
from tests.unit.audit.report.test_report import AROUND, HOSTILE, NOW

pytestmark = pytest.mark.browser

#: For each piece of text that can be seen: the text, its colour, and the nearest background that is not transparent.
COLOURS = """() => {
  const two = part => Number(part).toString(16).padStart(2, '0');
  const hex = value => '#' + value.match(/[0-9.]+/g).slice(0, 3).map(two).join('');
  const clear = value => value === 'transparent' || / 0\\)$/.test(value);
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim(), element = walker.currentNode.parentElement;
    if (!text || !element.checkVisibility() || element.closest('title, desc, style')) continue;
    const style = getComputedStyle(element);
    let ground = element;
    while (ground.parentElement && clear(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement;
    const colour = element.closest('svg') ? style.fill : style.color;
    found.push([text.slice(0, 40), hex(colour), hex(getComputedStyle(ground).backgroundColor)]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("browser")
    html = render_report(
        rich_log(directory / "log"), lang="ca", now=NOW, surroundings=AROUND, category="medium"
    )
    (directory / "good.html").write_text(html, "utf-8")
    hostile = rich_log(directory / "hostile", HOSTILE)
    (directory / "hostile.html").write_text(render_report(hostile, lang="es", now=NOW), "utf-8")
    return directory


@pytest.fixture(scope="module")
def context() -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[
                "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--host-resolver-rules=MAP * ~NOTFOUND",
            ],
        )  # fmt: skip
        yield browser.new_context(java_script_enabled=False, viewport={"width": 1200, "height": 900})
        browser.close()


def opened(context: BrowserContext, file: Path) -> tuple[Page, list[str], list[str]]:
    """A page with the addresses that it asked for and what the browser complained of."""
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []

    def on_request(request: Request) -> None:
        asked.append(request.url)

    page.on("request", on_request)
    page.on("console", lambda message: complaints.append(message.text))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(file.as_uri())
    page.wait_for_load_state("networkidle")
    return page, asked, complaints


@pytest.mark.parametrize("name", ["good.html", "hostile.html"])
def test_the_report_asks_for_nothing_but_itself(context: BrowserContext, reports: Path, name: str) -> None:
    page, asked, complaints = opened(context, reports / name)
    assert asked == [(reports / name).as_uri()]
    assert complaints == []
    assert page.locator("h1").count() == 1
    page.close()


def test_a_screen_reader_finds_landmarks_headings_and_named_tables(
    context: BrowserContext, reports: Path
) -> None:
    page, _, _ = opened(context, reports / "good.html")
    assert page.get_by_role("main").count() == 1
    assert page.get_by_role("banner").count() == 1
    assert page.get_by_role("contentinfo").count() == 1
    assert page.get_by_role("navigation", name="Contingut").count() == 1
    assert page.get_by_role("region", name="Errors i com van acabar").count() == 1
    assert page.get_by_role("table", name="Totes les execucions").count() == 1
    assert page.get_by_role("img", name="Execucions al llarg del temps, per resultat").count() == 1
    assert page.get_by_role("heading", level=2).count() >= 14
    row = page.get_by_role("row", name="op.exp.8")
    assert row.get_by_role("link").first.is_visible()
    page.close()


def test_the_style_applies_although_the_page_forbids_everything_else(
    context: BrowserContext, reports: Path
) -> None:
    page, _, _ = opened(context, reports / "good.html")
    box = page.get_by_role("table", name="Totes les execucions").bounding_box()
    assert box is not None
    assert box["width"] > 900
    verdict = page.locator(".verdict")
    assert verdict.evaluate("element => getComputedStyle(element).borderLeftWidth") == "10px"
    page.close()


def test_on_a_small_screen_nothing_sticks_out_of_the_page(context: BrowserContext, reports: Path) -> None:
    for name in ("good.html", "hostile.html"):
        page, _, _ = opened(context, reports / name)
        page.set_viewport_size({"width": 360, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.close()


def test_every_text_as_it_is_drawn_has_enough_contrast(context: BrowserContext, reports: Path) -> None:
    page, _, _ = opened(context, reports / "good.html")
    found = page.evaluate(COLOURS)
    assert len(found) > 300
    low = [(text, colour, ground) for text, colour, ground in found if contrast(colour, ground) < 4.5]
    assert low == []
    page.close()


def test_the_keyboard_shows_where_it_is(context: BrowserContext, reports: Path) -> None:
    page, _, _ = opened(context, reports / "good.html")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Ves al contingut"
    page.keyboard.press("Tab")
    assert page.locator(":focus").evaluate("element => getComputedStyle(element).outlineWidth") == "3px"
    page.close()


def test_it_prints_on_paper_of_a4(context: BrowserContext, reports: Path) -> None:
    page, _, _ = opened(context, reports / "good.html")
    paper = page.pdf(prefer_css_page_size=True)
    assert paper.startswith(b"%PDF")
    assert b"/MediaBox [0 0 594.95996 841.91998]" in paper or b"/MediaBox [0 0 595" in paper
    page.emulate_media(media="print")
    assert not page.get_by_role("navigation").is_visible()
    page.close()
