"""Known causes of failed steps, and what to do about each."""

import re

_SSH: tuple[tuple[str, str], ...] = (
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "the server's host key is not the trusted one: provision school trust {school} shows both",
    ),
    (
        r"Permission denied|authentication is incorrect|Too many authentication failures",
        "the server does not let us in any more: check its authorized_keys and the key that the school file names; "
        "settings that lock us out are taken back by the server itself after two minutes",
    ),
    (r"", "the server went away in mid-run: check that it is on and reachable, then apply again"),
)
_KNOWN: tuple[tuple[str, str], ...] = (
    (
        r"No space left on device|ENOSPC",
        "the server's disk is full: free room (journalctl --vacuum-size=200M; apt-get clean) and apply again",
    ),
    (
        r"Temporary failure resolving|Name or service not known|Could not resolve",
        "the server resolves no names: check its /etc/resolv.conf and its network, then apply again",
    ),
    (
        r"Failed to fetch|Unable to connect to|Connection timed out|Network is unreachable|ETIMEDOUT|ENETUNREACH",
        "the server does not reach its package sources: check its network or proxy, then apply again",
    ),
    (
        r"No package matching",
        "the server's package sources do not have it: see what apt-get update says there, then apply again",
    ),
    (
        r"Could not get lock|Unable to acquire the dpkg",
        "another package installation is running on the server: wait for it, then apply again",
    ),
    (r"dpkg was interrupted", "an earlier installation was cut off; apply again, which finishes it first"),
    (
        r"[Mm]issing sudo password|sudo: a password is required|Incorrect sudo password",
        "write become_password: true for the host and put the password into the vault: "
        "provision secrets set {school} host_NAME_become_password",
    ),
    (
        r"would cut them",
        "apply again when they are over; or let it wait for their end: provision apply {school} --wait MINUTES; "
        "or cut them: provision apply {school} --force",
    ),
    *_SSH[:2],
    (
        r"UNREACHABLE|Connection refused|Connection reset|Connection closed|No route to host",
        "the server went away in mid-run: check that it is on, then apply again",
    ),
    (
        r"nginx: \[emerg\]",
        "nginx refused its configuration, and the one before goes on running; see the text above",
    ),
    (
        r"Decryption failed|vault secrets",
        "the school's vault password is wrong: provision secrets show {school} says where it is looked for",
    ),
)


def remedy_for(error: str, school: str, *, unreachable: bool = False) -> str:
    """What a person can do about a failed step.

    Args:
        error: the step's own error text.
        school: id, for the commands in the text.
        unreachable: Ansible could not reach the server (rather than the server something else).
    """
    for pattern, remedy in _SSH if unreachable else _KNOWN:
        if re.search(pattern, error):
            return remedy.format(school=school)
    return "read the error above; nothing that was done is lost, and applying again goes on from here"
