"""``provision audit init|status|sync|add-witness|retire-witness|rotate-key|erase``: the city keeps a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from provision.audit import Person
from provision.audit import entries as e
from provision.audit.cosigned import witness_times
from provision.audit.cosigners import add_witness, retire_witness, witness_key
from provision.audit.keys import Second
from provision.audit.log import SchoolLog, log_directory
from provision.audit.opening import acting, renew_keys
from provision.audit.outbox import Outbox
from provision.audit.record import forget_steps
from provision.audit.tlog.policy import NO_QUORUM, Policy
from provision.cli.options import JsonOption, SchoolArgument, WhyOption, WorkspaceOption, YesOption
from provision.cli.output import confirm, console, emit_json, errors
from provision.engine.connections import Connections
from provision.engine.lock import HostLock, holder
from provision.engine.logbook import LogBook
from provision.engine.preparation import sudo_passwords
from provision.errors import UsageError
from provision.model import ResolvedSchool, Workspace, find_workspace, load_workspace
from provision.text import printable_line

SecondOption = Annotated[
    str | None,
    typer.Option(
        "--second",
        metavar="ecdsa|ml-dsa",
        help="Sign each checkpoint with a second algorithm as well: ECDSA P-256, or ML-DSA-44.",
        show_default=False,
    ),
]

#: Steps that one entry names: an entry has room for some ten thousand numbers.
_ERASED_AT_ONCE = 5_000


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "init",
        epilog="Examples: provision audit init escola-mar · provision audit init escola-mar --second ecdsa",
    )(init)
    app.command(
        "status",
        epilog="Examples: provision audit status escola-mar · provision audit status escola-mar --json",
    )(status)
    app.command(
        "sync",
        epilog="Examples: provision audit sync escola-mar · provision audit sync escola-mar --heartbeat",
    )(sync)
    app.command(
        "add-witness",
        epilog="Examples: provision audit add-witness escola-mar 'escola-mar.example.cat/custodi+137ecaa4+BD1A…' · "
        "provision audit add-witness escola-mar VKEY --optional · "
        "provision audit add-witness escola-mar VKEY --replaces witness1 --why 'the laptop was lost'",
    )(add_witness_command)
    app.command(
        "retire-witness",
        epilog="Examples: provision audit retire-witness escola-mar witness1 --why 'the laptop was lost' · "
        "provision audit retire-witness escola-mar escola-mar.example.cat/custodi --why 'a new director' --yes",
    )(retire_witness_command)
    app.command(
        "rotate-key", epilog="Examples: provision audit rotate-key escola-mar --why 'a laptop was stolen'"
    )(rotate_key)
    app.command(
        "erase",
        epilog="Examples: provision audit erase escola-mar 20261123T101500Z-3fa2b1 --why 'request 2026/14' · "
        "provision audit erase escola-mar 20261123T101500Z-3fa2b1 --step 12 --step 13 --why 'request 2026/14'",
    )(erase)


@contextmanager
def open_book(
    workspace: Workspace,
    school: ResolvedSchool,
    verb: str,
    *,
    second: str | None = None,
    replace_copy: bool = False,
) -> Iterator[LogBook]:
    """The school's log for writing, with the lock of the school held, and its copy brought up to date at the end."""
    person = acting(workspace)
    with _connected(workspace, school, person, verb) as connections:
        book = LogBook(
            workspace, school, person, connections, second=_second(second), replace_copy=replace_copy
        )
        with book:
            yield book
            book.place_copy()
        for note in book.notes:
            errors.print(note, style="warn", markup=False)


@contextmanager
def _connected(
    workspace: Workspace, school: ResolvedSchool, person: Person, verb: str
) -> Iterator[Connections]:
    connections = Connections(workspace, school, sudo_passwords(workspace, school))
    try:
        connections.open()
        with HostLock(connections[min(school.own_hosts)], holder(person, verb, school.id)):
            yield connections
    finally:
        connections.close()


def _second(value: str | None) -> Second | None:
    if value not in {None, "ecdsa", "ml-dsa"}:
        raise UsageError(f"“{value}” is no algorithm that can sign beside Ed25519", "give ecdsa or ml-dsa")
    return value  # type: ignore[return-value]


def init(
    school: SchoolArgument,
    second: SecondOption = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Make the city's key for a school and open its log. An apply does so by itself where there is none.

    Needs no server: the log goes there with the first apply.
    """
    place = load_workspace(find_workspace(workspace))
    chosen = place.school(school)
    directory = log_directory(place.path, school)
    if (directory / "checkpoint").exists():
        raise UsageError(f"{school} has a log already", f"see: provision audit status {school}")
    person = acting(place)
    with LogBook(place, chosen, person, None, second=_second(second)) as book:
        keys = [key.verifier.vkey for key in book.writer.keys]
        console.print(f"The log of {chosen.name} is open: {book.origin}", style="good", markup=False)
        console.print("Its key, for the school and for auditors (it is public):", markup=False)
        for key in keys:
            console.print(f"  {key}", markup=False, soft_wrap=True)
        console.print(
            f"The private key is encrypted in {book.keys.file(school)}: keep it under version control.",
            markup=False,
        )
        console.print(
            f"Next: let the school keep a key of its own: provision audit witness init --dir DIR --log '{keys[0]}'",
            markup=False,
            soft_wrap=True,
        )


def status(
    school: SchoolArgument,
    workspace: WorkspaceOption = None,
    json_output: JsonOption = False,
) -> None:
    """Show how long the log is, who has cosigned up to where, and what waits."""
    place = load_workspace(find_workspace(workspace))
    chosen = place.school(school)
    directory = log_directory(place.path, school)
    log = SchoolLog.open(directory)
    policy = log.policy
    cosigned = dict.fromkeys(policy.witnesses, (0, 0)) | witness_times(log)
    waiting = len(Outbox(directory).waiting())
    evidence = sorted(item.name for item in (directory / "evidence").glob("*"))
    witnesses: list[dict[str, Any]] = [
        {
            "name": policy.witnesses[name].name,
            "policy_name": name,
            "key": policy.witnesses[name].vkey,
            "size": size,
            "time": moment,
        }
        for name, (size, moment) in cosigned.items()
    ]
    if json_output:
        emit_json(
            "provision/audit-status/v1",
            {
                "school": school, "origin": log.origin, "size": log.size, "root": log.root.hex(),
                "keys": [key.vkey for key in policy.logs], "witnesses": witnesses, "quorum": policy.quorum,
                "strict": chosen.audit.strict, "waiting": waiting, "evidence": evidence,
            },
        )  # fmt: skip
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="quiet")
    table.add_column(overflow="fold")
    table.add_row("log", Text(log.origin))
    table.add_row("entries", str(log.size))
    for key in policy.logs:
        table.add_row("key", Text(key.vkey))
    for witness in witnesses:
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(witness["time"])) if witness["size"] else ""
        said = (
            f"cosigned {witness['size']} of {log.size} entries, {when}"
            if witness["size"]
            else "has not cosigned yet"
        )
        table.add_row("witness", Text(f"{witness['name']}: {said}"))
    if not witnesses:
        table.add_row(
            "witness",
            Text("none: the school can be denied its log. See: provision audit witness --help", "warn"),
        )
    table.add_row(
        "agreement",
        "the school must cosign before a run" if chosen.audit.strict else "not needed before a run",
    )
    if waiting:
        table.add_row(
            "waiting",
            f"{waiting} entries; they go into the log with the next apply, or: provision audit sync {school}",
        )
    for name in evidence:
        table.add_row("evidence", Text(printable_line(str(directory / "evidence" / name)), "bad"))
    console.print(table)


def sync(
    school: SchoolArgument,
    heartbeat: Annotated[bool, typer.Option("--heartbeat", help="Say in the log that it is alive.")] = False,
    replace_copy: Annotated[
        bool,
        typer.Option(
            "--replace-copy",
            help="Put our log in the place of a copy that we did not sign; kept as evidence, recorded.",
        ),
    ] = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Bring the log here and its copy on the school's server together, and send what waits."""
    place = load_workspace(find_workspace(workspace))
    chosen = place.school(school)
    with open_book(place, chosen, "audit sync", replace_copy=replace_copy) as book:
        if heartbeat:
            book.add(e.Heartbeat(actor=book.actor, target=book.target))
        size = book.writer.size
    console.print(f"{school}: {size} entries, here and on the server.", style="good", markup=False)


def add_witness_command(
    school: SchoolArgument,
    key: Annotated[
        str,
        typer.Argument(
            metavar="VKEY", help='The line that "audit witness init" printed.', show_default=False
        ),
    ],
    required: Annotated[
        bool | None,
        typer.Option(
            "--required/--optional",
            help="Whether a checkpoint needs its cosignature to count. Without it: required; with --replaces: as the "
            "former witness was.",
            show_default=False,
        ),
    ] = None,
    replaces: Annotated[
        str,
        typer.Option(
            "--replaces",
            metavar="NAME|VKEY",
            help='The witness whose place it takes and who is retired; "audit status" names them.',
            show_default=False,
        ),
    ] = "",
    why: WhyOption = "",
    workspace: WorkspaceOption = None,
) -> None:
    """Let a key of the school cosign its log."""
    place = load_workspace(find_workspace(workspace))
    chosen = place.school(school)
    witness_key(key)
    with open_book(place, chosen, "audit add-witness") as book:
        policy = add_witness(
            book.writer, chosen, book.actor, key, required=required, replaces=replaces, why=why
        )
    _tell_policy(f"The log of {school} has a new witness.", policy, book.directory)


def retire_witness_command(
    school: SchoolArgument,
    witness: Annotated[
        str,
        typer.Argument(
            metavar="NAME|VKEY",
            help='The witness: its name or key in "audit status", or its name in the policy.',
            show_default=False,
        ),
    ],
    why: WhyOption = "",
    yes: YesOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Let a witness cosign no more, such as one whose key was lost. What it cosigned stays."""
    place = load_workspace(find_workspace(workspace))
    chosen = place.school(school)
    if not why.strip():
        raise UsageError("retiring a witness needs a reason", "give it with --why, in plain words")
    confirm(f"Retire the witness {printable_line(witness, 100)} of {school}?", yes=yes)
    with open_book(place, chosen, "audit retire-witness") as book:
        policy = retire_witness(book.writer, chosen, book.actor, witness, why=why)
    _tell_policy(f"The witness of {school} is retired.", policy, book.directory)


def _tell_policy(done: str, policy: Policy, directory: Path) -> None:
    console.print(done, style="good", markup=False)
    names = "\n".join(f"  {name}: {key.name}" for name, key in policy.witnesses.items())
    console.print(f"Its witnesses:\n{names}" if names else "It has no witness now.", markup=False)
    if policy.witnesses and policy.quorum == NO_QUORUM:
        console.print("No checkpoint needs any of them.", markup=False)
    console.print(f"The policy, for auditors: {directory / 'policy'}", markup=False, soft_wrap=True)


def rotate_key(
    school: SchoolArgument,
    second: SecondOption = None,
    why: WhyOption = "",
    yes: YesOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Replace the city's key of a log. The old and the new key both sign the change."""
    place = load_workspace(find_workspace(workspace))
    chosen = place.school(school)
    confirm(f"Replace the key of the log of {school}?", yes=yes)
    with open_book(place, chosen, "audit rotate-key") as book:
        renew_keys(book.keys, book.writer, chosen, book.actor, second=_second(second), why=why)
        keys = [key.verifier.vkey for key in book.writer.keys]
    console.print(
        "The new key, for the school and for auditors (who follow the change by themselves):", style="good"
    )
    for key in keys:
        console.print(f"  {key}", markup=False, soft_wrap=True)


def erase(
    school: SchoolArgument,
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="The run whose detail is erased.", show_default=False)
    ],
    steps: Annotated[
        list[int] | None,
        typer.Option("--step", help="Only this step (may be given several times).", show_default=False),
    ] = None,
    why: WhyOption = "",
    yes: YesOption = False,
    workspace: WorkspaceOption = None,
) -> None:
    """Erase personal data from the detail of a run, here and on the server. Every proof stays valid.

    The log keeps that something was erased, when, by whom and why.
    """
    place = load_workspace(find_workspace(workspace))
    chosen = place.school(school)
    log = SchoolLog.open(log_directory(place.path, school))
    lines = list(log.detail.read(run))
    known = {line.number for line in lines}
    numbers = sorted(set(steps)) if steps else sorted(known)
    if not numbers or not set(numbers) <= known:
        raise UsageError(
            f"run {run} has {len(known)} steps" if known else f"there is no detail of a run {run}",
            f"see them with: provision audit show {school} {run} --detail"
            if known
            else f"see the runs there are: provision runs list {school}",
        )
    if not why:
        raise UsageError("an erasure needs a reason", "give it with --why, in plain words")
    confirm(f"Erase {len(numbers)} steps of run {run} for good?", yes=yes)
    with open_book(place, chosen, "audit erase") as book:
        # First the entries, then the deed: a crash in between is finished by the same command.
        parts = [
            numbers[start : start + _ERASED_AT_ONCE] for start in range(0, len(numbers), _ERASED_AT_ONCE)
        ]
        index = book.add(
            *(
                e.ErasurePerformed(
                    actor=book.actor, target=book.target, why=why, erased=[e.Erased(run=run, numbers=part)]
                )
                for part in parts
            )
        ).start
        for place_in_log, part in enumerate(parts, index):
            identifier = e.parse(place_in_log, book.writer.log.reader.entry(place_in_log)).event["id"]
            book.writer.log.detail.erase(run, part, identifier)
        forget_steps(place.runs_dir / school / run)
    console.print(
        f"Erased {len(numbers)} steps of run {run}; entry {index} says so.", style="good", markup=False
    )
