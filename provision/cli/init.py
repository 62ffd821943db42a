"""``provision init``: a new municipality's directory."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic_core import PydanticCustomError

from provision.cli.options import JsonOption
from provision.cli.output import console, emit_json, errors, interactive
from provision.cli.problems import render
from provision.errors import Problem, UsageError
from provision.model import rules
from provision.model.municipality import SLUG_PATTERN
from provision.model.scaffold import MunicipalityAnswers, check_id, check_new_workspace, create_workspace
from provision.model.wording import FORMS


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "init",
        epilog='Examples: provision init vilanova · provision init vilanova --name "Ajuntament de Vilanova" '
        "--contact-name TIC --contact-email tic@vilanova.cat --dpo-name DPD --dpo-email dpd@vilanova.cat",
    )(init)


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory to make.", show_default=False)],
    *,
    name: Annotated[str, typer.Option("--name", help="The municipality's name.", show_default=False)] = "",
    municipality_id: Annotated[
        str,
        typer.Option("--id", help="Short name; made from the directory's when left out.", show_default=False),
    ] = "",
    contact_name: Annotated[
        str,
        typer.Option("--contact-name", help="Office or person that schools write to.", show_default=False),
    ] = "",
    contact_email: Annotated[
        str, typer.Option("--contact-email", help="Their e-mail address.", show_default=False)
    ] = "",
    officer_name: Annotated[
        str, typer.Option("--dpo-name", help="The data protection officer.", show_default=False)
    ] = "",
    officer_email: Annotated[
        str, typer.Option("--dpo-email", help="The officer's e-mail address.", show_default=False)
    ] = "",
    tls: Annotated[
        Literal["acme", "provided", "internal"], typer.Option("--tls", help="Where certificates come from.")
    ] = "acme",
    lab: Annotated[bool, typer.Option("--lab", help="It describes disposable servers, for tests.")] = False,
    json_output: JsonOption = False,
) -> None:
    """Make a new workspace: the directory in which a municipality describes its schools.

    Asks for what is missing when there is a terminal. In a directory that is a workspace already, only files
    that are missing are added.
    """
    present = check_new_workspace(directory)
    answers = None
    if not present:
        form = FORMS[SLUG_PATTERN]
        chosen = municipality_id or form.mend(directory.resolve().name)[:40].strip("-")
        check_id(chosen, "municipality")
        asked = {
            "--name": Question("Name of the municipality", name, rules.line_of_text),
            "--contact-name": Question(
                "Office or person that schools write to", contact_name, rules.line_of_text
            ),
            "--contact-email": Question("Their e-mail address", contact_email, rules.email),
            "--dpo-name": Question("Name of the data protection officer", officer_name, rules.line_of_text),
            "--dpo-email": Question("The officer's e-mail address", officer_email, rules.email),
        }
        given = complete(asked)
        answers = MunicipalityAnswers(
            id=chosen,
            name=given["--name"],
            contact_name=given["--contact-name"],
            contact_email=given["--contact-email"],
            officer_name=given["--dpo-name"],
            officer_email=given["--dpo-email"],
            tls=tls,
            lab=lab,
        )
    try:
        written = create_workspace(directory, answers)
    except OSError as error:
        raise UsageError(
            f"{directory} cannot be written: {error.strerror}.", "Choose another directory."
        ) from error
    if json_output:
        emit_json(
            "provision/init/v1",
            {"workspace": str(directory.resolve()), "written": [str(file) for file in written]},
        )
        return
    if not written:
        console.print(f"{directory} is a workspace already, and complete. Nothing was changed.", markup=False)
        return
    console.print(f"{'Completed' if present else 'Made'} the workspace {directory}:", markup=False)
    for file in sorted(written):
        console.print(f"  {file.relative_to(directory)}", markup=False)
    if present:
        return
    place = shlex.quote(str(directory))
    console.print("\nNext:", style="name")
    console.print(f"  look through {directory / 'municipality.yml'}", markup=False)
    if not _in_git(directory):
        console.print(
            f"  git init {shlex.quote(str(directory))}    # a record names the revision of its run",
            markup=False,
        )
    console.print(f"  provision school add ID --workspace {place}", markup=False)


@dataclass(frozen=True, slots=True)
class Question:
    """Something that must be known.

    Args:
        text: how it is asked.
        given: what was given as an option; empty when it was not.
        rule: takes an answer or refuses it.
    """

    text: str
    given: str
    rule: Callable[[str], str]


def complete(questions: dict[str, Question]) -> dict[str, str]:
    """Ask for what was not given; a wrong answer is explained, and asked for again.

    Args:
        questions: by their options.

    Returns:
        The answers by option. What was given as an option is not judged here.

    Raises:
        UsageError: something is missing and there is nobody to ask; names the options.
    """
    missing = [option for option, question in questions.items() if not question.given.strip()]
    if missing and not interactive():
        raise UsageError(
            f"Missing: {', '.join(missing)}. There is no terminal to ask at.",
            f"Give {'options' if len(missing) > 1 else 'an option'}, such as {missing[0]} VALUE.",
        )
    return {option: question.given.strip() or _ask(question) for option, question in questions.items()}


def _ask(question: Question) -> str:
    while True:
        answer = re.sub(r"\s+", " ", typer.prompt(question.text, err=True)).strip()
        try:
            return question.rule(answer)
        except PydanticCustomError as refused:
            context = refused.context or {}
            render([Problem(str(context["message"]), str(context["remedy"]))], errors)


def _in_git(directory: Path) -> bool:
    place = directory.resolve()
    return any((parent / ".git").exists() for parent in (place, *place.parents))
