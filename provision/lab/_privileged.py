"""The lab's privileged part as a program: one order on standard input, lines of JSON on standard output.

Ordinary users reach it through sudo (see `provision.lab.lab`); it takes nothing from its arguments or
environment.
"""

import json
import os
import signal
import sys
from types import FrameType

from provision.errors import ProvisionError
from provision.lab.privileged import Request, perform


def _say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Read one order and carry it out; the exit code is 0 even for an error, which is told as a message."""
    signal.signal(signal.SIGTERM, _interrupted)
    # Our files are for everybody to read, whatever the caller's habit is; secrets get their mode one by one.
    os.umask(0o022)
    # Tells the caller that sudo let us through.
    _say(started=True)
    try:
        result = perform(Request.model_validate_json(sys.stdin.read()), lambda line: _say(report=line))
    except ProvisionError as error:
        _say(error=type(error).__name__, message=error.message, remedy=error.remedy)
        return
    except OSError as error:
        _say(error="LabError", message=f"The lab's work as root failed: {error}", remedy="")
        return
    except KeyboardInterrupt:
        # Told to the caller by its own Ctrl-C.
        sys.exit(130)
    _say(result=result)


if __name__ == "__main__":
    main()
