"""Anchors: what is kept is a valid stamp of this log's checkpoint, and anything else leaves nothing behind."""

import random
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from provision.audit.anchor import AnchorError, add_anchor, check_anchors
from provision.audit.timestamp import TimeStampError, check_time_stamp, load_roots, request_time_stamp
from provision.audit.tlog import Note
from provision.errors import UsageError
from tests.unit.audit.anchor.conftest import Authority
from tests.unit.audit.small_log import SmallLog, everyday, opening

Serve = Callable[[Authority], Authority]


@pytest.fixture
def log(tmp_path: Path) -> SmallLog:
    return SmallLog(tmp_path / "log", everyday())


def kept(log: SmallLog) -> list[str]:
    return sorted(
        str(file.relative_to(log.directory))
        for folder in ("anchors", "checkpoints")
        for file in (log.directory / folder).glob("*")
    )


def test_a_stamp_is_kept_with_its_checkpoint_and_the_certificates_to_check_it_with(
    log: SmallLog, authority: Authority
) -> None:
    anchor = add_anchor(log.directory, authority.url, [authority.ca])
    assert kept(log) == [f"anchors/{log.size}.tsr", "anchors/127.0.0.1.pem", f"checkpoints/{log.size}"]
    assert (anchor.size, anchor.authority) == (log.size, "CN=Segell de temps")
    assert abs(anchor.time - datetime.now(UTC)) < timedelta(hours=1)
    for roots in (None, [authority.ca]):
        (result,) = check_anchors(log.directory, roots)
        assert (result.size, result.time, result.authority, result.problem) == (
            log.size, anchor.time, "CN=Segell de temps", None,
        )  # fmt: skip


def test_openssl_verifies_the_stamp_over_the_checkpoints_text(
    log: SmallLog, authority: Authority, tmp_path: Path
) -> None:
    anchor = add_anchor(log.directory, authority.url, [authority.ca])
    text = tmp_path / "text"
    text.write_text(Note.parse((log.directory / "checkpoints" / str(log.size)).read_bytes()).text)
    verified = subprocess.run(
        ["openssl", "ts", "-verify", "-data", text, "-in", anchor.file, "-CAfile", authority.directory / "ca.pem"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stderr
    assert "Verification: OK" in verified.stdout + verified.stderr


def test_only_the_hash_of_the_checkpoint_leaves_the_machine(log: SmallLog, authority: Authority) -> None:
    add_anchor(log.directory, authority.url, [authority.ca])
    (request,) = authority.requests
    assert b"escola" not in request
    assert len(request) < 100


def test_an_authority_that_sends_its_chain_unsorted_as_openssl_does_is_understood(
    log: SmallLog, tmp_path: Path, serve: Serve
) -> None:
    for number in range(4):  # whether the order is DER's depends on the certificates: with four, both come up
        authority = serve(Authority(tmp_path / f"chain{number}", chain=True))
        add_anchor(log.directory, authority.url, [authority.ca])
        assert [result.problem for result in check_anchors(log.directory, [authority.ca])] == [None]


def test_a_cosignature_that_comes_later_does_not_touch_the_stamp(log: SmallLog, authority: Authority) -> None:
    add_anchor(log.directory, authority.url, [authority.ca])
    cosigned = log.note.add(log.witness.sign(log.note.text, 1_800_000_000))
    (log.directory / "checkpoints" / str(log.size)).write_bytes(cosigned.encode())
    assert check_anchors(log.directory)[0].problem is None


def test_signatures_of_an_archived_checkpoint_stay(log: SmallLog, authority: Authority) -> None:
    archived = log.directory / "checkpoints" / str(log.size)
    archived.write_bytes(log.note.add(log.witness.sign(log.note.text, 1_800_000_000)).encode())
    before = archived.read_bytes()
    add_anchor(log.directory, authority.url, [authority.ca])
    assert archived.read_bytes() == before


def test_a_function_that_archives_is_called_with_the_note(log: SmallLog, authority: Authority) -> None:
    notes: list[Note] = []
    add_anchor(log.directory, authority.url, [authority.ca], archive=notes.append)
    assert notes == [log.note]
    assert kept(log) == [f"anchors/{log.size}.tsr", "anchors/127.0.0.1.pem"]


def test_a_checkpoint_that_is_cosigned_while_the_authority_answers_keeps_its_cosignature(
    log: SmallLog, authority: Authority
) -> None:
    cosigned = log.note.add(log.witness.sign(log.note.text, 1_800_000_000)).encode()
    archived = log.directory / "checkpoints" / str(log.size)

    def slowly(request: bytes) -> tuple[int, str, bytes]:
        archived.write_bytes(cosigned)
        return authority.reply(authority.sign(request))

    authority.behaviour = slowly
    add_anchor(log.directory, authority.url, [authority.ca])
    assert archived.read_bytes() == cosigned


def test_certificates_of_earlier_stamps_stay_when_the_authority_renews_its_root(
    tmp_path: Path, serve: Serve
) -> None:
    log = SmallLog(tmp_path / "log", opening())
    first, second = (serve(Authority(tmp_path / name)) for name in ("first", "second"))
    add_anchor(log.directory, first.url, [first.ca])
    longer = SmallLog(tmp_path / "longer", everyday())
    (log.directory / "checkpoint").write_bytes(longer.note.encode())
    add_anchor(log.directory, second.url, [second.ca])
    assert [(one.size, one.problem) for one in check_anchors(log.directory)] == [
        (2, None),
        (longer.size, None),
    ]


def test_a_second_checkpoint_of_the_same_size_is_refused_before_the_authority_is_asked(
    log: SmallLog, authority: Authority, tmp_path: Path
) -> None:
    other = SmallLog(tmp_path / "other", everyday())
    (log.directory / "checkpoints" / str(log.size)).write_bytes(other.note.encode())
    with pytest.raises(AnchorError, match="contradictory"):
        add_anchor(log.directory, authority.url, [authority.ca])
    assert authority.requests == []


def test_a_directory_without_a_log_is_refused(tmp_path: Path, authority: Authority) -> None:
    with pytest.raises(AnchorError, match="there is no log"):
        add_anchor(tmp_path, authority.url, [authority.ca])


BAD_ANSWERS: list[tuple[str, Callable[[Authority, bytes], tuple[int, str, bytes]], str]] = [
    ("an error of the server", lambda a, q: (503, "text/plain", b"busy"), "answers 503"),
    ("a redirection", lambda a, q: (302, "text/plain", b""), "answers 302"),
    ("a web page", lambda a, q: (200, "text/html", b"<p>hello"), "text/html instead of a time stamp"),
    ("garbage", lambda a, q: a.reply(b"\x30\x80garbage"), "is no time stamp"),
    ("nothing", lambda a, q: a.reply(b""), "is no time stamp"),
    ("half an answer", lambda a, q: a.reply(a.sign(q)[:400]), "is no time stamp"),
    ("a flood", lambda a, q: a.reply(bytes(2_000_000)), "too large"),
    ("another request's answer", lambda a, q: a.reply(a.sign(changed_nonce(q))), "wrong nonce"),
    ("another text's stamp", lambda a, q: a.reply(a.sign(changed_imprint(q))), "of another text"),
    ("a rejection", lambda a, q: a.reply(a.sign(unknown_hash(q))), "refused the request: .*digest"),
    (
        "a forged time",
        lambda a, q: a.reply(forged_time(a.sign(q))),
        "the signature is wrong|cannot be trusted",
    ),
]


def changed_nonce(request: bytes) -> bytes:
    """OpenSSL signs whatever nonce it is given: this one is not ours. The nonce precedes ``certReq`` (3 bytes)."""
    return request[:-4] + bytes([request[-4] ^ 1]) + request[-3:]


def changed_imprint(request: bytes) -> bytes:
    place = request.index(b"\x04\x20") + 2
    return request[:place] + bytes(32) + request[place + 32 :]


def unknown_hash(request: bytes) -> bytes:
    """SHA-512/256 instead of SHA-256, with which this authority does not work."""
    return request.replace(bytes.fromhex("608648016503040201"), bytes.fromhex("608648016503040206"))


def forged_time(response: bytes) -> bytes:
    year = datetime.now(UTC).strftime("%Y").encode()
    place = response.index(b"\x18\x0f" + year) + 2
    return response[:place] + b"2019" + response[place + 4 :]


@pytest.mark.parametrize(
    ("behaviour", "message"), [row[1:] for row in BAD_ANSWERS], ids=[row[0] for row in BAD_ANSWERS]
)
def test_a_bad_answer_is_named_and_leaves_nothing_behind(
    log: SmallLog,
    authority: Authority,
    behaviour: Callable[[Authority, bytes], tuple[int, str, bytes]],
    message: str,
) -> None:
    authority.behaviour = lambda request: behaviour(authority, request)
    with pytest.raises(TimeStampError, match=message) as caught:
        add_anchor(log.directory, authority.url, [authority.ca])
    assert "othing was stored" in caught.value.remedy
    assert kept(log) == []


def test_a_certificate_that_had_expired_is_refused(log: SmallLog, tmp_path: Path, serve: Serve) -> None:
    authority = serve(Authority(tmp_path / "old", ends=timedelta(days=-1)))
    with pytest.raises(TimeStampError, match="had expired when it signed"):
        add_anchor(log.directory, authority.url, [authority.ca])
    assert kept(log) == []


def test_an_authority_that_nobody_named_is_refused(log: SmallLog, tmp_path: Path, serve: Serve) -> None:
    authority = serve(Authority(tmp_path / "proper"))
    with pytest.raises(TimeStampError, match="does not lead to a certificate that you trust"):
        add_anchor(log.directory, authority.url, [Authority(tmp_path / "other").ca])
    assert kept(log) == []


def test_an_authority_whose_clock_is_wrong_is_refused(
    log: SmallLog, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provision.audit.timestamp.MAX_SKEW", timedelta(seconds=-1))
    with pytest.raises(TimeStampError, match="clock"):
        add_anchor(log.directory, authority.url, [authority.ca])
    assert kept(log) == []


def test_a_network_that_is_gone_is_told_and_leaves_nothing_behind(
    log: SmallLog, authority: Authority
) -> None:
    port = authority.url.rpartition(":")[2]
    with pytest.raises(TimeStampError, match="cannot be reached: it refuses the connection"):
        add_anchor(log.directory, "http://127.0.0.1:1/" + port, [authority.ca])
    assert kept(log) == []


@pytest.mark.parametrize(
    "url", ["ftp://tsa.example", "tsa.example", "file:///etc/passwd", "https://[", "http://"]
)
def test_an_address_that_is_none_is_refused(log: SmallLog, authority: Authority, url: str) -> None:
    with pytest.raises((UsageError, TimeStampError)):
        add_anchor(log.directory, url, [authority.ca])
    assert kept(log) == []


@pytest.mark.parametrize(
    "pem", [[], [b""], [b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]]
)
def test_certificates_that_are_none_are_refused(
    log: SmallLog, authority: Authority, pem: list[bytes]
) -> None:
    with pytest.raises(UsageError) as caught:
        add_anchor(log.directory, authority.url, pem)
    assert "--ca" in caught.value.remedy
    assert authority.requests == []


def test_a_stamp_put_beside_another_checkpoint_is_found(
    log: SmallLog, authority: Authority, tmp_path: Path
) -> None:
    anchor = add_anchor(log.directory, authority.url, [authority.ca])
    other = SmallLog(tmp_path / "other", everyday())
    (log.directory / "checkpoints" / str(log.size)).write_bytes(other.note.encode())
    (result,) = check_anchors(log.directory)
    assert result.problem == "the time stamp is one of another text"
    assert (result.time, result.authority) == (None, "")
    (log.directory / "checkpoints" / str(log.size)).unlink()
    assert "is missing" in str(check_anchors(log.directory)[0].problem)
    smaller = SmallLog(tmp_path / "smaller", opening())
    (log.directory / "checkpoints" / str(log.size)).write_bytes(smaller.note.encode())
    assert "is a checkpoint of 2 entries" in str(check_anchors(log.directory)[0].problem)
    assert anchor.file.exists()


def test_a_stamp_by_somebody_else_is_found_with_the_auditors_own_certificates(
    log: SmallLog, authority: Authority, tmp_path: Path
) -> None:
    add_anchor(log.directory, authority.url, [authority.ca])
    (result,) = check_anchors(log.directory, [Authority(tmp_path / "trusted").ca])
    assert "does not lead to a certificate that you trust" in str(result.problem)


def test_symbolic_links_and_strange_names_among_the_stamps_are_not_followed(
    log: SmallLog, authority: Authority
) -> None:
    anchor = add_anchor(log.directory, authority.url, [authority.ca])
    anchor.file.rename(log.directory / "elsewhere")
    anchor.file.symlink_to(log.directory / "elsewhere")
    (log.directory / "anchors" / "007.tsr").write_bytes(b"x")
    (log.directory / "anchors" / "..tsr").write_bytes(b"x")
    (result,) = check_anchors(log.directory)
    assert "symbolic link" in str(result.problem) or "cannot be read" in str(result.problem)


def test_damaged_certificates_beside_the_log_are_a_finding_and_no_crash(
    log: SmallLog, authority: Authority
) -> None:
    add_anchor(log.directory, authority.url, [authority.ca])
    (log.directory / "anchors" / "127.0.0.1.pem").write_bytes(b"nonsense")
    assert "unusable" in str(check_anchors(log.directory)[0].problem)
    assert check_anchors(log.directory, [authority.ca])[0].problem is None


def test_a_log_without_stamps_has_no_results(log: SmallLog, authority: Authority) -> None:
    assert check_anchors(log.directory) == []
    assert check_anchors(log.directory, [authority.ca]) == []


def test_bytes_that_were_changed_anywhere_never_crash_and_never_move_the_time(authority: Authority) -> None:
    text, roots = b"some text\n", load_roots([authority.ca])
    stamp = request_time_stamp(text, authority.url, roots)
    chance = random.Random(3161)
    for _ in range(400):
        mutated = bytearray(stamp.response)
        for _ in range(chance.randint(1, 3)):
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        del mutated[len(mutated) - chance.choice([0, 0, 0, 1, 50]) :]
        try:
            result = check_time_stamp(bytes(mutated), text, roots)
        except TimeStampError:
            continue
        assert result.time == stamp.time


def test_certificates_that_appear_twice_are_used_once(authority: Authority) -> None:
    (root,) = load_roots([authority.ca, authority.ca])
    assert root.public_bytes(Encoding.PEM) == authority.ca
