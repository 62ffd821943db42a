import json
import subprocess
from pathlib import Path

import pytest

from provision import errors
from provision.errors import LabError, RefusedError, UsageError
from provision.lab import Lab, lab, network
from provision.lab.privileged import Request
from provision.lab.state import LabFiles, LabState, MachineState


def state() -> LabState:
    return LabState(
        id="abcdef",
        directory="/somewhere",
        owner=1000,
        group=1000,
        subnet="10.208.1.0/24",
        names={"pad.example": "demo"},
        machines={
            "demo": MachineState(name="demo", release="trixie", octet=7, host_keys=["ssh-ed25519 AAAA"])
        },
    )


def test_what_a_lab_notes_can_be_read_again(tmp_path: Path) -> None:
    files = LabFiles("abcdef", tmp_path)
    assert files.load() is None
    files.save(state())
    assert files.load() == state()
    assert json.loads(files.state_file.read_text())["schema"] == "provision/lab-state/v1"


def test_damaged_notes_are_an_error_that_says_how_to_get_rid_of_them(tmp_path: Path) -> None:
    files = LabFiles("abcdef", tmp_path)
    files.directory.mkdir()
    files.state_file.write_text("{")
    with pytest.raises(LabError) as caught:
        files.load()
    assert "lab down" in caught.value.remedy


def test_a_machine_has_the_address_that_its_notes_say() -> None:
    assert state().addresses() == {"demo": "10.208.1.7"}
    assert state().gateway() == "10.208.1.1"
    assert state().machines["demo"].system == "debian-13"


def test_ssh_to_a_lab_machine_never_goes_without_checking_its_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Lab(tmp_path)
    files = LabFiles(own.id, tmp_path / "labs")
    files.save(state())
    monkeypatch.setattr(own, "_files", files)
    command = own.machine("demo").ssh_command("true")
    assert "StrictHostKeyChecking=yes" in command
    assert f"UserKnownHostsFile={tmp_path / '.lab/known_hosts'}" in command
    assert command[-3:] == ["root@10.208.1.7", "--", "true"]


def test_a_machine_that_is_not_there_is_named_with_those_that_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Lab(tmp_path)
    with pytest.raises(UsageError) as caught:
        own.machine("other")
    assert "provision lab up other" in caught.value.remedy
    files = LabFiles(own.id, tmp_path / "labs")
    files.save(state())
    monkeypatch.setattr(own, "_files", files)
    with pytest.raises(UsageError) as caught:
        own.machine("other")
    assert "demo" in caught.value.remedy


def test_the_labs_key_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    own = Lab(tmp_path)
    public = own._ensure_key()
    assert public.startswith("ssh-ed25519 ")
    assert own._ensure_key() == public
    assert own.ssh_key.stat().st_mode & 0o777 == 0o600
    assert own.ssh_key.parent.stat().st_mode & 0o777 == 0o700
    # A workspace's git must not pick it up.
    assert (own.ssh_key.parent / ".gitignore").read_text() == "*\n"


class _Sudo:
    """Stands in for sudo: answers with the lines given to it, and notes what it was called with."""

    def __init__(
        self, directory: Path, lines: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.asked = directory / "asked"
        self.arguments = directory / "arguments"
        answer = directory / "answer"
        answer.write_text("".join(json.dumps(line) + "\n" for line in lines))
        sudo = directory / "bin/sudo"
        sudo.parent.mkdir()
        sudo.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$@" >{self.arguments}\ncat >{self.asked}\ncat {answer}\n'
        )
        sudo.chmod(0o755)
        monkeypatch.setenv("PATH", f"{sudo.parent}:/usr/bin:/bin")
        monkeypatch.setattr(lab.os, "geteuid", lambda: 1000)


def test_an_ordinary_user_gives_the_order_to_root_through_sudo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    sudo = _Sudo(tmp_path, [{"report": "Removing demo"}, {"result": ["demo"]}], monkeypatch)
    assert Lab(tmp_path, told.append).down("demo") == ["demo"]
    assert told == ["Removing demo"]
    order = Request.model_validate_json(sudo.asked.read_text())
    assert (order.operation, order.name, order.directory) == ("down", "demo", str(tmp_path))
    # Neither the caller's environment nor its directory decides what root runs.
    assert "-I" in sudo.arguments.read_text().split("\n")


def test_an_error_of_the_privileged_part_is_the_same_error_for_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Sudo(tmp_path, [{"error": "UsageError", "message": "no such machine", "remedy": "make it"}], monkeypatch)
    with pytest.raises(errors.UsageError, match="no such machine") as caught:
        Lab(tmp_path).stop("demo")
    assert caught.value.remedy == "make it"


def test_sudo_that_does_not_let_us_is_a_refusal_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Sudo(tmp_path, [], monkeypatch)
    with pytest.raises(RefusedError) as caught:
        Lab(tmp_path).down()
    assert "sudo" in caught.value.remedy


def test_work_as_root_that_was_cut_off_is_not_taken_for_a_missing_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Sudo(tmp_path, [{"started": True}, {"report": "Removing demo"}], monkeypatch)
    with pytest.raises(LabError, match="cut off"):
        Lab(tmp_path).down()


def test_the_privileged_part_refuses_an_order_with_anything_unknown_in_it() -> None:
    with pytest.raises(ValueError, match="surprise"):
        Request.model_validate({"operation": "down", "directory": "/", "owner": 0, "group": 0, "surprise": 1})


def ruleset(*chains: dict[str, str]) -> str:
    return json.dumps({"nftables": [{"metainfo": {}}, *({"chain": chain} for chain in chains)]})


def test_a_firewall_that_drops_forwarded_packets_is_named_with_the_remedy() -> None:
    drops = {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}
    found = network.obstacles(ruleset(drops))
    assert len(found) == 1
    assert "pvabc" in found[0].format(bridge="pvabc")


def test_firewalld_is_named_though_it_rejects_by_rules_and_not_by_policy() -> None:
    chain = {
        "family": "inet",
        "table": "firewalld",
        "name": "filter_FORWARD",
        "hook": "forward",
        "policy": "accept",
    }
    assert "firewall-cmd" in network.obstacles(ruleset(chain))[0]


@pytest.mark.parametrize(
    "chains",
    [
        [],
        [{"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "accept"}],
        [{"family": "ip", "table": "filter", "name": "INPUT", "hook": "input", "policy": "drop"}],
        [
            {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"},
            {"family": "ip", "table": "filter", "name": "DOCKER-USER"},
        ],
    ],
    ids=["empty", "accepts", "input only", "docker's own way"],
)
def test_a_firewall_that_lets_packets_through_is_not_complained_about(chains: list[dict[str, str]]) -> None:
    assert network.obstacles(ruleset(*chains)) == []
    assert network.obstacles("") == []


def test_the_set_up_script_is_clean_and_knows_its_arguments() -> None:
    script = Path(lab.__file__).with_name("setup.sh")
    assert (
        subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False).stdout == ""
    )
    assert subprocess.run([script, "nonsense"], capture_output=True, check=False).returncode == 2
