"""From a school to its servers: what Ansible receives, how a run goes, and how servers are asked."""

import sys

# For one directive of SSH settings files ("Match exec"), which nobody reads here, paramiko loads invoke, and with it
# asyncio and unittest: a tenth of a second for each command that goes to a server. It does without where it is missing.
if "paramiko" not in sys.modules:
    sys.modules.setdefault("invoke", None)  # type: ignore[arg-type]
