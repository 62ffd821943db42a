"""The ``provision`` command: the commands together, and the one place where errors become exit codes."""

import codecs
import os
import re
import sys
from typing import Annotated, Any, ClassVar, NoReturn

import typer

import provision
from provision.cli.lazy import LazyGroup
from provision.cli.output import console, emit_json, errors, json_wanted, outlive_readers, set_json
from provision.errors import ArtifactError, ConfigurationError, ProvisionError, RefusedError, UsageError

_EPILOG = (
    "Exit codes: 0 fine · 1 it ran and found problems · 2 wrong usage or configuration · "
    "3 refused before any change · 4 several schools, some failed · 130 stopped."
)

#: Each is a module beside this one, of the same name; in the order of the help.
COMMANDS = (
    "init", "school", "check", "plan", "apply", "health", "secrets", "artifacts", "inventory", "runs", "audit", "lab",
    "demo",
)  # fmt: skip


class _Commands(LazyGroup):
    modules: ClassVar = {name: f"provision.cli.{name}" for name in COMMANDS}

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what Typer would end in a way of its own comes to ``main``."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None
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

    problems = error.problems if isinstance(error, ConfigurationError | RefusedError | ArtifactError) else ()
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


#: What Typer raises when a command line cannot be understood: by way of one of its kinds, since the class itself has
#: another place in each version.
_WrongUsage: type[Exception] = typer.BadParameter.__mro__[2]

#: What the newest Typer says of a value, and how people say it.
_WORDS = (
    ("Value error, ", ""),
    ("Input should be a valid integer.*", "a whole number is needed"),
    ("Input should be a valid number.*", "a number is needed"),
    ("Input should be greater than or equal to", "it must be at least"),
    ("Input should be less than or equal to", "it must be at most"),
)

#: What stands for our signs where a terminal's letters do not have them.
_PLAIN = {
    "✓": "ok", "✗": "BAD", "⚠": "!", "⊘": "off", "“": '"', "”": '"', "’": "'", "…": "...", "→": "->", "–": "-",
    "—": "-", "·": "-", "€": "EUR",
}  # fmt: skip


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write a sign that the terminal does not have in other letters; a traceback would not help anybody."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_PLAIN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


def _mend_streams() -> None:
    codecs.register_error("provision.plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None and (stream is sys.stdout or "utf" not in stream.encoding.lower()):
            reconfigure(errors="provision.plain")


def _wrong_usage(error: Any) -> NoReturn:
    """End with what was wrong in the command line, and with the help that has it right."""
    if type(error).__name__ == "NoArgsIsHelpError":
        # Its text is the help; some versions have printed it already, and then it is empty.
        error.show()
        sys.exit(error.exit_code)
    if "--json" in sys.argv:
        # The line was not read as far as the option.
        set_json(True)
    context = getattr(error, "ctx", None)
    command = " ".join(context.command_path.split()) if context else "provision"
    message = error.format_message()
    for pythons, ours in _WORDS:
        message = re.sub(pythons, ours, message)
    report_error(UsageError(message, f"{command} --help"))
    sys.exit(2)


def _cannot_print(error: ProvisionError) -> None:
    """Say an error where standard output may be what failed; a program that reads us gets words on stderr then."""
    try:
        report_error(error)
        sys.stdout.flush()
    except OSError:
        report_error(error, words=True)
        # Else Python tries once more at its end, and says so in words of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> NoReturn:
    """Run the command line and exit with the code of the design."""
    _mend_streams()
    outlive_readers()
    try:
        code = app(prog_name="provision", standalone_mode=False)
        sys.stdout.flush()
    except _WrongUsage as error:
        _wrong_usage(error)
    except ProvisionError as error:
        _cannot_print(error)
        sys.exit(error.exit_code)
    except OSError as error:
        # A file that cannot be read or written: theirs to mend, and a traceback would not say how.
        place = f"{error.filename}: " if error.filename else ""
        _cannot_print(
            ProvisionError(
                f"{place}{error.strerror or error}",
                "see who owns the file and whether the disk has room; a workspace that sudo wrote into belongs to root",
            )
        )
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort) as error:
        # Where the answer was no, nothing needs to be said.
        asked = isinstance(error, typer.Abort) and not isinstance(
            error.__context__, KeyboardInterrupt | EOFError
        )
        if not asked:
            errors.print("Stopped.", style="warn")
        sys.exit(1 if asked else 130)
    sys.exit(code if isinstance(code, int) else 0)
