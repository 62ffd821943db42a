"""Makes new workspaces and school files out of templates, and checks them before they are put in place."""

import os
import re
import secrets
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import jinja2
import yaml

from provision import paths
from provision.errors import ConfigurationError, Problem, UsageError
from provision.files import sync_directory, write_atomically
from provision.model.catalog import ServiceEntry
from provision.model.checks import draft
from provision.model.document import parse_document
from provision.model.municipality import SLUG_PATTERN, Municipality
from provision.model.rules import did_you_mean
from provision.model.schemas import WORKSPACE_DIR, shipped_catalog, write_schemas
from provision.model.settings import description_of, option_of
from provision.model.wording import FORMS, Vocabulary
from provision.model.workspace import MUNICIPALITY_FILE, SCHOOLS_DIR, Workspace, load_workspace

#: What may lie in a directory that still counts as empty.
_HARMLESS = {".git", ".gitattributes", ".gitignore", ".gitkeep"}


@dataclass(frozen=True, slots=True)
class MunicipalityAnswers:
    """What a new ``municipality.yml`` must be told.

    Args:
        tls: ``acme``, ``provided`` or ``internal``.
        lab: the workspace describes disposable servers.
    """

    id: str
    name: str
    contact_name: str
    contact_email: str
    officer_name: str
    officer_email: str
    tls: str = "acme"
    lab: bool = False


@dataclass(frozen=True, slots=True)
class SchoolAnswers:
    """What a new school file must be told; None leaves the municipality's default.

    Args:
        services: service -> its host name; an empty text takes the usual one.
    """

    id: str
    name: str
    domain: str
    address: str
    services: Mapping[str, str]
    user: str | None = None
    port: int | None = None
    system: str | None = None


def yaml_text(value: str) -> str:
    """A text as it stands in YAML: without quotes where it then is the same text, else in double quotes."""
    document = parse_document(Path("value"), f"key: {value}\n".encode())
    if not document.problems and document.data == {"key": value} and not value.endswith(":"):
        return value
    return yaml.safe_dump(value, default_style='"', allow_unicode=True, width=10_000).strip()


def _environment() -> jinja2.Environment:
    # The templates make YAML and Markdown, where HTML's escapes would be wrong; texts go through yaml_text.
    environment = jinja2.Environment(  # noqa: S701
        loader=jinja2.FileSystemLoader(paths.TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["yaml"] = yaml_text
    return environment


def check_new_workspace(directory: Path) -> bool:
    """Whether a workspace can be made in a directory.

    Returns:
        True when it is a workspace already, which can be completed.

    Raises:
        UsageError: it holds other things, or is no directory.
    """
    if (directory / MUNICIPALITY_FILE).is_file():
        return True
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is a file.", "Name a directory that is new or empty.")
    others = {entry.name for entry in directory.iterdir()} - _HARMLESS if directory.is_dir() else set()
    if others:
        shown = ", ".join(sorted(others)[:3])
        raise UsageError(
            f"{directory} is not empty ({shown}{', ...' if len(others) > 3 else ''}) and not a workspace.",
            "Name a directory that is new or empty. Nothing was changed.",
        )
    return False


def check_id(text: str, what: str) -> None:
    """An id from the command line.

    Raises:
        UsageError: it cannot be an id; says what could.
    """
    if not re.fullmatch(SLUG_PATTERN, text):
        form = FORMS[SLUG_PATTERN]
        better = form.mend(text)[:40].strip("-")
        raise UsageError(
            f'"{text}" cannot be the id of a {what}. Allowed: {form.allowed}.',
            f'Did you mean "{better}"?' if better else f'Such as "{form.example}".',
        )


def create_workspace(directory: Path, answers: MunicipalityAnswers | None) -> list[Path]:
    """Make a workspace, or complete one.

    Args:
        directory: new, empty, or a workspace, of which nothing that is there is changed but the schemas.
        answers: what ``municipality.yml`` is to say; not needed where there is one.

    Returns:
        The files that were written.

    Raises:
        UsageError: the directory holds other things, or an answer cannot be.
        OSError: the directory cannot be written.
    """
    present = check_new_workspace(directory)
    environment = _environment()
    files = {
        # What belongs to one machine only, and the logs, whose meeting point is each school's own server;
        # everything else is for everybody who looks after the schools.
        ".gitignore": "/.state/\n/audit/\n",
        "README.md": environment.get_template("workspace-readme.md.j2").render(),
    }
    if not present:
        if answers is None:
            raise UsageError(
                f"{directory} has no {MUNICIPALITY_FILE}.", "Say at least the municipality's name."
            )
        check_id(answers.id, "municipality")
        content = environment.get_template("municipality.yml.j2").render(answers=answers)
        _check_municipality(directory, content)
        files[MUNICIPALITY_FILE] = content
    (directory / SCHOOLS_DIR).mkdir(parents=True, exist_ok=True)
    written = write_schemas(directory / WORKSPACE_DIR, shipped_catalog())
    for name, content in files.items():
        file = directory / name
        if not file.exists():
            write_atomically(file, content.encode())
            written.append(file)
    return written


def _check_municipality(directory: Path, content: str) -> None:
    """Refuse answers that would make a file with mistakes, before anything is written."""
    document = parse_document(directory / MUNICIPALITY_FILE, content.encode())
    problems = draft(document, Municipality, Vocabulary()).problems
    if problems:
        raise ConfigurationError(
            _of_answers(problems), "These answers do not make a municipality; nothing was written"
        )


def _of_answers(problems: Sequence[Problem]) -> list[Problem]:
    """Problems of a file that is not written: its lines would mean nothing to anybody."""
    return [Problem(problem.message, problem.remedy, code=problem.code) for problem in problems]


def usual_hostname(entry: ServiceEntry, domain: str) -> str:
    """The host name that is proposed for a service."""
    return f"{entry.definition.usual_name or entry.definition.id.replace('_', '-')}.{domain}"


def render_school(workspace: Workspace, answers: SchoolAnswers) -> str:
    """The text of a new school file.

    Raises:
        UsageError: a service does not exist.
    """
    services = []
    for name, hostname in answers.services.items():
        entry = workspace.catalog.get(name)
        if entry is None:
            known = sorted(workspace.catalog)
            raise UsageError(
                f'There is no service "{name}". Allowed: {", ".join(known) or "none"}.',
                did_you_mean(name, known),
            )
        offers = entry.releases_for(
            answers.system or workspace.municipality.defaults.system,
            lab=workspace.municipality.lab,
            unasked=True,
        )
        services.append(
            {
                "id": name,
                "title": entry.definition.title.en,
                "hostname": hostname or usual_hostname(entry, answers.domain),
                "version": offers[0].version if offers else None,
                "settings": [
                    {"name": setting, "value": _flow(value), "about": _about(entry, setting)}
                    for setting, value in entry.settings.items()
                ],
            }
        )
    return (
        _environment()
        .get_template("school.yml.j2")
        .render(
            answers=answers,
            services=services,
            defaults=workspace.municipality.defaults,
            municipality=workspace.municipality,
        )
    )


def _flow(value: object) -> str:
    """A value of any kind on one line of YAML."""
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _about(entry: ServiceEntry, setting: str) -> list[str]:
    """What a setting is for, its first sentence, as lines of a comment."""
    text = re.split(r"(?<=[.!?])\s", description_of(option_of(entry, setting)))[0]
    return textwrap.wrap(text, 100)


def add_school(
    workspace: Workspace, answers: SchoolAnswers, roles: Path | Sequence[Path] = paths.ROLES
) -> Path:
    """Write a new school file, after it was checked together with the whole workspace.

    Args:
        workspace: as it is loaded, without the school.
        answers: what the file is to say.
        roles: as for ``load_workspace``.

    Returns:
        The file.

    Raises:
        UsageError: the id cannot be one, or there is such a school.
        ConfigurationError: the file would be wrong, by itself or together with the others.
        OSError: the workspace cannot be written.
    """
    check_id(answers.id, "school")
    file = workspace.schools_dir / f"{answers.id}.yml"
    if file.exists() or answers.id in workspace.schools:
        raise _there_is_one(answers.id, file)
    content = render_school(workspace, answers).encode()
    try:
        load_workspace(workspace.path, roles, proposed={file: content})
    except ConfigurationError as error:
        message = f"The school {answers.id} was not added; nothing was written"
        raise ConfigurationError(_of_answers(error.problems), message) from None
    workspace.schools_dir.mkdir(exist_ok=True)
    write_schemas(workspace.path / WORKSPACE_DIR, workspace.catalog)
    _write_new(file, content)
    return file


def _there_is_one(school_id: str, file: Path) -> UsageError:
    return UsageError(
        f'There is a school "{school_id}" already: {file}',
        "Edit its file, or give the new school another id.",
    )


def _write_new(file: Path, content: bytes) -> None:
    """Make a file whole or not at all, and never over another: two people may add schools at once."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(6)}.tmp")
    write_atomically(temporary, content)
    try:
        os.link(temporary, file)
    except FileExistsError:
        raise _there_is_one(file.stem, file) from None
    finally:
        with suppress(OSError):
            temporary.unlink()
    sync_directory(file.parent)
