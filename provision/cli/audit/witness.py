"""``provision audit witness init|sign|status``: the school's own side, on its own laptop, without a workspace."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from provision.audit.entries import Entry
from provision.audit.log import read_bounded
from provision.audit.tlog import MAX_NOTE, NoteError, Policy, SignerKey, VerifierKey
from provision.audit.witness import (
    DirectorySource,
    EvidenceError,
    HttpsSource,
    KeyFile,
    RefusedLogError,
    Source,
    Trust,
    Visit,
    WitnessStore,
    file_name,
    list_evidence,
    make_key,
    visiting,
)
from provision.audit.witness.evidence import Evidence
from provision.audit.witness.words import TEXTS, key_lines, told, when
from provision.audit.words import Language, span
from provision.cli.options import JsonOption, LanguageOption, YesOption, language
from provision.cli.output import confirm, console, emit_json, errors, interactive
from provision.errors import UsageError
from provision.files import write_atomically
from provision.text import printable_line

_STYLES = {"head": "name", "text": "", "title": "name", "item": "", "warn": "warn"}

app = typer.Typer(
    help="For the school: a key and a copy of your own, so that nobody can rewrite the log unseen. Needs no workspace.",
    no_args_is_help=True,
)

DirectoryOption = Annotated[
    Path,
    typer.Option(
        "--dir",
        envvar="PROVISION_WITNESS",
        help="Directory of your key and your copy of the log, on the school's own laptop.",
    ),
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="Read the key's passphrase from here.", show_default=False),
]


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="witness")


@app.command(
    "init",
    epilog="Examples: provision audit witness init --dir custodi --log policy · "
    "provision audit witness init --dir custodi --log 'provision.example.cat/escola-mar+268e2ec1+Adda…' "
    "--name escola-mar.example.cat/custodi",
)
def init(
    directory: DirectoryOption,
    log: Annotated[
        list[str] | None,
        typer.Option(
            "--log",
            metavar="VKEY|FILE",
            help="The city's key of your log, or its policy file.",
            show_default=False,
        ),
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option(
            "--origin",
            help="Name of your log, if you have no key of it yet: you compare it later.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", help="Name of your key, such as escola-mar.example.cat/custodi.", show_default=False
        ),
    ] = None,
    ml_dsa: Annotated[
        bool, typer.Option("--ml-dsa", help="ML-DSA-44, against quantum computers, instead of Ed25519.")
    ] = False,
    passphrase_file: PassphraseOption = None,
    no_passphrase: Annotated[
        bool,
        typer.Option(
            "--no-passphrase", help="Keep the key in clear: whoever gets at the file can sign as the school."
        ),
    ] = False,
    json_output: JsonOption = False,
) -> None:
    """Make the school's key, and say which log it watches."""
    trust = _trust(log or [], origin)
    if no_passphrase and passphrase_file is not None:
        raise UsageError("Give --passphrase-file or --no-passphrase, not both.")
    passphrase = None if no_passphrase else _passphrase(passphrase_file, TEXTS["en"]["passphrase"], new=True)
    store = WitnessStore.create(directory, trust)
    key = make_key(store.directory, name or f"{trust.origin}/witness", passphrase, ml_dsa=ml_dsa)
    if json_output:
        emit_json(
            "provision/witness-init/v1",
            {
                "directory": str(directory),
                "origin": trust.origin,
                "vkey": key.vkey,
                "log_keys": [one.vkey for one in trust.keys],
                "sealed": passphrase is not None,
            },
        )
        return
    console.print("The school's key, which is public; send this line to the city:", style="good")
    console.print(key.vkey, markup=False, soft_wrap=True)
    console.print(f"It is in {directory / 'public.vkey'} as well.", markup=False)
    if no_passphrase:
        errors.print(
            f"The secret half is in clear in {directory / 'witness.key'}: whoever gets at it can sign as the school.",
            style="warn",
            markup=False,
        )
    console.print(
        f"Make a backup of {directory}. Without the key you need a new one; without the copy nobody can tell "
        "whether the past was changed.",
        markup=False,
    )
    console.print(
        f"Next, each week and after each run: provision audit witness sign --dir {directory} --from SOURCE",
        markup=False,
    )


@app.command(
    "sign",
    epilog="Examples: provision audit witness sign --dir custodi --from /media/usb --lang ca · "
    "provision audit witness sign --dir custodi --from https://pad.escola-mar.cat --user auditor "
    "--password-file password.txt · "
    "as a timer gives it: provision audit witness sign --dir custodi --from /media/usb --passphrase-file pass --yes",
)
def sign(
    directory: DirectoryOption,
    place: Annotated[
        str,
        typer.Option(
            "--from", metavar="SOURCE", help="The log: a directory, a USB stick, or https://… of the school."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file for the city; its directory is enough.",
            show_default=False,
        ),
    ] = None,
    user: Annotated[str, typer.Option("--user", help="User at the https address.")] = "auditor",
    password_file: Annotated[
        Path | None,
        typer.Option(
            "--password-file", help="File with the password at the https address.", show_default=False
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", help="PEM file of the authority of the https address.", show_default=False),
    ] = None,
    passphrase_file: PassphraseOption = None,
    lang: LanguageOption = None,
    yes: YesOption = False,
    approve: Annotated[
        list[str] | None,
        typer.Option(
            "--approve",
            metavar="RUN",
            help="With --yes: agree to this run that waits for you (may be given several times).",
            show_default=False,
        ),
    ] = None,
    json_output: JsonOption = False,
) -> None:
    """Fetch what is new, check that nothing was changed, keep it, and cosign it.

    A signature agrees to each run that waits for it. So with --yes, as a timer gives it, nothing is signed while one
    waits that --approve does not name, or where others than before are to sign or to be asked.
    """
    words = language(lang)
    key_file = KeyFile.read(directory)
    with visiting(directory, _source(place, user, password_file, ca)) as visit:
        if not yes and not interactive():
            raise UsageError(
                "There is nobody to ask whether to sign.", "Say --yes, if you have read what is new."
            )
        waiting = visit.waiting(key_file.verifier)
        if not json_output:
            _tell(visit, words, waiting)
        if yes:
            _refuse_unread(visit, set(waiting) - set(approve or ()))
        _ask(visit, words, yes)
        visit.take()
        key = _open(key_file, passphrase_file, words)
        note = visit.cosign(key)
        target = _target(output, file_name(visit.new))
        write_atomically(target, note.encode())
        _, stamp = visit.store.cosigned(key.verifier) or (0, 0)
    if json_output:
        emit_json(
            "provision/witness-sign/v1",
            {
                "origin": visit.new.origin,
                "size": visit.new.size,
                "root": visit.new.root.hex(),
                "before": visit.old.size,
                "new": dict(visit.news.counts),
                "waiting_runs": list(waiting),
                "new_log_keys": [one.vkey for one in visit.renewed],
                "time": stamp,
                "file": str(target),
            },
        )
        return
    texts = TEXTS[words]
    console.print(texts["done"].format(new=visit.new.size, time=when(stamp)), style="good")
    console.print(f"{texts['send']}: {target}", markup=False, soft_wrap=True)
    console.print(texts["kept"].format(directory=directory), style="quiet", markup=False, soft_wrap=True)


@app.command("status", epilog="Examples: provision audit witness status --dir custodi")
def status(directory: DirectoryOption, lang: LanguageOption = None, json_output: JsonOption = False) -> None:
    """What was seen and signed last, and whether anything was ever wrong."""
    words = language(lang)
    store, key = WitnessStore.open(directory), KeyFile.read(directory)
    last = store.cosigned(key.verifier)
    checkpoint = store.checkpoint
    age = max(0, int(time.time()) - last[1]) if last else None
    found = [_evidence(place, store) for place in list_evidence(store.evidence)]
    if json_output:
        emit_json(
            "provision/witness-status/v1",
            {
                "origin": checkpoint.origin,
                "entries": checkpoint.size,
                "root": checkpoint.root.hex(),
                "vkey": key.verifier.vkey,
                "sealed": key.sealed,
                "log_keys": [one.vkey for one in store.trust.keys],
                "signed": {"size": last[0], "time": last[1], "age_seconds": age} if last else None,
                "evidence": found,
            },
        )
    else:
        _print_status(store, key, last, age, found, words)
    if any(one["proves_fork"] for one in found):
        raise typer.Exit(1)


def _print_status(
    store: WitnessStore,
    key: KeyFile,
    last: tuple[int, int] | None,
    age: int | None,
    found: list[dict[str, Any]],
    words: Language,
) -> None:
    checkpoint = store.checkpoint
    lines = [
        ("log", checkpoint.origin),
        ("entries held", str(checkpoint.size)),
        ("root", checkpoint.root.hex()),
        (
            "signed",
            f"{last[0]} entries, {when(last[1])}, {span(age or 0, words)} ago" if last else "nothing yet",
        ),
        ("your key", key.verifier.vkey),
        ("passphrase", "yes" if key.sealed else "no: whoever gets at the file can sign as the school"),
        *(("the city's key", one.vkey) for one in store.trust.keys),
    ]
    for title, text in lines:
        console.print(Text(f"{title:<15}", "name") + Text(text), soft_wrap=True)
    for one in found:
        words_of_it = (
            "proves that the log was forked" if one["proves_fork"] else f"proves nothing: {one['why']}"
        )
        console.print(
            Text("evidence       ", "bad") + Text(f"{one['directory']} {words_of_it}"), soft_wrap=True
        )


def _evidence(place: Path, store: WitnessStore) -> dict[str, Any]:
    try:
        Evidence.load(place).check((*store.trust.keys, *store.trust.former))
    except EvidenceError as error:
        return {"directory": str(place), "proves_fork": False, "why": str(error)}
    return {"directory": str(place), "proves_fork": True, "why": ""}


def _trust(given: list[str], origin: str | None) -> Trust:
    """Whose log, from what the city gave: keys, or a policy file."""
    keys: list[VerifierKey] = []
    try:
        for one in given:
            file = Path(one)
            if "+" in one and not file.exists():
                keys.append(VerifierKey.parse(one.strip()))
                continue
            text = read_bounded(file, MAX_NOTE).decode()
            lines = text.split()
            keys += [VerifierKey.parse(lines[0])] if len(lines) == 1 else Policy.parse(text).logs
    except (NoteError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--log is no key and no policy: {error}", "ask the city for its key again"
        ) from error
    except OSError as error:
        raise UsageError(f"--log: {one} cannot be read: {error.strerror}", "give a key or a file") from error
    names = dict.fromkeys([origin] if origin else [key.name for key in keys])
    if len(names) != 1:
        raise UsageError(
            "It is not said which log is yours."
            if not names
            else f"There are several logs: {', '.join(names)}.",
            "Give --log with the city's key, or --origin with the log's name.",
        )
    chosen = next(iter(names))
    mine = tuple(key for key in keys if key.name == chosen)
    if keys and not mine:
        raise UsageError(
            f"None of these keys is of the log {chosen}.", "Give --origin as the city writes it."
        )
    return Trust(chosen, mine)


def _source(place: str, user: str, password_file: Path | None, ca: Path | None) -> Source:
    if "://" not in place:
        return DirectorySource(Path(place))
    password = _line(password_file) if password_file is not None else None
    if password is None and interactive():
        password = (
            typer.prompt(f"Password of {user}", hide_input=True, err=True, default="", show_default=False)
            or None
        )
    return HttpsSource(place, user=user, password=password, ca=ca)


def _line(file: Path) -> str:
    try:
        text = read_bounded(file, 4096).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read.", "It must hold one line of text.") from error
    line = text.split("\n")[0].rstrip("\r")
    if not line:
        raise UsageError(f"{file} is empty.", "It must hold one line of text.")
    return line


def _passphrase(file: Path | None, question: str, *, new: bool = False) -> str:
    if file is not None:
        return _line(file)
    if not interactive():
        raise UsageError(
            "There is nobody to ask for the passphrase.",
            "Give --passphrase-file FILE" + (", or --no-passphrase." if new else "."),
        )
    return str(typer.prompt(question, hide_input=True, confirmation_prompt=new, err=True))


def _open(key: KeyFile, passphrase_file: Path | None, words: Language) -> SignerKey:
    return key.open(_passphrase(passphrase_file, TEXTS[words]["passphrase"]) if key.sealed else None)


def _tell(visit: Visit, words: Language, waiting: Mapping[str, Entry]) -> None:
    for kind, line in told(visit, words, waiting=waiting):
        if kind == "title":
            errors.print()
        errors.print(Text(("  " if kind == "item" else "") + line, _STYLES[kind]), soft_wrap=True)


def _refuse_unread(visit: Visit, runs: set[str]) -> None:
    """What only a person can agree to is not signed by a timer.

    Raises:
        RefusedLogError: there is such a thing.
    """
    if runs:
        names = sorted(printable_line(run, 80) for run in runs)
        raise RefusedLogError(
            "waiting",
            f"a signature would agree to what waits for it: {', '.join(names)}; nothing was signed",
            "read what it intends, then sign without --yes, or with: --yes "
            + " ".join(f"--approve {name}" for name in names),
        )
    rules = sorted({*visit.news.loosened, *visit.news.replaced})
    if rules:
        raise RefusedLogError(
            "rules",
            "the city changed who must sign, or whether runs wait for you: "
            f"{', '.join(f'entry {index}' for index in rules[:5])}; nothing was signed",
            "was it agreed with you? Then sign once without --yes",
        )


def _ask(visit: Visit, words: Language, yes: bool) -> None:
    texts = TEXTS[words]
    if visit.first_use:
        errors.print(Text(f"\n{texts['first-key']}:", "warn"), soft_wrap=True)
        for line in key_lines(visit.trust.keys):
            errors.print(Text(f"  {line}"), soft_wrap=True)
        if yes:
            raise UsageError(
                "The city's key is not known yet, and only a person can compare it.",
                "Sign once without --yes, or give the key: provision audit witness init --log VKEY",
            )
        confirm(texts["key-question"], yes=False)
    confirm(f"\n{texts['question']}", yes=yes)


def _target(out: Path | None, name: str) -> Path:
    if out is None:
        return Path(name)
    return out / name if out.is_dir() else out
