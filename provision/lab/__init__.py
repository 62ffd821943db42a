"""Disposable servers on this computer: systemd-nspawn machines with real Debian, systemd and SSH."""

from provision.lab.lab import Lab, Machine
from provision.lab.names import RELEASES

__all__ = ["RELEASES", "Lab", "Machine"]
