"""What a service's own user can do to root's programs: links, planted where the user may write."""

import os
import pwd
import subprocess
from pathlib import Path

#: An account with no rights at all. Without root the test's own user stands in for it.
STRANGER = 65534 if os.geteuid() == 0 else os.geteuid()


def as_stranger(script: str, *arguments: object) -> None:
    """Run a shell script as a user who is not root."""
    to = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"]
    command = ["sh", "-euc", script, "sh", *map(str, arguments)]
    subprocess.run([*(to if os.geteuid() == 0 else []), *command], check=True)


def given(path: Path, mode: int = 0o755) -> Path:
    """A directory that is the stranger's."""
    path.mkdir(parents=True, exist_ok=True)
    os.chown(path, STRANGER, -1)
    path.chmod(mode)
    return path


def reachable(path: Path) -> Path:
    """Let everybody come through to a directory; pytest's own are for one user."""
    for above in (path, *path.parents):
        if above.stat().st_uid == os.geteuid() and above.stat().st_mode & 0o5 != 0o5:
            above.chmod(above.stat().st_mode | 0o011)
    return path


def account(name: str) -> pwd.struct_passwd:
    """Stands in for ``pwd.getpwnam``: root is whoever runs the test, everybody else the stranger."""
    uid = os.geteuid() if name == "root" else STRANGER
    return pwd.struct_passwd((name, "x", uid, uid, "", "/", "/bin/sh"))
