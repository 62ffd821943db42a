"""The school's key at rest."""

import json
from pathlib import Path

import pytest

from provision.audit.tlog import Checkpoint, Kind, VerifierKey
from provision.audit.witness import KeyFile, WitnessError, make_key

NAME = "escola-mar.example.cat/custodi"
PHRASE = "quatre gats a la teulada"
TEXT = Checkpoint("provision.example.cat/escola-mar", 1, bytes(32)).text


@pytest.mark.parametrize("ml_dsa", [False, True])
def test_the_sealed_key_opens_with_its_passphrase_only(tmp_path: Path, ml_dsa: bool) -> None:
    public = make_key(tmp_path, NAME, PHRASE, ml_dsa=ml_dsa, log_n=12)
    assert public.kind == (Kind.COSIGNATURE_MLDSA44 if ml_dsa else Kind.COSIGNATURE_ED25519)
    file = KeyFile.read(tmp_path)
    key = file.open(PHRASE)
    assert public.verify(TEXT, key.sign(TEXT, 7)) == 7
    for wrong in ("quatre gats a la teulad", "", None):
        with pytest.raises(WitnessError):
            file.open(wrong)


def test_nothing_of_the_secret_is_in_the_sealed_file(tmp_path: Path) -> None:
    make_key(tmp_path, NAME, PHRASE, log_n=12)
    text = KeyFile.read(tmp_path).open(PHRASE).text
    whole = (tmp_path / "witness.key").read_text()
    assert text.rsplit("+", 1)[1] not in whole
    assert "PRIVATE" not in whole
    assert (tmp_path / "witness.key").stat().st_mode & 0o777 == 0o600


def test_without_a_passphrase_the_key_is_in_clear_for_its_owner_alone(tmp_path: Path) -> None:
    make_key(tmp_path, NAME, None)
    file = KeyFile.read(tmp_path)
    assert not file.sealed
    assert file.open(None).verifier == file.verifier
    assert (tmp_path / "witness.key").stat().st_mode & 0o777 == 0o600


def test_the_public_line_is_written_beside_it(tmp_path: Path) -> None:
    public = make_key(tmp_path, NAME, None)
    assert VerifierKey.parse((tmp_path / "public.vkey").read_text().strip()) == public


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    make_key(tmp_path, NAME, None)
    before = (tmp_path / "witness.key").read_bytes()
    with pytest.raises(WitnessError, match="already"):
        make_key(tmp_path, NAME, None)
    assert (tmp_path / "witness.key").read_bytes() == before


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WitnessError, match="fewer than"):
        make_key(tmp_path, NAME, "curt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "x" * 300])
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WitnessError):
        make_key(tmp_path, name, None)


def test_the_public_half_of_another_key_does_not_fit(tmp_path: Path) -> None:
    make_key(tmp_path, NAME, PHRASE, log_n=12)
    (tmp_path / "other").mkdir()
    other = make_key(tmp_path / "other", NAME, None)
    document = json.loads((tmp_path / "witness.key").read_text()) | {"vkey": other.vkey}
    (tmp_path / "witness.key").write_text(json.dumps(document))
    with pytest.raises(WitnessError):
        KeyFile.read(tmp_path).open(PHRASE)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000, b'{"schema":1,"vkey":[]}', b"x" * 100_000],
)
def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "witness.key").write_bytes(content)
    with pytest.raises(WitnessError):
        KeyFile.read(tmp_path).open("x")


@pytest.mark.parametrize(
    "change", [{"log_n": 40}, {"log_n": "12"}, {"salt": 3}, {"sealed": "%%"}, {"nonce": ""}]
)
def test_a_file_with_hostile_parameters_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    make_key(tmp_path, NAME, PHRASE, log_n=12)
    document = json.loads((tmp_path / "witness.key").read_text()) | change
    (tmp_path / "witness.key").write_text(json.dumps(document))
    with pytest.raises(WitnessError):
        KeyFile.read(tmp_path).open(PHRASE)
