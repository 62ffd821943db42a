"""The canonical form: the quick way gives the bytes of the exact implementation of RFC 8785, or leaves it to it."""

from enum import IntEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from provision.audit import canonical as module
from provision.audit.canonical import canonical

# Keys from where UTF-16 and code points sort differently, beside ordinary ones.
KEYS = st.one_of(st.text(max_size=4), st.text("aé\ud7ff\ue000\uffff\U00010000\U0001f600", max_size=3))
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.sampled_from([2**53 - 1, -(2**53) + 1, 2**53, -(2**53)]),
    st.floats(),
    st.text(st.characters(), max_size=8),
    st.text('"\\/\b\f\n\r\t\x00\x1f\x7f\u2028\u2029', max_size=8),
)
VALUES = st.recursive(
    ATOMS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4))
)
#: What we write ourselves.
PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])), inner),
    ),
    max_leaves=20,
)


def outcome(function: Any, value: Any) -> Any:
    try:
        return function(value)
    except (ValueError, TypeError, RecursionError) as error:
        return type(error)


@given(VALUES)
def test_both_ways_give_the_same_bytes_or_refuse_alike(value: Any) -> None:
    assert outcome(canonical, value) == outcome(rfc8785.dumps, value)


@given(PLAIN)
def test_what_we_write_ourselves_takes_the_quick_way_with_the_same_bytes(value: Any) -> None:
    assert module._is_plain(value)
    assert canonical(value) == rfc8785.dumps(value)


class Number(IntEnum):
    ONE = 1


class Word(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [
        {"\U00010000": 1, "\uffff": 2},
        [1.0, 1e21, -0.0, 0.1],
        2**53,
        float("nan"),
        "\ud800",
        {"\ud800": 1},
        {1: "a"},
        {1: "a", "b": 2},
        {None: 1},
        (1, 2),
        b"bytes",
        {1, 2},
        object(),
        Number.ONE,
        {Word("a"): Word("b")},
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0],
)
def test_what_is_out_of_the_ordinary_is_left_to_the_exact_implementation(value: Any) -> None:
    assert outcome(canonical, value) == outcome(rfc8785.dumps, value)


def test_a_value_that_holds_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    for function in (canonical, rfc8785.dumps):
        with pytest.raises(RecursionError):
            function(circle)
