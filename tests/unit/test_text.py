"""Text that comes from elsewhere, made safe to show."""

import socket
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.text import printable, printable_data, printable_line, said_by

TERMINAL = [
    "\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "a\rb", "\x7f", "\x08", "\u202egnp.exe", "\u2066x\u2069", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("text", TERMINAL, ids=ascii)
def test_nothing_that_steers_a_terminal_or_the_direction_of_reading_is_left(text: str) -> None:
    shown = printable(text)
    assert "?" in shown
    assert not any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in shown)
    assert not set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069").intersection(shown)


def test_lines_tabs_and_letters_of_all_languages_stay() -> None:
    text = "l·l ñ € ✓ 漢字 عربى\n\ttab\n"
    assert printable(text) == text


def test_a_line_is_one_line_and_not_too_long() -> None:
    assert printable_line("a\n\tb\x1b[1m") == "a b?[1m"
    assert len(printable_line("x" * 1000, 50)) == 50


def test_every_text_inside_of_data_is_made_printable_keys_as_well() -> None:
    data = {"a\x1b": ["b\x1b", {"c": ("d\x1b", 1, None, True)}]}
    assert printable_data(data) == {"a?": ["b?", {"c": ["d?", 1, None, True]}]}


@given(st.text(st.characters()))
def test_whatever_a_server_sends_can_be_printed(text: str) -> None:
    shown = printable(text)
    assert len(shown.encode()) >= len(text)
    assert all(sign in "\n\t" or unicodedata.category(sign) != "Cc" for sign in shown)
    assert printable(shown) == shown


def test_nothing_that_python_calls_printable_steers_a_terminal() -> None:
    """``printable`` gives such texts back as they are."""
    printable_signs = [chr(code) for code in range(0x110000) if chr(code).isprintable()]
    assert all(unicodedata.category(sign) not in {"Cc", "Cf", "Cs"} for sign in printable_signs)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "nobody knows this name"),
        (TimeoutError("timed out"), "timed out"),
        (EOFError(), "EOFError"),
    ],
)
def test_what_the_network_says_has_no_number_in_front(error: Exception, words: str) -> None:
    assert said_by(error) == words
