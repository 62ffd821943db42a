"""Secrets: generated for each school and service, kept in Ansible vault files, and removed from what is
written."""

from provision.secrets.passwords import VaultPasswords
from provision.secrets.store import MUNICIPALITY, TLS_KEYS, SecretStore, become_password_name

__all__ = [
    "MUNICIPALITY",
    "TLS_KEYS",
    "SecretStore",
    "VaultPasswords",
    "become_password_name",
]
