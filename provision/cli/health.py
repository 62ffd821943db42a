"""``provision health``: are the services of schools well, what does it mean, and what is to be done?"""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from difflib import get_close_matches
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from typer.core import TyperCommand

from provision.cli.lazy import LazyGroup
from provision.cli.options import (
    JsonOption,
    LanguageOption,
    OutputOption,
    SchoolArgument,
    ServiceOption,
    WorkspaceOption,
    language,
)
from provision.cli.output import as_json, console, emit_json, errors, file_console
from provision.cli.problems import warn_of_broken
from provision.engine.asking import as_support, ask_whole
from provision.errors import ConfigurationError, ProvisionError, RefusedError, UsageError
from provision.files import write_atomically
from provision.health.ask import Answers, ask_many
from provision.health.history import Check, read_history, remember
from provision.health.render import (
    HISTORY_SCHEMA,
    SCHEMA,
    as_document,
    as_metrics,
    as_page,
    as_plugin,
    as_unknown,
    history_document,
    show_history,
    show_table,
)
from provision.health.render.words import TEXTS
from provision.model import ResolvedSchool, Workspace, find_workspace, load_workspace
from provision.model.municipality import Language

#: What the group does with words that are none of its commands. No school can be called that: ids are in lower case.
_ASK = "SCHOOL"

#: A wrong option or value: click's ``UsageError``, which Typer keeps in another place with each release.
_WRONG_USE = cast(type[Exception], typer.BadParameter.__mro__[1])


class Format(StrEnum):
    """Who reads it."""

    table = "table"
    json = "json"
    html = "html"
    prometheus = "prometheus"
    nagios = "nagios"


class _HealthGroup(LazyGroup):
    """``provision health SCHOOL`` beside ``provision health history SCHOOL``.

    A school that is called like one of the commands is asked with ``provision health -- history``.
    """

    modules: ClassVar = dict.fromkeys(("grant", "revoke"), "provision.cli.support")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Words that begin with none of the commands' names are those of the question itself."""
        if not args or args[0] not in self.commands or args[0] == _ASK:
            args = [_ASK, *args]
        return list(super().parse_args(ctx, args))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The question itself has no name of its own in the help."""
        name, command, rest = super().resolve_command(ctx, args)
        return ("" if name == _ASK else name), command, rest


class _Question(TyperCommand):
    """The question itself; for a monitoring system a wrong option is UNKNOWN, and not CRITICAL, which 2 would be."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Options and names, as ever."""
        words = set(args)
        try:
            return list(super().parse_args(ctx, args))
        except _WRONG_USE as error:
            if not words & {"nagios", "--format=nagios", "-fnagios"}:
                raise
            text, code = as_unknown(str(cast(Any, error).format_message()))
            typer.echo(text, nl=False)
            raise typer.Exit(code) from None


app = typer.Typer(
    cls=_HealthGroup,
    help="Ask every service of a school whether it is well; what it means and what to do where it is not.",
)


def register(top: typer.Typer) -> None:
    """Add the commands."""
    top.add_typer(app, name="health")


@app.command(
    _ASK,
    cls=_Question,
    hidden=True,
    epilog="Examples: provision health escola-mar · provision health escola-mar --service etherpad --lang ca · "
    "provision health --all --html --output schools.html · provision health --all --watch · "
    "provision health escola-mar --format nagios · provision health escola-mar --record · "
    "provision health escola-mar --identity ~/.ssh/id_ed25519. "
    "What was found before: provision health history escola-mar. Who else may ask: provision health grant --help. "
    "Exit codes: 0 all is well · 1 something is not · 3 nothing answers. As a Nagios plugin: 0, 1, 2, 3.",
)
def health(
    schools: Annotated[
        list[str] | None,
        typer.Argument(metavar="SCHOOL", help="One school or several.", show_default=False),
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="All schools of the municipality.")] = False,
    workspace: WorkspaceOption = None,
    service: ServiceOption = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            "-f",
            help="table: for people · json: for programs · html: one page for all schools · prometheus: metrics · "
            "nagios: a monitoring plugin.",
        ),
    ] = Format.table,
    output: OutputOption = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Run the acceptance tests of the services as well: minutes, and needs root there."
        ),
    ] = False,
    identity: Annotated[
        Path | None,
        typer.Option(
            "--identity",
            envvar="PROVISION_SUPPORT_KEY",
            metavar="FILE|agent",
            help="Come as support people do, with this private key or with those of ssh-agent: see health grant.",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Ask again and again, until Ctrl-C.")] = False,
    every: Annotated[
        int, typer.Option("--every", min=5, max=86_400, help="Seconds from one asking to the next (--watch).")
    ] = 30,
    lang: LanguageOption = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write what was found into the audit log (needs its key).")
    ] = False,
    html: Annotated[bool, typer.Option("--html", help="The same as --format html.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Ask every service of a school whether it is well, from outside and on the server. Changes nothing there.

    Needs no vault password (but where sudo asks for one), and nothing from upstream.
    """
    chosen = Format.json if json_output else Format.html if html else form
    try:
        if watch and chosen is Format.nagios:
            raise UsageError(
                "A monitoring plugin is asked again by its monitoring system.", "Leave --watch out."
            )
        if output and not output.parent.is_dir():
            # Told before schools are asked for nothing.
            raise UsageError(f"There is no directory {output.parent}.", f"mkdir -p {output.parent}")
        if output and output.is_dir():
            raise UsageError(f"{output} is a directory.", "Name a file in it.")
        if deep:
            from provision.engine.deep import check_deep_is_possible

            check_deep_is_possible()
        loaded = load_workspace(find_workspace(workspace), lenient=True)
        asked = _chosen(loaded, schools or [], everyone)
        # A plugin's words for a person would be taken for its answer.
        broken = bool(loaded.broken) if chosen is Format.nagios else warn_of_broken(loaded)
        if identity:
            if record or deep:
                raise UsageError(
                    "Support people neither write the audit log nor run acceptance tests.",
                    "Leave --record and --deep out, or --identity (and PROVISION_SUPPORT_KEY).",
                )
            key = _private_key(identity)
            asked = [as_support(school, key) for school in asked]
        words = language(lang, loaded, programs=chosen is Format.json)
        while True:
            began = time.monotonic()
            with errors.status(TEXTS[words]["asking"]):
                answers = _ask(loaded, asked, service or [], deep=deep)
            if record:
                _record(loaded, answers)
            code = _show(loaded, answers, chosen, words, output, again=watch, everyone=everyone)
            if everyone and broken and code == 0:
                code = 1
            if not watch:
                raise typer.Exit(code)
            time.sleep(max(1.0, every - (time.monotonic() - began)))
    except (ProvisionError, OSError) as error:
        if chosen is not Format.nagios:
            raise
        # A plugin's own trouble is UNKNOWN, never CRITICAL, which our exit code 2 would be.
        text, code = as_unknown(_trouble(error))
        typer.echo(text, nl=False)
        raise typer.Exit(code) from None


@app.command(
    "history",
    epilog="Examples: provision health history escola-mar · provision health history escola-mar --limit 100 --json",
)
def history_command(
    school: SchoolArgument,
    workspace: WorkspaceOption = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many askings, the newest.")] = 20,
    lang: LanguageOption = None,
    json_output: JsonOption = False,
) -> None:
    """What was found before, and since when each thing is as it is. Asks nobody."""
    loaded = load_workspace(find_workspace(workspace), lenient=True)
    there = loaded.school(school)
    warn_of_broken(loaded)
    found = read_history(loaded.state_dir, there.id)
    if json_output:
        emit_json(HISTORY_SCHEMA, history_document(there.id, found, limit))
        return
    words = language(lang, loaded)
    show_history(there.id, found, console, words, ZoneInfo(there.timezone), limit)


def _trouble(error: ProvisionError | OSError) -> str:
    """An error in one line: of several problems the first, with its file."""
    if isinstance(error, OSError):
        return str(error)
    problems = getattr(error, "problems", ())
    return ": ".join(filter(None, (problems[0].where(), problems[0].message))) if problems else error.message


def _private_key(identity: Path) -> Path | None:
    """The file that ``--identity`` names; None for the keys of ssh-agent.

    Raises:
        UsageError: there is no such file, or it is the public half.
    """
    if str(identity) == "agent":
        return None
    file = identity.expanduser().absolute()
    if file.suffix == ".pub":
        raise UsageError(
            f"{file} is the public half of a key.", f'Give the private one: "{file.with_suffix("")}"?'
        )
    if not file.is_file():
        raise UsageError(
            f"There is no key {file}.",
            'Give the file of your private key, or "agent" for those of ssh-agent.',
        )
    return file


def _chosen(workspace: Workspace, named: Sequence[str], everyone: bool) -> list[ResolvedSchool]:
    if everyone and named:
        raise UsageError("--all is for all schools; some are named as well.", "Leave one of both out.")
    if everyone:
        if not workspace.schools:
            if workspace.broken:
                raise ConfigurationError([one for found in workspace.broken.values() for one in found])
            raise UsageError("There is no school yet.", "provision school add ID")
        return list(workspace.schools.values())
    if not named:
        raise UsageError(
            "No school is named.", "provision health SCHOOL, or provision health --all; --help has examples"
        )
    if named[0] not in {*workspace.schools, *workspace.broken}:
        meant = get_close_matches(named[0], ("history", *_HealthGroup.modules), 1, 0.75)
        if meant and not get_close_matches(named[0], workspace.schools, 1):
            raise UsageError(
                f'There is no school "{named[0]}".', f"Did you mean: provision health {meant[0]}?"
            )
    return [workspace.school(school_id) for school_id in dict.fromkeys(named)]


def _ask(
    workspace: Workspace, schools: Sequence[ResolvedSchool], only: Sequence[str], *, deep: bool = False
) -> list[Answers]:
    """Ask all of them, remember it, and give the answers in the order of the schools."""
    known = {service for school in schools for service in school.services}
    if unknown := sorted(set(only) - known):
        raise UsageError(
            f"No school has a service {', '.join(unknown)}.",
            f"There are: {', '.join(sorted(known)) or 'none'}.",
        )

    def ask(school: ResolvedSchool) -> Answers:
        return ask_whole(workspace, school, only, deep=deep)

    found: dict[str, Answers] = {}
    trouble = ""
    for answers in ask_many(schools, ask):
        since = {}
        try:
            since = remember(workspace.state_dir, answers) if answers.findings else {}
        except OSError as error:
            trouble = error.strerror or str(error)
        except ProvisionError as error:
            trouble = error.message
        found[answers.school] = replace(answers, since=since)
    if trouble:
        # Who may only look need not be able to write.
        errors.print(f"What was found is not remembered: {trouble}.", style="warn", markup=False)
    if not any(answers.findings for answers in found.values()):
        raise RefusedError(
            "there is nothing to ask: no service of these schools has a probe", "provision school show SCHOOL"
        )
    return [found[school.id] for school in schools]


def _record(workspace: Workspace, schools: Sequence[Answers]) -> None:
    from provision.cli.audit.keeping import open_book
    from provision.engine.recorder import health_entry

    for answers in schools:
        with open_book(workspace, workspace.school(answers.school), "health") as book:
            probes = [{"service": finding.service, "state": finding.state} for finding in answers.findings]
            book.add(health_entry(book, probes))


def _show(
    workspace: Workspace,
    schools: Sequence[Answers],
    form: Format,
    lang: Language,
    output: Path | None,
    *,
    again: bool,
    everyone: bool,
) -> int:
    """Print or write it; gives the exit code.

    Args:
        everyone: all schools were asked for, also those whose files are wrong.
    """
    states = {answers.state for answers in schools}
    code = 3 if states == {"unreachable"} else int(states != {"ok"})
    if form is Format.table:
        _table(workspace, schools, lang, output, again=again)
        return code
    if form is Format.nagios:
        text, code = as_plugin(schools, lang)
        if everyone and workspace.broken and code == 0:
            # The schools that could not be asked are not well, as far as anybody knows.
            text, code = as_unknown(f"files of schools are wrong: {', '.join(workspace.broken)}")
    elif form is Format.json:
        text = as_json(SCHEMA, as_document(schools, lang))
    elif form is Format.prometheus:
        files = {answers.school: answers.school not in workspace.broken for answers in schools}
        files |= dict.fromkeys(workspace.broken, False) if everyone else {}
        text = as_metrics(workspace.municipality.id, schools, files)
    else:
        zone, name = _zone(workspace)
        text = as_page(
            workspace.municipality.name,
            schools,
            {answers.school: _checks(workspace, answers.school) for answers in schools},
            lang=lang,
            zone=zone,
            zone_name=name,
            now=datetime.now(UTC),
        )
    if output:
        write_atomically(output, text.encode(), mode=_mode(form))
    else:
        typer.echo(text, nl=False)
    return code


def _table(
    workspace: Workspace, schools: Sequence[Answers], lang: Language, output: Path | None, *, again: bool
) -> None:
    def show(target: Console) -> None:
        for answers in schools:
            zone = ZoneInfo(workspace.school(answers.school).timezone)
            show_table(answers, target, lang, zone, brief=len(schools) > 1)

    if output:
        text = StringIO()
        show(file_console(text))
        write_atomically(output, text.getvalue().encode(), mode=_mode(Format.table))
        return
    if again and console.is_terminal:
        console.clear()
    show(console)


def _mode(form: Format) -> int:
    """The metrics are read by another user (node_exporter); the rest tells who has the file where a school is weak."""
    return (0o644 if form is Format.prometheus else 0o600) & ~_umask()


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _checks(workspace: Workspace, school: str) -> Sequence[Check]:
    try:
        return read_history(workspace.state_dir, school).checks
    except OSError:
        return ()


def _zone(workspace: Workspace) -> tuple[tzinfo, str]:
    name = workspace.municipality.defaults.timezone
    return ZoneInfo(name), name
