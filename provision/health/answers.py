"""What ``provision-probe`` may answer, as models with bounds: whatever a server says, this is all that gets in.

Each part is checked by itself: one that is not as it should be does not take the others with it. Keys that are not
known are left out (a newer program may tell more); texts are printable, on one line and cut.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from provision.text import printable_line

#: Longest answer that is looked at, in bytes; the program itself stops at 256 KiB.
ANSWER_LIMIT = 512 * 1024
#: Most things of a kind (mount points, databases, ...) that are looked at.
THINGS_LIMIT = 100


def _line(text: str) -> str:
    return printable_line(text, 200)


Line = Annotated[str, StringConstraints(max_length=5000), AfterValidator(_line)]
#: A name by which things are found again; looked up, never shown without ``_line``.
Key = Annotated[str, StringConstraints(max_length=300), AfterValidator(_line)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Bytes = Annotated[int, Field(ge=0, le=10**19)]
#: A number that is not infinite.
Real = Annotated[float, Field(ge=-(10.0**19), le=10.0**19, allow_inf_nan=False)]
#: Unix time: until the year 9999.
Moment = Annotated[float, Field(ge=0, le=253402300799, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=10.0**10, allow_inf_nan=False)]


class Told(BaseModel):
    """A piece of an answer."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class Unit(Told):
    """A systemd unit (properties of ``systemctl show``)."""

    load: Line
    active: Line
    sub: Line
    result: Line
    restarts: Count
    since: Moment | None
    status: Annotated[int, Field(ge=-1000, le=100000)]
    enabled: Line


class Timer(Told):
    """A timer and what it starts. ``last``, ``next``, ``ended``: Unix times."""

    load: Line
    active: Line
    last: Moment | None
    next: Moment | None
    monotonic: bool
    starts: Line
    running: bool
    result: Line
    status: Annotated[int, Field(ge=-1000, le=100000)]
    ended: Moment | None


class Failed(Told):
    """Units that have failed."""

    count: Count
    units: Annotated[list[Line], Field(max_length=THINGS_LIMIT)]


class Page(Told):
    """An answer of the server's own loopback; ``status`` 0: none."""

    status: Annotated[int, Field(ge=0, le=999)]
    found: bool
    error: Line
    seconds: Seconds


class Disk(Told):
    """A mount point, in bytes; ``growth_*`` in bytes a day, None as long as it is not known."""

    kind: Line
    size: Bytes
    free: Bytes
    used: Bytes
    inodes: Bytes
    inodes_free: Bytes
    read_only: bool
    growth_day: Real | None
    growth_now: Real | None
    span: Seconds


class System(Told):
    """Memory in bytes, load averages of 1, 5 and 15 minutes, uptime in seconds."""

    memory: Bytes
    available: Bytes
    swap: Bytes
    swap_free: Bytes
    pressure: Real | None
    load: Annotated[list[Annotated[float, Field(ge=0, le=10**6)]], Field(min_length=3, max_length=3)]
    cpus: Annotated[int, Field(ge=1, le=10**5)]
    uptime: Seconds
    kernel: Line
    container: Line
    reboot: bool
    reboot_for: Annotated[list[Line], Field(max_length=THINGS_LIMIT)]


class Clock(Told):
    """What keeps the time; ``offset`` in seconds, either way."""

    by: Line
    synchronised: bool
    offset: Seconds | None
    stratum: Count


class Updates(Told):
    """Security updates: name, version that is there, version that waits."""

    security: Count
    packages: Annotated[
        list[Annotated[list[Line], Field(min_length=3, max_length=3)]], Field(max_length=THINGS_LIMIT)
    ]
    lists_at: Moment | None
    installed_at: Moment | None


class Certificate(Told):
    """The files of a certificate."""

    error: Line
    key_error: Line
    fits: bool | None
    names: Annotated[list[Line], Field(max_length=THINGS_LIMIT)]
    subject: Line
    issuer: Line
    not_before: Moment | None = None
    not_after: Moment | None = None
    key_mode: Annotated[str, StringConstraints(pattern=r"^[0-7]{3,5}$")] = "0600"


class Database(Told):
    """A database; ``error`` None: its owner was not tried, empty: the owner gets in."""

    size: Bytes | None
    error: Line | None


class Databases(Told):
    """PostgreSQL."""

    up: bool
    error: Line
    connections: Count | None = None
    most: Count | None = None
    read_only: bool | None = None
    databases: Annotated[dict[Key, Database], Field(max_length=THINGS_LIMIT)] = Field(default_factory=dict)


class Redis(Told):
    """A Redis instance; memory in bytes."""

    pong: bool
    error: Line
    used_memory: Real | None = None
    maxmemory: Real | None = None
    evicted_keys: Real | None = None
    policy: Line = ""


class Pool(Told):
    """A PHP-FPM, as its status page has it."""

    answers: bool
    error: Line
    late: bool = False
    listen_queue: Count = 0
    listen_queue_len: Count = 0
    idle_processes: Count | None = None
    active_processes: Count | None = None
    total_processes: Count | None = None
    max_children_reached: Count = 0
    slow_requests: Count = 0


class Own(Told):
    """What a service's own program says; ``state`` empty: it could not be asked, ``error`` says why."""

    state: Literal["", "ok", "warning", "problem"]
    measured: Line
    code: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9_-]{0,40})?$")]
    error: Line
    late: bool
    seconds: Seconds


class Firewall(Told):
    """The rules of the table ``inet provision``; ``unchanged`` None: nobody noted what they were."""

    present: bool
    drops: bool
    unchanged: bool | None


class Cause(Told):
    """Errors of one cause."""

    unit: Line
    text: Line
    count: Count
    first: Moment
    last: Moment


class Journal(Told):
    """Errors of the last day; ``more``: there were more than were looked at."""

    count: Count
    more: bool
    causes: Count
    groups: Annotated[list[Cause], Field(max_length=THINGS_LIMIT)]


class Restarts(Told):
    """Of the last day, by unit."""

    restarts: Annotated[dict[Key, Count], Field(max_length=THINGS_LIMIT)]
    out_of_memory: Annotated[dict[Key, Count], Field(max_length=THINGS_LIMIT)]


class FileState(Told):
    """A file; ``error``: closed, missing, no file, too large."""

    error: Line = ""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] = "0" * 64
    owner: Line = ""
    group: Line = ""
    mode: Annotated[str, StringConstraints(pattern=r"^[0-7]{3,5}$")] = "0000"
    changed: Real = 0.0


class LastRun(Told):
    """``/etc/provision/last-run.json``: what the last run left on the server."""

    run: Line
    outcome: Line
    school: Line = ""
    person: Line = ""
    origin: Line = ""
    intent: Annotated[int, Field(ge=-1, le=10**12)] = -1
    at: Line = ""
    checkpoint: Annotated[str, StringConstraints(max_length=4000)] = ""


class Part(Told):
    """One part of an answer: a value, or the reason why there is none."""

    seconds: Seconds
    value: Any = None
    reason: Line | None = None


class Answer(Told):
    """All of it. ``time``: the server's clock, Unix time."""

    time: Moment
    cpu_seconds: Seconds
    parts: Annotated[
        dict[Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,30}$")], Part],
        Field(max_length=60),
    ]


#: How each part is read.
PARTS: dict[str, TypeAdapter[Any]] = {
    "system": TypeAdapter(System),
    "failed": TypeAdapter(Failed),
    "units": TypeAdapter(Annotated[dict[Key, Unit], Field(max_length=THINGS_LIMIT)]),
    "timers": TypeAdapter(Annotated[dict[Key, Timer], Field(max_length=THINGS_LIMIT)]),
    "loopback": TypeAdapter(Annotated[list[Page], Field(max_length=THINGS_LIMIT)]),
    "listeners": TypeAdapter(
        Annotated[
            list[Annotated[tuple[Line, Annotated[int, Field(ge=0, le=65535)]], Field(strict=False)]],
            Field(max_length=THINGS_LIMIT),
        ]
    ),
    "files": TypeAdapter(Annotated[dict[Key, FileState], Field(max_length=300)]),
    "listed": TypeAdapter(Annotated[dict[Key, FileState], Field(max_length=300)]),
    "disks": TypeAdapter(Annotated[dict[Key, Disk], Field(max_length=THINGS_LIMIT)]),
    "updates": TypeAdapter(Updates),
    "certificates": TypeAdapter(Annotated[dict[Key, Certificate], Field(max_length=THINGS_LIMIT)]),
    "databases": TypeAdapter(Databases),
    "redis": TypeAdapter(Annotated[dict[Key, Redis], Field(max_length=THINGS_LIMIT)]),
    "php": TypeAdapter(Annotated[dict[Key, Pool], Field(max_length=THINGS_LIMIT)]),
    "own": TypeAdapter(Annotated[dict[Key, Own], Field(max_length=THINGS_LIMIT)]),
    "firewall": TypeAdapter(Firewall),
    "journal": TypeAdapter(Journal),
    "restarts": TypeAdapter(Restarts),
    "clock": TypeAdapter(Clock),
    "last_run": TypeAdapter(LastRun | None),
}
