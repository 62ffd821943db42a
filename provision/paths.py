"""Where the shipped files are: in a checkout beside the package, in an installed wheel inside it."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = PACKAGE.parent
#: Where an installed wheel has them; not there in a checkout.
SHIPPED = PACKAGE / "_shipped"

#: The directory that holds ``roles/``, ``templates/`` and ``inventories/demo``.
ROOT = SHIPPED if SHIPPED.is_dir() else _CHECKOUT
ROLES = ROOT / "roles"
TEMPLATES = ROOT / "templates"
DEMO_INVENTORY = ROOT / "inventories" / "demo"
PLAYBOOKS = PACKAGE / "playbooks"
