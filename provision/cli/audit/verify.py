"""``provision audit verify``, ``audit proof`` and ``audit check-proof``: what an auditor does, without a network."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from provision.audit.entries import Entry, EntryError, parse
from provision.audit.tlog import MAX_ENTRY, LogProof, Policy, TlogError
from provision.audit.tlog.policy import Opinion
from provision.audit.tlog.proof import MAX_PROOF
from provision.audit.verify import Finding, Severity, Verdict, verify
from provision.audit.verify.proof import prove
from provision.audit.verify.words import CHECKED, ERASED, MORE, WHAT_TO_DO, moment
from provision.audit.words import Language, sentence
from provision.cli.audit.places import LogArgument, open_place, read_named, read_policy
from provision.cli.options import JsonOption, LanguageOption, WorkspaceOption, language
from provision.cli.output import console, emit_json
from provision.errors import UsageError
from provision.files import write_atomically
from provision.text import printable_line

_STYLES = {Severity.BAD: "bad", Severity.WARNING: "warn", Severity.NOTE: "quiet"}
_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_MAX_CERTIFICATES = 1024 * 1024

PolicyOption = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        help="The keys that you trust (tlog-policy), from the school or from your own records. Without it only the "
        "log itself vouches for its keys.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "verify",
        epilog="Examples: provision audit verify escola-mar · "
        "provision audit verify /media/usb/escola-mar --policy escola-mar.policy --max-age 30d --lang ca · "
        "provision audit verify DIR --policy FILE --against /home/escola/custodi",
    )(verify_command)
    app.command(
        "proof",
        epilog="Examples: provision audit proof escola-mar 12 · "
        "provision audit proof DIR 12 --output entry-12.tlog-proof",
    )(proof_command)
    app.command(
        "check-proof",
        epilog="Example: provision audit check-proof escola-mar-12.tlog-proof --policy escola-mar.policy",
    )(check_proof_command)


def verify_command(
    where: LogArgument,
    policy: PolicyOption = None,
    max_age: Annotated[
        str | None,
        typer.Option(
            "--max-age",
            help="How old the newest entry and cosignature may be, and how long a silence: 36h, 30d, 4w.",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            "--against",
            help="A signed checkpoint, or another copy of the log, that somebody else holds: the log must contain it "
            "(may be given several times).",
            show_default=False,
        ),
    ] = None,
    tsa_ca: Annotated[
        list[Path] | None,
        typer.Option(
            "--tsa-ca", help="Certificate (PEM) of a time-stamp authority that you trust.", show_default=False
        ),
    ] = None,
    lang: LanguageOption = None,
    workspace: WorkspaceOption = None,
    json_output: JsonOption = False,
) -> None:
    """Verify a log offline: signatures, tree, cosigners, keys, runs, times, detail.

    Exit code 0 if all is well, else 1.
    """
    place = open_place(where, workspace)
    words = language(lang, place.workspace)
    verdict = verify(
        place.log.directory,
        read_policy(policy) if policy else None,
        max_age=_duration(max_age) if max_age else None,
        tsa_roots=[read_named(file, _MAX_CERTIFICATES, "certificate") for file in tsa_ca] if tsa_ca else None,
        against=against or (),
    )
    if json_output:
        emit_json("provision/audit-verify/v1", {"lang": words, **verdict.as_data(words)})
    else:
        _print(verdict, words)
    if not verdict.ok:
        raise typer.Exit(1)


def proof_command(
    where: LogArgument,
    number: Annotated[
        int, typer.Argument(metavar="N", help="Number of the entry, from 0.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to write the proof; the entry goes beside it.",
            show_default=False,
        ),
    ] = None,
    workspace: WorkspaceOption = None,
    json_output: JsonOption = False,
) -> None:
    """Write a proof of one entry: two small files that anybody can check without the log."""
    log = open_place(where, workspace).log
    proof, entry = prove(log, number)
    name = re.sub(r"[^A-Za-z0-9._-]", "_", log.origin.rsplit("/", 1)[-1]).lstrip(".") or "log"
    file = output or Path(f"{name}-{number}.tlog-proof")
    beside = _entry_file(file)
    write_atomically(beside, entry)
    write_atomically(file, proof.encode())
    if json_output:
        emit_json(
            "provision/audit-proof/v1",
            {"origin": log.origin, "entry": number, "proof": str(file), "entry_file": str(beside)},
        )
        return
    console.print(f"Wrote {file} and {beside}.", style="good", markup=False)
    console.print(
        f"Whoever has the log’s policy checks them with: provision audit check-proof {file} --policy FILE",
        style="quiet",
        markup=False,
    )


def check_proof_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The .tlog-proof file.", show_default=False)],
    policy: Annotated[
        Path, typer.Option("--policy", help="The keys that you trust (tlog-policy).", show_default=False)
    ],
    entry: Annotated[
        Path | None,
        typer.Option("--entry", help="The entry’s bytes. Without it: FILE.json.", show_default=False),
    ] = None,
    lang: LanguageOption = None,
    json_output: JsonOption = False,
) -> None:
    """Check a proof of one entry, and say what the entry says. Exit code 0 if it holds, else 1."""
    words = language(lang)
    trusted = read_policy(policy)
    raw = read_named(entry or _entry_file(file), MAX_ENTRY, "entry")
    data = read_named(file, MAX_PROOF, "proof")
    try:
        proof = LogProof.parse(data)
        opinion = proof.verify(raw, trusted)
        event = parse(proof.index, raw)
    except (TlogError, EntryError) as error:
        if json_output:
            emit_json("provision/audit-check-proof/v1", {"ok": False, "error": str(error)})
        else:
            console.print(
                CHECKED["bad"][words].format(error=printable_line(str(error))), style="bad", markup=False
            )
            console.print(f"{WHAT_TO_DO[words]} {CHECKED['remedy'][words]}", markup=False)
        raise typer.Exit(1) from None
    if json_output:
        emit_json("provision/audit-check-proof/v1", {"ok": True, **_proved(event, opinion, trusted, words)})
        return
    console.print(_proved_line(event, opinion, trusted, words), style="good", markup=False)
    console.print(f"{event.time}  {printable_line(sentence(event, words), 2000)}", markup=False)


def _cosigners(opinion: Opinion, policy: Policy) -> dict[str, str]:
    """Names of the keys that cosigned, and when."""
    return {policy.witnesses[name].name: moment(time) for name, time in opinion.witnesses.items()}


def _proved(event: Entry, opinion: Opinion, policy: Policy, lang: Language) -> dict[str, Any]:
    return {
        "origin": opinion.checkpoint.origin,
        "entry": event.index,
        "size": opinion.checkpoint.size,
        "signed_by": [key.vkey for key in opinion.logs],
        "cosigned_by": _cosigners(opinion, policy),
        "lang": lang,
        "words": sentence(event, lang),
        "event": event.event,
    }


def _proved_line(event: Entry, opinion: Opinion, policy: Policy, lang: Language) -> str:
    cosigners = ", ".join(f"{name} ({time})" for name, time in _cosigners(opinion, policy).items())
    return CHECKED["cosigned" if cosigners else "alone"][lang].format(
        index=event.index,
        origin=printable_line(opinion.checkpoint.origin),
        cosigners=printable_line(cosigners),
    )


def _print(verdict: Verdict, lang: Language) -> None:
    style = "bad" if not verdict.ok else "good" if verdict.vouched else "warn"
    console.print(Text(verdict.line(lang), style))
    last: dict[str, Finding] = {one.text: one for one in verdict.findings}
    for number, one in enumerate(verdict.findings):
        where = one.where(lang)
        head = f"{where}, {one.title(lang)}" if where else one.title(lang)
        console.print(Text("  ") + Text(f"{head}: ", _STYLES[one.severity]) + Text(one.words(lang)))
        kept = sum(
            1 for other in verdict.findings if (other.text, other.severity) == (one.text, one.severity)
        )
        more = verdict.counts[one.text, one.severity] - kept
        if more > 0 and last[one.text] is one:
            console.print(Text(f"    {MORE[lang].format(more)}", "quiet"))
        following = verdict.findings[number + 1 : number + 2]
        remedy = one.remedy(lang)
        if (
            remedy
            and one.severity is not Severity.NOTE
            and not (following and following[0].remedy(lang) == remedy)
        ):
            console.print(Text(f"    {WHAT_TO_DO[lang]} ", "name") + Text(remedy))
    for erasure in verdict.erasures:
        console.print(
            Text(
                "  "
                + ERASED[lang].format(
                    count=len(erasure.numbers),
                    run=printable_line(erasure.run),
                    time=printable_line(erasure.time),
                    actor=printable_line(erasure.actor),
                    entry=erasure.entry,
                ),
                "quiet",
            )
        )


def _entry_file(file: Path) -> Path:
    return file.with_name(file.name + ".json")


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"([0-9]{1,5})([mhdw])", text.strip())
    if match is None or not int(match[1]):
        raise UsageError(f"--max-age {text!r} is no duration", "write it as 36h, 30d or 4w")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])
