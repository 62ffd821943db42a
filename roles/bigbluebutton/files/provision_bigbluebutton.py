"""What both programs of the role bigbluebutton know of a BigBlueButton: its places, its API, what was found out of it.

What upstream's programs do, and where that was read, stands in the role's README.md.
"""

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import re
import subprocess
import time
import urllib.parse
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

WANTED = Path("/etc/provision/bigbluebutton.json")
SECRET = Path("/etc/provision/bigbluebutton.secret")
STATE = Path("/var/lib/provision/bigbluebutton")
#: What bbb-conf --check said, and when our last room was well.
CHECKED, MET = STATE / "checked.json", STATE / "met.json"
#: Held by a run that is at work.
LOCK = Path("/run/provision-bigbluebutton.lock")

# Upstream's places.
ETC = Path("/etc/bigbluebutton")
RELEASE = ETC / "bigbluebutton-release"
PROPERTIES = ETC / "bbb-web.properties"
DEFAULTS = Path("/usr/share/bbb-web/WEB-INF/classes/bigbluebutton.properties")
TURNSERVER = Path("/etc/turnserver.conf")
SFU = ETC / "bbb-webrtc-sfu/production.yml"
SWITCH = Path("/opt/freeswitch/etc/freeswitch/autoload_configs/switch.conf.xml")
#: bbb-web on the server's own loopback, behind upstream's nginx.
API = ("127.0.0.1", 8090)
#: What the names of our own rooms begin with; nobody is taught there.
PROBE_MEETING = "provision-probe-"


class BigBlueButtonError(Exception):
    """BigBlueButton or what it stands on refused something; the text is for the administrator."""


class SilentError(BigBlueButtonError):
    """The API does not answer at all."""


class LateError(SilentError):
    """It does not answer in time."""


def run(*command: str, timeout: float | None = None) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout, check=False
    )
    if done.returncode:
        said = "\n".join(part.strip() for part in (done.stdout, done.stderr) if part.strip())
        # Marked: it may quote what others wrote, and a line that begins as ours ("cut: ") would be taken for ours.
        marked = "\n| ".join(["", *said[-3000:].splitlines()])
        raise BigBlueButtonError(f"{Path(command[0]).name} ended with {done.returncode}:{marked}")
    return done.stdout


def true(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0


def text_of(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def write(path: Path, text: str, mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> None:
    """Replaces a file in one step; nobody else can read it in between."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(descriptor)
        os.fchown(descriptor, *owner)
        os.fchmod(descriptor, mode)
    new.replace(path)


def version() -> str:
    """Which BigBlueButton is installed, as upstream writes it; empty when none is."""
    found = re.search(r"(?m)^BIGBLUEBUTTON_RELEASE=[\"']?([^\"'\s]+)", text_of(RELEASE))
    return found[1] if found else ""


def in_force(key: str) -> str:
    """A setting of bbb-web: the last one of its override, else that of the package."""
    for path in (PROPERTIES, DEFAULTS):
        found = re.findall(rf"(?m)^{re.escape(key)}[ \t]*=[ \t]*(.*?)[ \t]*$", text_of(path))
        if found and found[-1]:
            return str(found[-1])
    return ""


def checksum(call: str, query: str, secret: str, algorithm: str = "sha256") -> str:
    """What signs a call: the digest of its name, its query and the shared secret, in hexadecimal."""
    return hashlib.new(algorithm, (call + query + secret).encode()).hexdigest()


def ask(
    call: str, secret: str = "", algorithm: str = "sha256", *, seconds: float = 10, **parameters: str
) -> ElementTree.Element:
    """One call of bbb-web's API; without a call its greeting, which needs no checksum.

    Args:
        seconds: how long each part of the answer is waited for.

    Raises:
        SilentError: no answer, or none that is the API's.
    """
    path = "/bigbluebutton/api"
    if call:
        query = urllib.parse.urlencode(parameters)
        signed = "&".join(
            part for part in (query, f"checksum={checksum(call, query, secret, algorithm)}") if part
        )
        path += f"/{call}?{signed}"
    connection = http.client.HTTPConnection(*API, timeout=seconds)
    try:
        connection.request(
            "GET", path, headers={"Host": in_force("bigbluebutton.web.serverURL").rpartition("/")[2]}
        )
        answer = connection.getresponse()
        body = answer.read(4 * 1024 * 1024)
        # What expat of Debian and Ubuntu reads: it refuses entities that blow up.
        found = ElementTree.fromstring(body)  # noqa: S314 - our own server, on its loopback
    except TimeoutError:
        raise LateError(f"{call or 'its greeting'}: no answer within {seconds:.1f} s") from None
    except (OSError, http.client.HTTPException, ElementTree.ParseError) as error:
        raise SilentError(f"the API of BigBlueButton does not answer on port {API[1]}: {error}") from error
    finally:
        connection.close()
    if found.tag != "response":
        raise SilentError(f"something else than BigBlueButton answers on port {API[1]}")
    return found


def value(answer: ElementTree.Element, name: str) -> str:
    return (answer.findtext(name) or "").strip()


def succeeded(answer: ElementTree.Element) -> bool:
    return value(answer, "returncode") == "SUCCESS"


def keep(path: Path, value: dict[str, Any]) -> None:
    """Keeps what was found out, and when; a disk that is full must not keep us from telling it."""
    with contextlib.suppress(OSError):
        STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(path, json.dumps({"at": time.time(), **value}), 0o600)


def kept(path: Path) -> dict[str, Any]:
    """What was found out; nothing where that cannot be read."""
    try:
        found = json.loads(text_of(path) or "{}")
        return found if isinstance(found["at"], float) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def at_rest() -> bool:
    """Whether no run is at work here, which may just be starting BigBlueButton again."""
    with LOCK.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
