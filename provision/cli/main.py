"""The ``provision`` command: the commands together, and the one place where errors become exit codes."""

import sys
from typing import Annotated, Any, ClassVar, NoReturn

import typer

import provision
from provision.cli.lazy import LazyGroup
from provision.cli.output import console, emit_json, errors, json_wanted, outlive_readers
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

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what Typer would end with no word is said here."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, typer.Abort) as error:
            if isinstance(error, typer.Abort) and not isinstance(error.__context__, KeyboardInterrupt):
                # The answer was no.
                raise
            errors.print("Stopped.", style="warn")
            raise typer.Exit(130) from None
        except BrokenPipeError as error:
            # Not of standard output, which outlives its readers; Typer would take it for that.
            raise ProvisionError(
                "a connection, or a program that was called, broke off",
                "try again; if it stays so, report it",
            ) from error


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
    outlive_readers()
    try:
        app()
    except ProvisionError as error:
        report_error(error)
        sys.exit(error.exit_code)
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
    sys.exit(0)
