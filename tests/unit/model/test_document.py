"""How a YAML file becomes plain data with places."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provision.model.document import (
    MAX_BYTES,
    MAX_DEPTH,
    Document,
    parse_document,
    read_document,
    split_lines,
)

FILE = Path("school.yml")

plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.dates()
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcxyz", min_size=1, max_size=5), inner)
    ),
    max_leaves=12,
)


class _NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def parse(text: str | bytes) -> Document:
    return parse_document(FILE, text.encode() if isinstance(text, str) else text)


def test_the_place_of_each_key_and_value_is_known() -> None:
    document = parse("a: 1\nb:\n  - x\n  - {c: 'é y'}\n")
    assert document.data == {"a": 1, "b": ["x", {"c": "é y"}]}
    place = document.places["b", 1, "c"]
    assert (place.line, place.column, place.key_line, place.key_column) == (4, 9, 4, 6)
    assert place.text == "é y"
    assert place.quoted
    assert not document.places["a",].quoted


def test_columns_count_characters_not_bytes() -> None:
    assert parse("ééé: {b: x}\n").places["ééé", "b"].column == 10


def test_a_place_that_is_not_in_the_file_is_its_nearest_parent() -> None:
    document = parse("tls:\n  mode: acme\n")
    # pydantic names the member of a union between the keys.
    assert document.nearest(("tls", "acme", "mode"))[0] == ("tls", "mode")
    assert document.nearest(("tls", "acme", "email"))[0] == ("tls",)
    assert document.problem(("nothing",), "x", code="x").line == 1


@given(plain_values)
def test_what_pyyaml_reads_we_read_the_same(value: object) -> None:
    text = yaml.dump({"key": value}, Dumper=_NoAliases, allow_unicode=True)
    document = parse_document(FILE, text.encode(), plain=False)
    assert document.problems == []
    assert document.data == yaml.safe_load(text)


@given(st.binary(max_size=200))
def test_any_bytes_give_data_or_a_problem_inside_the_file(raw: bytes) -> None:
    check(parse(raw), raw)


@given(st.text("ab:-#{}[]&*!|>'\"%@`,? \t\n\r\u0085\u2028é0.~<=", max_size=60))
def test_any_text_gives_data_or_a_problem_inside_the_file(text: str) -> None:
    check(parse(text), text.encode())


def check(document: Document, raw: bytes) -> None:
    assert document.data is not None or document.problems or () in document.places
    lines = split_lines(raw.decode("utf-8-sig", "replace"))
    for problem in document.problems:
        assert 1 <= problem.line <= len(lines)
        assert problem.column >= 1
        assert problem.message
        assert problem.code


def test_a_file_that_is_too_large_is_not_parsed() -> None:
    assert [problem.code for problem in parse(b"a: b\n" * MAX_BYTES).problems] == ["too-large"]


@pytest.mark.parametrize("opener", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused_and_does_not_exhaust_the_stack(opener: str) -> None:
    document = parse(opener * 50_000)
    assert {problem.code for problem in document.problems} <= {"too-deep", "bad-key"}
    assert document.problems


def test_nesting_up_to_the_limit_is_read() -> None:
    depth = MAX_DEPTH - 1
    assert parse("[" * depth + "]" * depth).problems == []


def test_an_alias_is_refused_before_it_can_multiply() -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n"
    document = parse(bomb)
    assert {problem.code for problem in document.problems} == {"alias"}
    assert len(document.problems) == 6


def test_numbers_of_absurd_length_are_texts() -> None:
    digits = "9" * 100_000
    assert parse(f"a: {digits}\n").data == {"a": digits}


def test_what_only_looks_like_a_date_is_a_text() -> None:
    assert parse("a: 2026-02-31\n").data == {"a": "2026-02-31"}


def test_a_refused_entry_of_a_list_leaves_the_places_of_the_others_right() -> None:
    document = parse('a: [x, "{{ y }}", z]\n')
    assert document.data == {"a": ["x", None, "z"]}
    assert document.places["a", 2].text == "z"
    assert document.broken == {("a", 1)}


def test_templates_are_allowed_in_files_of_a_role() -> None:
    document = parse_document(FILE, b'a: "{{ b }}"\n', plain=False)
    assert document.problems == []
    assert document.data == {"a": "{{ b }}"}


def test_a_file_that_is_missing_or_a_directory_is_a_problem(tmp_path: Path) -> None:
    assert [problem.code for problem in read_document(tmp_path / "no.yml").problems] == ["unreadable"]
    assert [problem.code for problem in read_document(tmp_path).problems] == ["unreadable"]


def test_a_byte_order_mark_and_windows_line_ends_are_read() -> None:
    document = parse(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert document.data == {"a": 1, "b": 2}
    assert document.places["b",].line == 2
