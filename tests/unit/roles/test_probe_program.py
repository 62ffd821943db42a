"""The program provision-probe itself: who may start it, with what, and what it brings in."""

import ast
import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from provision import paths
from tests.unit.roles.probe import FILES, PACKAGE, Probe, copied, executed

PROGRAM = FILES / "provision-probe"
SOURCES = [PROGRAM, *sorted((FILES / PACKAGE).glob("*.py"))]


@pytest.mark.parametrize(
    "command",
    ["id", "bash", "/usr/local/sbin/provision-probe as-root", "/usr/local/sbin/provision-probe ask; id",
     "/usr/local/sbin/provision-probe ask\nid", " /usr/local/sbin/provision-probe ask", "internal-sftp", "scp -t /",
     "x" * 100_000],
    ids=lambda text: text[:50],
)  # fmt: skip
def test_over_ssh_no_other_command_is_taken(started_probe: Path, command: str) -> None:
    done = executed(started_probe, "ssh", stdin=b"{}", SSH_ORIGINAL_COMMAND=command)
    assert done.returncode == 2
    assert json.loads(done.stdout) == {
        "schema": "provision/probe/v1",
        "refused": "this key is for the health check and for nothing else",
    }


@pytest.mark.parametrize("command", ["", "/usr/local/sbin/provision-probe ask"])
def test_over_ssh_the_request_is_what_counts(started_probe: Path, command: str) -> None:
    done = executed(started_probe, "ssh", stdin=b'{"shell": "id"}', SSH_ORIGINAL_COMMAND=command)
    assert (done.returncode, b"parts that are not known" in done.stdout) == (2, True)


def test_a_request_that_does_not_end_is_refused(started_probe: Path) -> None:
    done = executed(started_probe, "ssh", stdin=b" " * 200_000)
    assert (done.returncode, b"too long" in done.stdout) == (2, True)


@pytest.mark.parametrize(
    "command", ["/usr/local/sbin/provision-probe ssh", "/usr/local/sbin/provision-probe ask"]
)
def test_as_a_shell_it_runs_itself_and_still_looks_at_what_was_asked_for(
    started_probe: Path, command: str
) -> None:
    def as_shell(**environment: str) -> subprocess.CompletedProcess[bytes]:
        return executed(started_probe, "-c", command, stdin=b"[]", **environment)

    assert b"for nothing else" in as_shell(SSH_ORIGINAL_COMMAND="id").stdout
    done = as_shell(SSH_ORIGINAL_COMMAND="/usr/local/sbin/provision-probe ask")
    assert (done.returncode, b"refused" in done.stdout) == (2, True)
    assert b"for nothing else" not in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["help"], ["ask", "ssh"], ["ssh", "-c", "id"], ["as-root", "--root=/tmp"], ["-c"], ["-c", "id"], ["-i"],
        ["-c", "/usr/local/sbin/provision-probe as-root"], ["-c", "/usr/local/sbin/provision-probe ssh; id"],
        ["-c", "/usr/local/sbin/provision-probe ssh\nid"], ["-c", "/usr/local/sbin/provision-probe ssh", "id"],
    ],
)  # fmt: skip
def test_other_arguments_are_refused(started_probe: Path, arguments: list[str]) -> None:
    done = executed(started_probe, *arguments)
    assert (done.returncode, done.stdout) == (2, b"")


def test_nothing_of_the_caller_brings_in_other_code(tmp_path: Path) -> None:
    """Neither a variable, nor the folder that the caller is in, nor the one that the program is in."""
    evil = f"open({str(tmp_path / 'owned')!r}, 'w').close()\n"
    (tmp_path / PACKAGE).mkdir()
    names = ("json.py", "subprocess.py", "sitecustomize.py", "usercustomize.py", f"{PACKAGE}/__init__.py")
    for name in (*names, f"{PACKAGE}/asking.py"):
        (tmp_path / name).write_text(evil)
    done = subprocess.run(
        [copied(tmp_path), "ssh"], input=b"", capture_output=True, check=False, timeout=60, cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "json.py"), "PYTHONHOME": "",
             "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONUSERBASE": str(tmp_path), "HOME": str(tmp_path),
             "PYTHONINSPECT": "1", "SSH_ORIGINAL_COMMAND": "id"},
    )  # fmt: skip
    assert done.returncode == 2
    assert b"for nothing else" in done.stdout
    assert not (tmp_path / "owned").exists()
    assert not list(tmp_path.glob("**/*.pyc"))


def test_its_parts_come_from_one_folder_of_roots_and_from_pythons_own_library() -> None:
    paths_of = [line for line in PROGRAM.read_text().splitlines() if "sys.path" in line]
    assert paths_of == ['sys.path.append("/usr/local/lib")']
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = (
                    [node.module or ""]
                    if isinstance(node, ast.ImportFrom)
                    else [one.name for one in node.names]
                )
                assert {name.partition(".")[0] for name in names} <= {*sys.stdlib_module_names, PACKAGE}, (
                    file.name
                )


def test_what_is_kept_compiled_is_for_everybody_to_read_and_nothing_is_lost_where_it_cannot_be(
    tmp_path: Path,
) -> None:
    shutil.copytree(FILES / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    command = [copied(tmp_path, tmp_path), "ssh"]

    def refused() -> bool:
        done = subprocess.run(command, input=b"[]", capture_output=True, check=False, timeout=60, umask=0o077)
        return (
            done.returncode == 2
            and b"parts that are not known" in done.stdout
            and done.stderr.count(b"\n") == 1
        )

    assert refused()
    place = tmp_path / PACKAGE / "__pycache__"
    assert stat.S_IMODE(place.stat().st_mode) == 0o755
    kept = list(place.iterdir())
    assert {stat.S_IMODE(file.stat().st_mode) for file in kept} == {0o644}
    # These two are for what only root may see.
    assert {file.name.partition(".")[0] for file in kept} == {
        file.stem for file in SOURCES if file.suffix == ".py"
    } - {"needs", "updates"}
    for file in kept:
        file.unlink()
    place.rmdir()
    place.write_text("neither read nor written")
    assert refused()


def test_the_role_brings_all_parts_and_the_program_after_them() -> None:
    (task,) = [
        one
        for one in yaml.safe_load((paths.ROLES / "base/tasks/main.yml").read_text())
        if one["name"] == "Write the settings of the server"
    ]
    brought = [(one["name"].removeprefix("../files/"), one["to"]) for one in task["loop"]]
    wanted = [(f"{PACKAGE}/{file.name}", f"/usr/local/lib/{PACKAGE}/{file.name}") for file in SOURCES[1:]]
    place = brought.index(("provision-probe", "/usr/local/sbin/provision-probe"))
    assert sorted(one for one in brought[:place] if PACKAGE in one[0]) == wanted


def test_what_root_looks_at_is_documented_and_the_only_command_of_sudo(probe: Probe) -> None:
    assert probe.program.__doc__
    assert tuple(probe.asking.of_root()) == probe.asking.ROOTS
    for name in probe.asking.ROOTS:
        assert f"\n    {name} " in probe.program.__doc__
    rules = (paths.ROLES / "base/templates/sudoers-health.j2").read_text().splitlines()
    allowed = [line.partition("NOPASSWD: ")[2] for line in rules if "NOPASSWD" in line]
    assert allowed == [" ".join(probe.asking.SUDO[3:])]


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: file.name)
def test_it_runs_with_the_oldest_python_of_our_servers(file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import ast, sys; ast.parse(sys.stdin.read(), feature_version=(3, 9))"],
        input=file.read_text(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
