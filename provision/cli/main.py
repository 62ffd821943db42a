"""The ``provision`` command: the commands together, and the one place where errors become exit codes."""

import os
import sys
from typing import Annotated, ClassVar, NoReturn

import typer

import provision
from provision.cli.lazy import LazyGroup
from provision.cli.output import console, emit_json, errors, json_wanted
from provision.errors import ConfigurationError, ProvisionError, RefusedError

_EPILOG = (
    "Exit codes: 0 fine · 1 it ran and found problems · 2 wrong usage or configuration · "
    "3 refused before any change · 4 several schools, some failed."
)

#: Each is a module beside this one, of the same name; in the order of the help.
COMMANDS = (
    "init", "school", "check", "plan", "apply", "health", "secrets", "artifacts", "inventory", "runs", "audit", "lab",
    "demo",
)  # fmt: skip


class _Commands(LazyGroup):
    modules: ClassVar = {name: f"provision.cli.{name}" for name in COMMANDS}


app = typer.Typer(
    name="provision",
    cls=_Commands,
    help="Set up a school's own server, keep it right, and leave a record that anyone can check.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        console.print(f"provision {provision.__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Nothing to do here: the commands have it."""


def report_error(error: ProvisionError, *, words: bool = False) -> None:
    """Print an error for whoever reads us: words on stderr for people, a document on stdout for programs.

    Args:
        words: for people in any case (one of several schools failed; the document comes at the end).
    """
    from provision.cli.problems import as_data, render

    problems = error.problems if isinstance(error, ConfigurationError | RefusedError) else ()
    if json_wanted() and not words:
        emit_json(
            "provision/error/v1",
            {
                "error": error.message,
                "remedy": error.remedy,
                "exit_code": error.exit_code,
                "problems": as_data(problems),
            },
        )
        return
    if problems:
        render(problems, errors)
    errors.print("Error:", style="bad", end=" ")
    errors.print(error.message, markup=False)
    if error.remedy:
        errors.print("What to do:", style="name", end=" ")
        errors.print(error.remedy, markup=False)


def main() -> NoReturn:
    """Run the command line and exit with the code of the design."""
    try:
        app()
    except ProvisionError as error:
        report_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # ``provision runs list | head`` is not an error; nothing can be printed any more.
        os._exit(0)
    except OSError as error:
        # A file that cannot be read or written: theirs to mend, and a traceback would not say how.
        place = f"{error.filename}: " if error.filename else ""
        report_error(
            ProvisionError(
                f"{place}{error.strerror or error}",
                "see who owns the file and whether the disk has room; a workspace that sudo wrote into belongs to root",
            )
        )
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("Stopped.", style="warn")
        sys.exit(130)
    sys.exit(0)
