"""The command line as a whole: help, exit codes, errors."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from provision import paths
from provision.cli import output
from provision.cli.main import app


def commands(
    group: click.Group, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = group.context_class(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))  # type: ignore[arg-type]
        else:
            yield (*words, name), command


ALL = dict(commands(typer.main.get_command(app)))  # type: ignore[arg-type]


#: What is tested is what stands here, whatever is installed.
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "COLUMNS": "200",
    "PYTHONPATH": str(paths.ROOT),
}


def provision(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "provision", *words],
        cwd=cwd,
        text=True,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=ENVIRONMENT,
    )


def test_all_commands_of_the_issue_are_there() -> None:
    wanted = {
        "init", "school add", "school list", "school show", "school trust", "check", "plan", "apply",
        "secrets show", "secrets rotate", "artifacts list", "artifacts lock", "artifacts fetch", "inventory",
        "runs list", "runs show", "lab up", "lab down", "lab list", "lab ssh", "demo",
    }  # fmt: skip
    assert wanted <= {" ".join(words) for words in ALL}


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help_with_examples(words: tuple[str, ...]) -> None:
    command = ALL[words]
    text = f"{command.help or ''} {command.epilog or ''}"
    assert "Example" in text, f"provision {' '.join(words)}"
    assert f"provision {words[0]}" in text


REPORTING = {
    "school list",
    "school show",
    "check",
    "plan",
    "apply",
    "health SCHOOL",
    "health history",
    "secrets show",
    "artifacts list",
    "runs list",
}


@pytest.mark.parametrize("words", [words for words in ALL if " ".join(words) in REPORTING], ids=" ".join)
def test_what_reports_has_json(words: tuple[str, ...]) -> None:
    assert "--json" in {option for parameter in ALL[words].params for option in parameter.opts}


def test_a_wrong_option_is_exit_code_2(tmp_path: Path) -> None:
    done = provision("plan", "--no-such-option", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [("plan", "--json"), ("plan", "--json", "--bogus"), ("plan", "--bogus", "--json"), ("bogus", "--json")],
)
def test_wrong_usage_is_a_document_for_programs(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = provision(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == ""
    document = json.loads(done.stdout)
    assert document["schema"] == "provision/error/v1"
    assert document["exit_code"] == 2
    assert document["remedy"].endswith("--help")


def test_wrong_usage_names_the_help(tmp_path: Path) -> None:
    done = provision("runs", "list", "--limit", "x", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "runs list --help" in done.stderr


def test_a_group_without_a_command_shows_its_help(tmp_path: Path) -> None:
    done = provision("secrets", cwd=tmp_path)
    assert done.returncode == 2
    assert (done.stdout + done.stderr).count("rotate") >= 1


def test_a_disk_that_is_full_is_said_on_standard_error(tmp_path: Path) -> None:
    (tmp_path / "municipality.yml").write_text("schema: 1\n")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "provision", "runs", "list", "--json", "-w", str(tmp_path)],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert "No space left on device" in done.stderr


def test_a_terminal_without_our_signs_gets_others() -> None:
    program = (
        "import sys; from provision.cli import main\n"
        "main._mend_streams(); print('✓ ✗ ⊘ è “a” ☂'); print('“a”', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "iso-8859-1"},
    )  # fmt: skip
    assert done.stdout.decode("iso-8859-1") == 'ok BAD off è "a" ?\n'
    assert done.stderr.decode("iso-8859-1") == '"a"\n'


def test_no_workspace_is_exit_code_2_with_a_remedy(tmp_path: Path) -> None:
    done = provision("school", "list", cwd=tmp_path)
    assert done.returncode == 2
    assert "provision init DIR" in done.stderr


def test_an_error_is_a_document_for_programs(tmp_path: Path) -> None:
    done = provision("school", "list", "--json", cwd=tmp_path)
    assert done.returncode == 2
    document = json.loads(done.stdout)
    assert document["schema"] == "provision/error/v1"
    assert document["exit_code"] == 2
    assert document["remedy"]


def test_a_file_that_cannot_be_read_is_an_error_in_plain_words(tmp_path: Path) -> None:
    (tmp_path / "municipality.yml").write_text("schema: 1\n")
    (tmp_path / "runs" / "escola" / "r1" / "run.json").mkdir(parents=True)
    done = provision("runs", "show", "r1", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "run.json" in done.stderr


def test_output_to_a_file_has_no_colours(tmp_path: Path) -> None:
    assert "\x1b" not in provision("--help", cwd=tmp_path).stdout


def test_completion_is_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "provision", "--show-completion", "bash"],
        text=True, capture_output=True, check=False, cwd=tmp_path, stdin=subprocess.DEVNULL,
        # The tests may run under no shell at all, in which typer would look for one.
        env={**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    )  # fmt: skip
    assert "complete" in done.stdout + done.stderr


def test_a_command_does_not_wait_for_what_the_others_need() -> None:
    program = (
        "import sys; from provision.cli import main; sys.argv = ['provision', 'inventory', '--help']\n"
        "try: main.app()\nexcept SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name.startswith('provision.cli.')), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "provision.cli.inventory" in done.stderr
    assert "provision.cli.apply" not in done.stderr
    assert "ansible_runner" not in done.stderr


def unread(*words: str, cwd: Path, errors_too: bool = False) -> tuple[int, str]:
    """Exit code and standard error of a command whose reader was gone before it began."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "provision", *words],
            cwd=cwd, text=True, check=False, stdin=subprocess.DEVNULL, stdout=writer,
            stderr=writer if errors_too else subprocess.PIPE,
            env=ENVIRONMENT,
        )  # fmt: skip
    finally:
        os.close(writer)
    return done.returncode, done.stderr or ""


@pytest.mark.parametrize("errors_too", [False, True])
def test_a_reader_that_goes_away_is_no_error_and_changes_no_exit_code(
    tmp_path: Path, errors_too: bool
) -> None:
    assert unread("--help", cwd=tmp_path, errors_too=errors_too) == (0, "")
    assert unread("--version", cwd=tmp_path, errors_too=errors_too) == (0, "")
    assert unread("school", "list", "--json", cwd=tmp_path, errors_too=errors_too) == (2, "")


def test_an_export_ends_when_nobody_reads_it_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader), os.fdopen(writer, "w") as stream, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", stream)
        patch.setattr("sys.stderr", None)
        output.outlive_readers()
        print("heard", flush=True)
        assert not output.reader_gone()
        os.close(reader)
        print("not heard", flush=True)
        assert output.reader_gone()
        os.dup2(writer, reader)


def ended_by(line: str) -> subprocess.CompletedProcess[str]:
    """A command in whose place something else happens."""
    program = (
        "import sys, click, typer; from provision.cli import main, runs\n"
        "def happens(*_):\n"
        f"    {line}\n"
        "runs.find_workspace = happens; sys.argv = ['provision', 'runs', 'list']; main.main()"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test_ctrl_c_says_that_it_stopped() -> None:
    done = ended_by("raise KeyboardInterrupt")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Stopped.\n"), done


def test_ctrl_c_at_a_question_is_the_same_and_no_for_an_answer_is_not() -> None:
    patched = "import io; sys.stdin = io.StringIO('n\\n'); typer.confirm('Go on?', abort=True, err=True)"
    done = ended_by(patched)
    assert (done.returncode, "Stopped" in done.stderr) == (1, False)
    stopped = ended_by(
        "from unittest import mock; mock.patch('builtins.input', side_effect=KeyboardInterrupt).start(); "
        "sys.stdin.readline = mock.Mock(side_effect=KeyboardInterrupt); typer.confirm('Go on?', abort=True, err=True)"
    )
    assert (stopped.returncode, "Stopped." in stopped.stderr) == (130, True)


def test_a_connection_that_breaks_is_no_reader_that_went_away() -> None:
    done = ended_by("raise BrokenPipeError(32, 'Broken pipe')")
    assert done.returncode == 1
    assert "broke off" in done.stderr
