"""Known causes of failed steps, and what to do about each."""

import re

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
        r"Could not get lock|Unable to acquire the dpkg",
        "another package installation is running on the server: wait for it, then apply again",
    ),
    (r"dpkg was interrupted", "an earlier installation was cut off; apply again, which finishes it first"),
    (
        r"Missing sudo password|sudo: a password is required",
        "set become_password: true for the host and put the password into the vault",
    ),
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "the server's host key is not the trusted one: provision school trust SCHOOL shows both",
    ),
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
        "the school's vault password is wrong: provision secrets show SCHOOL",
    ),
)


def remedy_for(error: str) -> str:
    """What a person can do about a failed step.

    Args:
        error: the step's own error text.
    """
    for pattern, remedy in _KNOWN:
        if re.search(pattern, error):
            return remedy
    return "read the error above; nothing that was done is lost, and applying again goes on from here"
