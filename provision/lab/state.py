"""What a lab remembers: one small JSON file, written by root, readable by everybody."""

import ipaddress
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from provision.errors import LabError
from provision.lab.names import RELEASES, Names
from provision.lab.system import Process, unit_process, write_file

#: Disks and memory of labs, one directory a lab. On a real disk, since machines hold databases.
LABS = Path("/var/lib/provision-lab")
#: Base images and downloaded packages, shared by all labs of this computer.
CACHE = Path("/var/cache/provision-lab")
#: Locks, and what is only true until the next boot.
RUN = Path("/run/provision-lab")


class MachineState(BaseModel):
    """One machine.

    `phase` is "making" from before the first thing is made until SSH has answered; a machine that is found in
    that phase while nobody holds its lock was left behind half-made.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    release: str
    octet: int
    phase: Literal["making", "ready"] = "making"
    storage: Literal["overlay", "copy"] = "overlay"
    base: str = ""
    memory_mb: int | None = None
    ssh_port: int = 22
    process: Process | None = None
    unit: str = ""
    host_keys: list[str] = Field(default_factory=list)

    @property
    def system(self) -> str:
        return RELEASES[self.release]

    def current(self) -> Process | None:
        """Its process at this moment; the host's systemd gives it a new one when it restarts itself."""
        if self.process is not None and self.process.alive():
            return self.process
        return unit_process(self.unit) if self.unit else None

    def running(self) -> bool:
        return self.current() is not None


class LabState(BaseModel):
    """One lab: its network and its machines."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    schema_: Literal["provision/lab-state/v1"] = Field("provision/lab-state/v1", alias="schema")
    id: str
    directory: str
    owner: int
    group: int
    subnet: str = ""
    names: dict[str, str] = Field(default_factory=dict)
    machines: dict[str, MachineState] = Field(default_factory=dict)

    def address(self, machine: MachineState) -> str:
        return str(ipaddress.IPv4Network(self.subnet)[machine.octet])

    def gateway(self) -> str:
        return str(ipaddress.IPv4Network(self.subnet)[1])

    def addresses(self) -> dict[str, str]:
        return {name: self.address(machine) for name, machine in self.machines.items()}


class LabFiles:
    """Where a lab's things lie.

    Args:
        id: the lab's id.
        root: directory of all labs.
    """

    def __init__(self, id: str, root: Path = LABS) -> None:
        self.names = Names(id)
        self.directory = root / id
        self.state_file = self.directory / "state.json"
        self.consoles = self.directory / "console"

    def machine(self, name: str) -> Path:
        """A machine's disk; closed to ordinary users, for it holds a foreign system's set-uid files."""
        return self.directory / "machines" / name

    def console(self, name: str) -> Path:
        return self.consoles / f"{name}.log"

    def load(self) -> LabState | None:
        """What was written last; None when there is no lab.

        Raises:
            LabError: the file is damaged.
        """
        try:
            return LabState.model_validate_json(self.state_file.read_text())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise LabError(
                f"{self.state_file} is damaged or of another version of this program",
                "`provision lab down --all` removes the lab all the same.",
            ) from error

    def save(self, state: LabState) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        write_file(self.state_file, state.model_dump_json(indent=1, by_alias=True) + "\n")
