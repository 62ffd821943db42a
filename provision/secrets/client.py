"""``provision-vault-client``: prints a vault password, in Ansible's vault client protocol.

``ansible-playbook --vault-id escola-mar@$(command -v provision-vault-client)`` and ``ansible-vault view``
start it with ``--vault-id escola-mar``. The workspace is ``$PROVISION_WORKSPACE``, or the one that we stand
in. Exit code 2 means that the vault id is unknown (Ansible's ``VAULT_ID_UNKNOWN_RC``), 1 any other fault.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from provision.errors import ProvisionError
from provision.ownership import refuse_strangers
from provision.secrets.passwords import UNKNOWN_ID, UnknownVaultError, VaultPasswords


def main() -> NoReturn:
    """Entry point; prints the password on standard output and nothing else."""
    parser = argparse.ArgumentParser(
        prog="provision-vault-client",
        description="Print the password of a vault id, for ansible-playbook and ansible-vault.",
        epilog="Example: ansible-vault view --vault-id escola-mar@$(command -v provision-vault-client) "
        "secrets/escola-mar.yml",
    )
    parser.add_argument("--vault-id", required=True, help="the school's id, or “municipality”")
    arguments = parser.parse_args()
    try:
        password = VaultPasswords.read(_workspace()).get(arguments.vault_id).password
    except ProvisionError as error:
        print(f"provision-vault-client: {error.message} {error.remedy}".rstrip(), file=sys.stderr)
        sys.exit(UNKNOWN_ID if isinstance(error, UnknownVaultError) else 1)
    print(password)
    sys.exit(0)


def _workspace() -> Path:
    named = os.environ.get("PROVISION_WORKSPACE")
    if named:
        return Path(named)
    for directory in (Path.cwd(), *Path.cwd().parents):
        if (directory / "municipality.yml").is_file():
            refuse_strangers(directory, "municipality.yml")
            return directory
    from provision.model import find_workspace

    return find_workspace(None)
