"""What can go wrong on the school's side, each with what to do next."""

from pathlib import Path

from provision.errors import ProvisionError


class WitnessError(ProvisionError):
    """The witness cannot do what was asked."""


class SourceError(WitnessError):
    """The place that the log is to come from does not give it."""


class NoLogHereError(SourceError):
    """There is no log at that place, which is no finding about one."""

    exit_code = 2


class RefusedLogError(WitnessError):
    """The log is not one that the witness may cosign: not a continuation of what it saw, or not proved to be one.

    Args:
        kind: ``fork`` (two signed checkpoints that contradict each other), ``older`` (less than what was seen),
            ``damaged`` (the files do not give the signed root), ``unsigned`` (no signature by a key that is known),
            ``foreign`` (another log), ``clock``, ``waiting`` (a run that nobody agreed to yet), ``rules`` (others are
            to sign, or to be asked, and no person has seen it).
        evidence: directory with the proof, where there is one.
    """

    def __init__(self, kind: str, message: str, remedy: str, evidence: Path | None = None) -> None:
        super().__init__(message, remedy)
        self.kind = kind
        self.evidence = evidence
