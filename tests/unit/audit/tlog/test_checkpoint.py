"""The text of a checkpoint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.audit.tlog import EMPTY_ROOT, MAX_SIZE, Checkpoint, NoteError
from tests.unit.audit.tlog.logs import CHECKPOINT, ORIGIN

ROOT = "LP73YnWX4AtWSXV3Stco7yEHBnWfym1kE4xt/By/LNo="


def test_the_vector_is_written_and_read() -> None:
    assert CHECKPOINT.text == f"{ORIGIN}\n3\n{ROOT}\n"
    assert Checkpoint.parse(CHECKPOINT.text) == CHECKPOINT


def test_an_empty_log_has_size_0() -> None:
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert empty.text.split("\n")[1] == "0"
    assert Checkpoint.parse(empty.text) == empty


def test_extension_lines_are_passed_over_and_never_written() -> None:
    read = Checkpoint.parse(CHECKPOINT.text + "something\nmore of it\n")
    assert read == CHECKPOINT
    assert read.text == CHECKPOINT.text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not end"),
        (f"{ORIGIN}\n3\n{ROOT}", "does not end"),
        (f"{ORIGIN}\n3\n", "three lines"),
        (f"{ORIGIN}\n3\n{ROOT}\n\n", "no empty lines"),
        (f"{ORIGIN}\n3\n{ROOT}\n\nextension\n", "no empty lines"),
        (f"\n3\n{ROOT}\n", "no empty lines"),
        (f"with space\n3\n{ROOT}\n", "no space"),
        (f"with\u00a0space\n3\n{ROOT}\n", "no space"),
        (f"with+plus\n3\n{ROOT}\n", "plus sign"),
        (f"with\ttab\n3\n{ROOT}\n", "control characters"),
        (f"{'ü' * 128}\n3\n{ROOT}\n", "longer than 255 bytes"),
        (f"{ORIGIN}\n03\n{ROOT}\n", "leading zeros"),
        (f"{ORIGIN}\n00\n{ROOT}\n", "leading zeros"),
        (f"{ORIGIN}\n+3\n{ROOT}\n", "not a number"),
        (f"{ORIGIN}\n-3\n{ROOT}\n", "not a number"),
        (f"{ORIGIN}\n3 \n{ROOT}\n", "not a number"),
        (f"{ORIGIN}\n1_0\n{ROOT}\n", "not a number"),
        (f"{ORIGIN}\n٣\n{ROOT}\n", "not a number"),
        (f"{ORIGIN}\n3.0\n{ROOT}\n", "not a number"),
        (f"{ORIGIN}\n{MAX_SIZE + 1}\n{ROOT}\n", "too large"),
        (f"{ORIGIN}\n{'9' * 400_000}\n{ROOT}\n", "not a number"),
        (f"{ORIGIN}\n3\n{ROOT[:-1]}\n", "not base64"),
        (f"{ORIGIN}\n3\n{ROOT[4:]}\n", "must have 32 bytes"),
        (f"{ORIGIN}\n3\n{ROOT.replace('No=', 'Np=')}\n", "as it must be written"),
        (f"{ORIGIN}\n3\n{ROOT.replace('/', '_')}\n", "not base64"),
        (f"{ORIGIN}\n3\n {ROOT}\n", "not base64"),
        (f"{ORIGIN}\n3\n{ROOT}=\n", "not base64"),
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str, why: str) -> None:
    with pytest.raises(NoteError, match=why):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [
        ("", 1, EMPTY_ROOT),
        ("a b", 1, EMPTY_ROOT),
        ("a", -1, EMPTY_ROOT),
        ("a", MAX_SIZE + 1, EMPTY_ROOT),
        ("a", 1, b""),
    ],
)
def test_a_checkpoint_that_nobody_could_read_is_not_made(origin: str, size: int, root: bytes) -> None:
    with pytest.raises(NoteError):
        Checkpoint(origin, size, root)


@given(st.integers(0, MAX_SIZE), st.binary(min_size=32, max_size=32))
def test_any_checkpoint_is_read_as_it_was_written(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(ORIGIN, size, root)
    assert Checkpoint.parse(checkpoint.text) == checkpoint


def test_a_message_shows_no_more_than_the_beginning_of_what_is_wrong_and_no_control_character() -> None:
    size = "x\u202e\x9b" * 1000
    with pytest.raises(NoteError) as caught:
        Checkpoint.parse(f"{ORIGIN}\n{size}\n{ROOT}\n")
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()
