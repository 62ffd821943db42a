"""``provision health grant`` and ``revoke``: who may see how a school's servers are, and nothing else."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from provision.audit import entries as e
from provision.cli.options import (
    JsonOption,
    LanguageOption,
    SchoolArgument,
    WhyOption,
    WorkspaceOption,
    language,
)
from provision.cli.output import console, emit_json, errors
from provision.engine.ssh import SUPPORT_USER
from provision.engine.support import Brought, bring, key_fingerprint
from provision.errors import UsageError
from provision.model import ResolvedSchool, Workspace, find_workspace, load_workspace
from provision.model.municipality import Language
from provision.model.support import SupportPerson, support_file, write_support
from provision.text import printable_line

#: Public keys have at most some thousand bytes.
_MAX_KEY_FILE = 16 * 1024
#: What the person must do, who gets this text from whoever has granted.
_TELL: dict[Language, str] = {
    "ca": (
        "Per a {name}: amb una còpia d'aquest espai de treball, sense la seva clau ni la dels secrets, executa\n"
        "  provision health {school} --identity FITXER\n"
        'on FITXER és la clau privada (el fitxer sense .pub), o "agent" si la guarda ssh-agent. '
        "Mostra com estan els servidors i no hi canvia res."
    ),
    "es": (
        "Para {name}: con una copia de este espacio de trabajo, sin su clave ni la de los secretos, ejecuta\n"
        "  provision health {school} --identity FICHERO\n"
        'donde FICHERO es la clave privada (el fichero sin .pub), o "agent" si la guarda ssh-agent. '
        "Muestra cómo están los servidores y no cambia nada en ellos."
    ),
    "en": (
        "For {name}: with a copy of this workspace (neither its key nor that of the secrets is needed), run\n"
        "  provision health {school} --identity FILE\n"
        'where FILE is the private key (the file without .pub), or "agent" where ssh-agent keeps it. '
        "It shows how the servers are, and changes nothing there."
    ),
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "grant",
        epilog="Examples: provision health grant escola-mar --key laia.pub · "
        'provision health grant escola-mar --key laia.pub --name "Laia Puig" --why "TIC coordinator since September"',
    )(grant)
    app.command(
        "revoke",
        epilog='Examples: provision health revoke escola-mar "Laia Puig" · '
        "provision health revoke escola-mar --key laia.pub --why 'the laptop was lost'",
    )(revoke)


def grant(
    school: SchoolArgument,
    key: Annotated[
        Path,
        typer.Option(
            "--key",
            metavar="FILE",
            help="The person's public SSH key: the file that ends in .pub.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str,
        typer.Option(
            "--name",
            metavar="WHO",
            help="The person's name; without it the remark in the key.",
            show_default=False,
        ),
    ] = "",
    why: WhyOption = "",
    lang: LanguageOption = None,
    workspace: WorkspaceOption = None,
    json_output: JsonOption = False,
) -> None:
    """Let a support person see how a school's servers are: with a key of their own, and nothing else.

    The key comes into support/SCHOOL.yml, to be kept under version control, and at once to the servers.
    """
    place = load_workspace(find_workspace(workspace))
    words = language(lang, place)
    chosen = place.school(school)
    person = _person(key, name)
    others = tuple(one for one in chosen.support if one != person)
    for one in others:
        if person.key == one.key:
            raise UsageError(
                f"This key is that of {one.name} already.",
                f'To give it another name: provision health revoke {school} "{one.name}", then grant it again.',
            )
        if person.name.casefold() == one.name.casefold():
            raise UsageError(
                f"{one.name} has another key already.",
                f'Give this one a name of its own, such as --name "{one.name}, portable", or revoke the other first.',
            )
    people = (*others, person)
    entry = partial(_entry, e.AccessOpened, chosen, person, why)
    brought = bring(place, chosen, people, entry, partial(write_support, place.path, school, people))
    done = f"{person.name} may ask how the servers of {school} are."
    _tell("health-grant", place, chosen, person, brought, done, json_output=json_output)
    if not json_output:
        console.print()
        console.print(_TELL[words].format(name=person.name, school=school), markup=False, soft_wrap=True)
    raise typer.Exit(1 if brought.missed else 0)


def revoke(
    school: SchoolArgument,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The person, as in support/SCHOOL.yml.", show_default=False)
    ] = "",
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", metavar="FILE", help="Whose public key this is, instead of NAME.", show_default=False
        ),
    ] = None,
    why: WhyOption = "",
    workspace: WorkspaceOption = None,
    json_output: JsonOption = False,
) -> None:
    """Take a support person's key from a school's servers at once; connections of theirs that are open end."""
    place = load_workspace(find_workspace(workspace))
    chosen = place.school(school)
    if bool(name) == (key is not None):
        raise UsageError(
            "Say whose key: by the name or by the key.",
            f'provision health revoke {school} "{chosen.support[0].name if chosen.support else "NAME"}"',
        )
    body = _checked_key(key)[0] if key else ""
    found = [one for one in chosen.support if one.key == body or one.name.casefold() == name.casefold()]
    if not found:
        known = ", ".join(one.name for one in chosen.support)
        raise UsageError(
            f"{'This key' if key else name} is not among the support people of {school}.",
            f"There are: {known}." if known else f"There is nobody in {support_file(place.path, school)}.",
        )
    (person,) = found
    people = tuple(one for one in chosen.support if one != person)
    entry = partial(_entry, e.AccessClosed, chosen, person, why)
    brought = bring(place, chosen, people, entry, partial(write_support, place.path, school, people))
    done = f"{person.name} may not ask the servers of {school} any more."
    _tell("health-revoke", place, chosen, person, brought, done, json_output=json_output)
    raise typer.Exit(1 if brought.missed else 0)


def _entry(
    kind: type[e.AccessOpened | e.AccessClosed],
    school: ResolvedSchool,
    person: SupportPerson,
    why: str,
    actor: e.Actor,
) -> e.Data:
    subject = f"{SUPPORT_USER}, {person.name}, {key_fingerprint(person.key)}"
    return kind(actor=actor, target=e.Target(school=school.id), kind="grant", subject=subject, why=why)


def _tell(
    schema: str,
    workspace: Workspace,
    school: ResolvedSchool,
    person: SupportPerson,
    brought: Brought,
    done: str,
    *,
    json_output: bool,
) -> None:
    file = support_file(workspace.path, school.id)
    if json_output:
        document: dict[str, Any] = {
            "school": school.id,
            "name": person.name,
            "key": key_fingerprint(person.key),
            "file": str(file),
            "hosts": {host: brought.missed.get(host) for host in school.hosts},
            "log": "waiting" if brought.waiting else "written" if school.audit.enabled else "none",
        }
        emit_json(f"provision/{schema}/v1", document)
        return
    console.print(done, style="good", markup=False)
    console.print(f"Key: {key_fingerprint(person.key)}, in {file}", markup=False, soft_wrap=True)
    for host in brought.done:
        console.print(f"{host}: done", markup=False)
    for host, reason in brought.missed.items():
        errors.print(f"{host}: NOT YET: {printable_line(reason, 300)}", style="warn", markup=False)
    if brought.missed:
        errors.print(
            f"It comes there with the next run: provision apply {school.id}", style="warn", markup=False
        )
    if brought.waiting:
        errors.print(
            f"The audit log gets its entry with the next run, or with: provision audit sync {school.id} "
            f"({printable_line(brought.waiting, 300)})",
            style="warn",
            markup=False,
        )
    for note in brought.notes:
        errors.print(printable_line(note, 500), style="warn", markup=False)
    console.print("Keep the file under version control.", style="quiet", markup=False)


def _person(file: Path, name: str) -> SupportPerson:
    key, remark = _checked_key(file)
    who = name.strip() or remark
    if not who:
        raise UsageError(f"{file} says nothing of whose key it is.", "Give the person's name with --name.")
    return _validated(who, key)


def _validated(name: str, key: str) -> SupportPerson:
    try:
        return SupportPerson(name=name, key=key)
    except ValidationError as error:
        context = error.errors()[0].get("ctx", {})
        message = str(context.get("message") or "This is no name.")
        raise UsageError(message, str(context.get("remedy", ""))) from None


def _checked_key(file: Path) -> tuple[str, str]:
    """A public key of a file, and the remark behind it.

    Raises:
        UsageError: there is none in it, or not just one; or it is a private key.
    """
    try:
        with file.expanduser().open("rb") as stream:
            raw = stream.read(_MAX_KEY_FILE + 1)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}.", "Give the file that ends in .pub."
        ) from error
    if b"PRIVATE KEY" in raw:
        raise UsageError(
            f"{file} IS A PRIVATE KEY. It belongs to its owner and to nobody else.",
            "If somebody sent it to you, it is known to others now: let them make a new pair (ssh-keygen -t ed25519) "
            "and send only the file that ends in .pub. Nothing was kept of it.",
        )
    lines = [line.strip() for line in raw.decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(raw) > _MAX_KEY_FILE or len(lines) != 1:
        raise UsageError(
            f"{file} must hold one public SSH key, and has {len(lines)} lines.",
            'It is one line such as "ssh-ed25519 AAAA… name": the file that ends in .pub.',
        )
    person = _validated("-", lines[0])
    remark = lines[0].split(None, 2)[2:]
    return person.key, printable_line(remark[0], 200) if remark else ""
