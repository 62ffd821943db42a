"""Signed notes, and the keys that sign them."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.audit.tlog import (
    MAX_NOTE,
    MAX_SIGNATURES,
    MAX_SIZE,
    Checkpoint,
    Kind,
    Note,
    NoteError,
    Opened,
    Signature,
    SignerKey,
    VerifierKey,
    open_note,
)
from tests.unit.audit.tlog.logs import (
    AUDITOR,
    CHECKPOINT,
    CITY,
    CITY_ECDSA,
    CITY_MLDSA,
    NOTE,
    ORIGIN,
    SCHOOL,
    TIME,
)

#: Made with other programs from the keys 1 and 2 of RFC 8032, three entries and the time 1760000000.
VECTOR = """provision.example.cat/escola-exemple
3
LP73YnWX4AtWSXV3Stco7yEHBnWfym1kE4xt/By/LNo=

— provision.example.cat/escola-exemple Jo4uweqTSYJHwvY+8NBpCWhbrlkUQOLcfFluT2v907ekDozannkStT3ZmkeED1ucSFu7p6YTzgrf1tRZdYPXI5mcTQI=
— escola-exemple.example.cat/custodi E37KpAAAAABo53gAnWL/zI3nSy9QErJAH8XrdCoD6odS3oes8qdBfeM9NfielKWT35kI/tP9D6MfmcXp89gNz8LvDcAM1RF/l8lxBw==
"""  # noqa: E501
CITY_VKEY = "provision.example.cat/escola-exemple+268e2ec1+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
SCHOOL_VKEY = "escola-exemple.example.cat/custodi+137ecaa4+BD1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM"
#: The example of signed-note.md.
SPEC_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = """This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""
#: The keys of all kinds.
SIGNERS = [CITY, CITY_ECDSA, CITY_MLDSA, SCHOOL, AUDITOR]
TEXT = CHECKPOINT.text


def test_the_vector_is_made_to_the_byte() -> None:
    assert NOTE.encode().decode() == VECTOR
    assert (CITY.verifier.vkey, SCHOOL.verifier.vkey) == (CITY_VKEY, SCHOOL_VKEY)


def test_the_vector_is_verified() -> None:
    keys = [VerifierKey.parse(CITY_VKEY), VerifierKey.parse(SCHOOL_VKEY)]
    assert open_note(Note.parse(VECTOR.encode()), keys) == [Opened(keys[0], None), Opened(keys[1], TIME)]


def test_the_example_of_the_specification_is_verified() -> None:
    key = VerifierKey.parse(SPEC_VKEY)
    assert open_note(Note.parse(SPEC_NOTE.encode()), [key]) == [Opened(key, None)]
    with pytest.raises(NoteError, match="is wrong"):
        open_note(Note.parse(SPEC_NOTE.replace("an example", "no example").encode()), [key])


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda one: one.kind.name)
def test_each_kind_of_key_verifies_what_it_signed_and_nothing_else(signer: SignerKey) -> None:
    when = TIME if signer.kind.timestamped else None
    signature = signer.sign(TEXT, when)
    assert signer.verifier.verify(TEXT, signature) == when
    for changed in (
        TEXT.replace("\n3\n", "\n4\n"),
        TEXT.replace("escola", "escala"),
        Checkpoint(ORIGIN, 3, bytes(32)).text,
    ):
        with pytest.raises(NoteError, match="is wrong"):
            signer.verifier.verify(changed, signature)
    for place in (0, 7, 8, 20, len(signature.value) - 1):
        changed_value = bytearray(signature.value)
        changed_value[place] ^= 1
        with pytest.raises(NoteError):
            signer.verifier.verify(TEXT, Signature(signature.name, signature.key_id, bytes(changed_value)))
    for value in (signature.value[:-1], signature.value + b"\0", b"\0", signature.value[:8]):
        with pytest.raises(NoteError):
            signer.verifier.verify(TEXT, Signature(signature.name, signature.key_id, value))


@pytest.mark.parametrize("signer", SIGNERS, ids=lambda one: one.kind.name)
def test_keys_are_written_and_read_again(signer: SignerKey) -> None:
    assert SignerKey.parse(signer.text) == signer
    assert VerifierKey.parse(signer.verifier.vkey) == signer.verifier
    assert signer.text.startswith(f"PRIVATE+KEY+{signer.name}+{signer.verifier.key_id.hex()}+")


def test_a_private_key_is_shown_nowhere_but_in_its_text() -> None:
    for signer in SIGNERS:
        assert signer.secret.hex() not in repr(signer)
        assert repr(signer.secret) not in repr(signer)
    word = CITY.text.rsplit("+", 1)[1]
    for broken in (CITY.text[:-3], CITY.text[:-4] + "?AAA", CITY.text.replace("+KEY", ""), f"{word}+{word}"):
        with pytest.raises(NoteError) as caught:
            SignerKey.parse(broken)
        assert word[:10] not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (CITY.text.replace("268e2ec1", "268e2ec2"), "damaged"),
        (CITY.text.replace("+268e2ec1", ""), "not written as"),
        ("PRIVATE+KEY+a+00000000+", "is empty"),
        ("PRIVATE+KEY+a+00000000+Aw==", "type 0x03"),
        ("PRIVATE+KEY+a+00000000+AQ==", "wrong length"),
        ("PRIVATE+KEY+a+00000000+BgAA", "wrong length"),
        ("PRIVATE+KEY+a+00000000+AgAA", "PKCS #8"),
        ("PRIVATE+KEY+" + "a" * 5000, "does not begin"),
    ],
)
def test_a_private_key_that_is_damaged_is_refused(text: str, why: str) -> None:
    with pytest.raises(NoteError, match=why):
        SignerKey.parse(text)


def test_an_ecdsa_key_must_be_on_p256_and_spelled_in_one_way() -> None:
    other = generate_private_key(SECP384R1())
    with pytest.raises(NoteError, match="P-256"):
        SignerKey("a", Kind.ECDSA, other.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(NoteError, match="P-256"):
        VerifierKey(
            "a", Kind.ECDSA, other.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        )
    point = (
        generate_private_key(SECP256R1())
        .public_key()
        .public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    )
    compressed = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + point
    with pytest.raises(NoteError, match="uncompressed"):
        VerifierKey("a", Kind.ECDSA, compressed)
    with pytest.raises(NoteError, match="not a public key"):
        VerifierKey("a", Kind.ECDSA, b"0" * 91)


def test_the_id_of_an_ecdsa_key_does_not_depend_on_its_name() -> None:
    assert CITY_ECDSA.verifier.key_id == SignerKey("other", Kind.ECDSA, CITY_ECDSA.secret).verifier.key_id
    assert CITY.verifier.key_id != SignerKey("other", Kind.ED25519, CITY.secret).verifier.key_id


def test_one_secret_has_another_id_for_each_kind_of_signature() -> None:
    cosigner = SignerKey(ORIGIN, Kind.COSIGNATURE_ED25519, CITY.secret)
    assert cosigner.verifier.public == CITY.verifier.public
    assert cosigner.verifier.key_id != CITY.verifier.key_id
    with pytest.raises(NoteError, match="not by the key"):
        cosigner.verifier.verify(TEXT, CITY.sign(TEXT))


def test_a_cosignature_is_signed_as_the_specification_lays_it_out() -> None:
    value = SCHOOL.sign(TEXT, 1).value
    assert value[:8] == bytes([0, 0, 0, 0, 0, 0, 0, 1])
    signed = b"cosignature/v1\ntime 1\n" + TEXT.encode()
    Ed25519PublicKey.from_public_bytes(SCHOOL.verifier.public).verify(value[8:], signed)

    value = AUDITOR.sign(TEXT, 258).value
    assert value[:8] == bytes([0, 0, 0, 0, 0, 0, 1, 2])
    signed = (
        b"subtree/v1\n\0\x12auditor.example/w1\0\0\0\0\0\0\x01\x02\x24provision.example.cat/escola-exemple"
        + bytes(8) + bytes([0, 0, 0, 0, 0, 0, 0, 3]) + CHECKPOINT.root
    )  # fmt: skip
    MLDSA44PublicKey.from_public_bytes(AUDITOR.verifier.public).verify(value[8:], signed)


def test_a_post_quantum_cosignature_is_bound_to_the_name_of_its_key() -> None:
    other = SignerKey("another.example/w1", Kind.COSIGNATURE_MLDSA44, AUDITOR.secret)
    value = AUDITOR.sign(TEXT, TIME).value
    with pytest.raises(NoteError, match="is wrong"):
        other.verifier.verify(TEXT, Signature(other.name, other.verifier.key_id, value))


def test_a_post_quantum_cosignature_is_only_for_checkpoints() -> None:
    with pytest.raises(NoteError, match="three lines"):
        AUDITOR.sign("no checkpoint\n")


def test_a_cosignature_states_now_unless_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1770000000.9)
    assert SCHOOL.verifier.verify(TEXT, SCHOOL.sign(TEXT)) == 1770000000
    for impossible in (-1, MAX_SIZE + 1):
        with pytest.raises(NoteError, match="cannot state this time"):
            SCHOOL.sign(TEXT, impossible)
    with pytest.raises(NoteError, match="states no time"):
        CITY.sign(TEXT, TIME)


def test_a_cosignature_from_after_the_end_of_time_is_refused() -> None:
    signature = SCHOOL.sign(TEXT, TIME)
    with pytest.raises(NoteError, match="time that cannot be"):
        SCHOOL.verifier.verify(
            TEXT, Signature(signature.name, signature.key_id, b"\xff" * 8 + signature.value[8:])
        )


P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def doubled(point: tuple[int, int]) -> tuple[int, int]:
    """Twice a point of edwards25519 (RFC 8032, 5.1.4, in plain coordinates)."""
    x, y = point
    product = D * x * x * y * y
    return 2 * x * y * pow(1 + product, -1, P) % P, (y * y + x * x) * pow(1 - product, -1, P) % P


def x_of(y: int) -> int | None:
    """A x that belongs to a y on the curve, if there is one."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    for candidate in (x, x * pow(2, (P - 1) // 4, P) % P):
        if candidate * candidate % P == square:
            return candidate
    return None


def test_a_key_under_which_anybody_can_sign_is_refused() -> None:
    weak: set[tuple[int, int]] = set()
    for y in (0, 1, P - 1, *_order_eight()):
        x = x_of(y)
        assert x is not None
        assert doubled(doubled(doubled((x, y)))) == (0, 1)
        weak |= {(x, y), (-x % P, y)}
    assert len(weak) == 8, "there are eight such points"
    for x, y in weak:
        for value in (y | (x & 1) << 255, y | (1 - (x & 1)) << 255):
            public = value.to_bytes(32, "little")
            for kind in (Kind.ED25519, Kind.COSIGNATURE_ED25519):
                with pytest.raises(NoteError, match="anybody"):
                    VerifierKey("a", kind, public)


def _order_eight() -> list[int]:
    """The y of the points whose double has y = 0: then y^2 = -x^2, and the curve leaves d*y^4 + 2*y^2 - 1 = 0."""
    root = next(
        one
        for one in (pow(1 + D, (P + 3) // 8, P), pow(1 + D, (P + 3) // 8, P) * pow(2, (P - 1) // 4, P) % P)
        if one * one % P == (1 + D) % P
    )
    found = set()
    for sign in (root, -root):
        square = (sign - 1) * pow(D, -1, P) % P
        y = pow(square, (P + 3) // 8, P)
        for candidate in (y, y * pow(2, (P - 1) // 4, P) % P):
            if candidate * candidate % P == square:
                found |= {candidate, -candidate % P}
    return sorted(found)


def test_a_key_that_is_spelled_twice_is_refused() -> None:
    for value in (P, P + 1, 2**255 - 1):
        with pytest.raises(NoteError, match="anybody"):
            VerifierKey("a", Kind.ED25519, value.to_bytes(32, "little"))


@pytest.mark.parametrize(
    ("vkey", "why"),
    [
        ("", "not written as"),
        ("a+b", "not written as"),
        (CITY_VKEY.replace("268e2ec1", "268e2ec2"), "has id 268e2ec1"),
        (SCHOOL_VKEY.replace("137ecaa4", "137ECAA4"), "has id"),
        (SCHOOL_VKEY.replace("escola", "escala"), "has id"),
        (SCHOOL_VKEY.replace("BD1A", "AD1A"), "type 0x00"),
        (SCHOOL_VKEY.replace("BD1A", "BT1A"), "type 0x05"),
        (SCHOOL_VKEY + "AAAA", "has 32 bytes, not 35"),
        (SCHOOL_VKEY[:-1], "not base64"),
        (SCHOOL_VKEY[:-1] + "N", "has id"),
        ("a+00000000+BAA=", "has 32 bytes"),
        ("a+00000000+BgA=", "has 1312 bytes"),
        ("a+00000000+", "is empty"),
        ("a+00000000+AB==", "as it must be written"),
        ("+00000000+AA==", "type 0x00"),
        ("a b" + SPEC_VKEY.removeprefix("example.com/foo"), "no space"),
        (SPEC_VKEY.removeprefix("example.com/foo"), "is empty"),
        ("a" * 256 + SPEC_VKEY.removeprefix("example.com/foo"), "longer than 255 bytes"),
        ("a" * 5000, "at most"),
    ],
)
def test_a_malformed_key_is_refused(vkey: str, why: str) -> None:
    with pytest.raises(NoteError, match=why):
        VerifierKey.parse(vkey)


NO_BREAK_SPACE = "\u00a0"
GOOD = SCHOOL.sign(TEXT, TIME).line


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "does not end"),
        (b"\n", "no signatures"),
        (b"text\n", "no signatures"),
        (b"text\n\n", "no signatures"),
        (b"text", "does not end"),
        (b"text\n\nmore\n", "no signature line"),
        (f"text\n\n{GOOD}"[:-1].encode(), "does not end"),
        (f"text\r\n\r\n{GOOD}".encode(), "control characters"),
        (f"te\txt\n\n{GOOD}".encode(), "control characters"),
        (f"te\0xt\n\n{GOOD}".encode(), "control characters"),
        (b"te\xffxt\n\n" + GOOD.encode(), "not UTF-8"),
        (b"te\xed\xa0\x80xt\n\n" + GOOD.encode(), "not UTF-8"),
        (f"text\n{GOOD}".encode(), "no signatures"),
        (f"\n{GOOD}".encode(), "no signatures"),
        (f"text\n\n{GOOD}text\n".encode(), "no signature line"),
        (f"text\n\n{GOOD}\n".encode(), "no signatures"),
        (f"text\n\n{GOOD.replace('—', '-')}".encode(), "no signature line"),
        (f"text\n\n{GOOD.replace('— ', '—')}".encode(), "no signature line"),
        (f"text\n\n{GOOD.replace('— ', '—  ')}".encode(), "not base64"),
        (f"text\n\n{GOOD.replace('custodi', 'cus+todi')}".encode(), "plus sign"),
        (f"text\n\n{GOOD.replace('custodi', 'cus todi')}".encode(), "not base64"),
        (f"text\n\n{GOOD.replace('custodi', f'cus{NO_BREAK_SPACE}todi')}".encode(), "no space"),
        ("text\n\n—  AAAAAAAA\n".encode(), "is empty"),
        (f"text\n\n{GOOD.replace('==', '=')}".encode(), "not base64"),
        (f"text\n\n{GOOD.replace('==', '')}".encode(), "not base64"),
        (f"text\n\n{GOOD.replace('Bw==', 'Bx==')}".encode(), "as it must be written"),
        ("text\n\n— a \n".encode(), "the id of a key has 4 bytes"),
        ("text\n\n— a AAAA\n".encode(), "the id of a key has 4 bytes"),
        ("text\n\n— a AAAAAA==\n".encode(), "is empty"),
        ("text\n\n— a\n".encode(), "no signature line"),
        (("text\n\n" + GOOD * (MAX_SIGNATURES + 1)).encode(), "more than 64"),
        (b"a" * (MAX_NOTE + 1), "larger than"),
    ],
)
def test_a_malformed_note_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(NoteError, match=why):
        Note.parse(data)


def test_a_text_may_have_empty_lines_and_the_last_one_divides_it_from_the_signatures() -> None:
    for text in ("a\n\nb\n", "\n", "\n\n\n", "a\n\n", "— not a signature\n\n— nor this\n"):
        note = Note(text).add(CITY.sign(text))
        assert Note.parse(note.encode()) == note
        assert open_note(Note.parse(note.encode()), [CITY.verifier])


def test_as_many_signatures_as_we_write_are_read() -> None:
    note = Note("text\n")
    for number in range(MAX_SIGNATURES):
        note = note.add(Signature(f"k{number}", b"abcd", b"s" * 2428))
    assert Note.parse(note.encode()) == note
    with pytest.raises(NoteError, match="at most 64"):
        note.add(Signature("one-more", b"abcd", b"s"))


@pytest.mark.parametrize("text", ["", "text", "a\rb\n", "a\x1bb\n", "\ud800\n"])
def test_a_text_that_cannot_be_a_note_is_not_signed(text: str) -> None:
    with pytest.raises(NoteError):
        Note(text)
    for signer in SIGNERS:
        with pytest.raises(NoteError):
            signer.sign(text)


def test_a_note_that_nobody_could_read_is_not_written() -> None:
    with pytest.raises(NoteError, match="without signatures"):
        Note("text\n").encode()
    with pytest.raises(NoteError, match="larger than"):
        Note("x" * MAX_NOTE + "\n").add(CITY.sign("x\n")).encode()


def test_a_new_signature_by_the_same_key_takes_the_place_of_the_old() -> None:
    again = NOTE.add(SCHOOL.sign(TEXT, TIME + 60))
    assert len(again.signatures) == 2
    assert [one.timestamp for one in open_note(again, [SCHOOL.verifier])] == [TIME + 60]
    assert NOTE.signatures != again.signatures


def test_signatures_by_unknown_keys_are_passed_over() -> None:
    name_only = SignerKey.generate(ORIGIN, Kind.ED25519)
    note = NOTE.add(name_only.sign(TEXT)).add(
        Signature("someone.example", SCHOOL.verifier.key_id, b"nonsense")
    )
    assert [one.key for one in open_note(note, [CITY.verifier])] == [CITY.verifier]


def test_a_note_that_no_known_key_signed_is_refused() -> None:
    for keys in ([], [AUDITOR.verifier], [SignerKey.generate(ORIGIN, Kind.ED25519).verifier]):
        with pytest.raises(NoteError, match="no signature by a key that is known"):
            open_note(NOTE, keys)


def test_a_wrong_signature_by_a_known_key_rejects_the_whole_note() -> None:
    forged = Signature(SCHOOL.name, SCHOOL.verifier.key_id, SCHOOL.sign(CITY.name + "\n", TIME).value)
    note = Note(TEXT).add(CITY.sign(TEXT)).add(forged)
    with pytest.raises(NoteError, match="is wrong"):
        open_note(note, [CITY.verifier, SCHOOL.verifier])
    assert open_note(note, [CITY.verifier])


def test_two_signatures_by_one_known_key_reject_the_whole_note() -> None:
    note = Note(TEXT, (*NOTE.signatures, SCHOOL.sign(TEXT, TIME + 1)))
    with pytest.raises(NoteError, match="two signatures by"):
        open_note(note, [CITY.verifier, SCHOOL.verifier])
    assert open_note(note, [CITY.verifier])


def test_two_known_keys_of_one_name_and_id_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    twin = SignerKey.generate(ORIGIN, Kind.ED25519).verifier
    object.__setattr__(twin, "key_id", CITY.verifier.key_id)
    with pytest.raises(NoteError, match="same name and id"):
        open_note(NOTE, [CITY.verifier, twin])
    assert open_note(NOTE, [CITY.verifier, CITY.verifier])


def test_a_cosignature_cannot_be_replayed_on_another_checkpoint() -> None:
    other = Checkpoint(ORIGIN, 4, CHECKPOINT.root)
    for witness in (SCHOOL, AUDITOR):
        note = Note(other.text).add(CITY.sign(other.text)).add(witness.sign(TEXT, TIME))
        with pytest.raises(NoteError, match="is wrong"):
            open_note(note, [CITY.verifier, witness.verifier])


NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="+"), min_size=1, max_size=40
)
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(
    TEXTS,
    st.lists(
        st.tuples(NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80)),
        min_size=1,
        max_size=20,
    ),
)
def test_any_note_is_read_as_it_was_written(lines: list[str], parts: list[tuple[str, bytes, bytes]]) -> None:
    note = Note("".join(f"{line}\n" for line in lines), tuple(Signature(*one) for one in parts))
    data = note.encode()
    assert Note.parse(data) == note
    assert Note.parse(data).encode() == data


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_note_with_any_byte_changed_is_refused_or_not_signed_by_both(data: st.DataObject) -> None:
    whole = bytearray(VECTOR.encode())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    try:
        opened = open_note(Note.parse(bytes(whole)), [CITY.verifier, SCHOOL.verifier])
    except NoteError:
        return
    # What is left is a signature line that became somebody else's.
    assert len(opened) == 1
