"""Whose a directory is that nobody named.

A workspace decides which programs run on the administrator's machine (``vault.client``, the tasks of ``roles/``). One
that is only found, because we stand below it, must not be somebody else's: anyone may put one into ``/tmp``.
"""

import os
from pathlib import Path

from provision.errors import UsageError


def refuse_strangers(directory: Path, file: str) -> None:
    """See that a directory that was found, not named, and a file in it belong to us, to root, or behind sudo to whom
    called it.

    Raises:
        UsageError: they belong to another user, or cannot be looked at.
    """
    trusted = {os.geteuid(), 0}
    behind_sudo = os.environ.get("SUDO_UID", "")
    if behind_sudo.isascii() and behind_sudo.isdigit():
        trusted.add(int(behind_sudo))
    for place in (directory, directory / file):
        # Of a link both count: who made it, and whose file it leads to.
        for follow in (False, True):
            try:
                owner = place.stat(follow_symlinks=follow).st_uid
            except OSError as error:
                raise UsageError(f"{place} cannot be looked at: {error.strerror}.") from error
            if owner not in trusted:
                raise UsageError(
                    f"{place} belongs to another user (number {owner}); a workspace that was not named is used only "
                    "if it is yours.",
                    f"If you trust its owner, name it: --workspace {directory}, or PROVISION_WORKSPACE={directory}",
                )
