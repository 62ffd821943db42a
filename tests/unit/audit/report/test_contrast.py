"""WCAG 2.1, success criterion 1.4.3: text against its background has a contrast of 4.5 or more."""

import re

import pytest

from provision.paths import TEMPLATES

CSS = (TEMPLATES / "report" / "report.css").read_text("utf-8")
VARIABLES = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", CSS))
#: Backgrounds that a rule without its own may stand on: the page, and the head of a table.
GROUNDS = (VARIABLES["paper"], VARIABLES["soft"])


def colours() -> list[tuple[str, str, str]]:
    """Selector, colour and background of each rule that sets a colour of text."""
    found = []
    for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", CSS):
        colour = re.search(r"(?<![-\w])(?:color|fill): var\(--([a-z-]+)\)", body)
        if not colour:
            continue
        own = re.search(r"background: var\(--([a-z-]+)\)", body)
        grounds = (VARIABLES[own[1]],) if own else GROUNDS
        found.extend((selector.strip(), VARIABLES[colour[1]], ground) for ground in grounds)
    return found


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.1, definitions)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_measure_knows_black_on_white() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") < 4.5


def test_every_text_has_enough_contrast() -> None:
    found = colours()
    assert len(found) > 15
    for selector, colour, ground in found:
        assert contrast(colour, ground) >= 4.5, (selector, colour, ground)


def test_every_colour_of_a_text_is_one_of_the_palette() -> None:
    assert not re.search(r"(?<![-\w])color: (?!var\(--)", CSS)


def test_a_link_in_a_table_head_or_a_verdict_is_readable_as_well() -> None:
    for ground in ("paper", "soft", "good-soft", "bad-soft", "warn-soft"):
        assert contrast(VARIABLES["accent"], VARIABLES[ground]) >= 4.5
        assert contrast(VARIABLES["ink"], VARIABLES[ground]) >= 4.5
