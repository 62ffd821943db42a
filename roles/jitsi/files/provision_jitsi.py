"""What both programs of the role jitsi know: the school's settings, where Prosody listens, and the probe's account."""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

STAGED = Path("/etc/provision/jitsi")
#: Where Prosody listens for browsers, on the loopback.
BOSH = 5280
#: The account with which it is asked whether the school's people open a room.
PROBE = "provision-probe"


class JitsiError(Exception):
    """Something did not work; the text is for the administrator."""


def settings() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((STAGED / "settings.json").read_text())
    return read


def probe_password(wanted: dict[str, Any]) -> str:
    """The password of the probe's account, which is kept nowhere."""
    return hmac.new(wanted["focus_password"].encode(), b"probe", hashlib.sha256).hexdigest()
