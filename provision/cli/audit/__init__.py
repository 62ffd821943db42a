"""``provision audit``: the log that neither side can rewrite."""

import typer

from provision.cli.audit import anchor, cosign, export, keeping, log, pack, report, verify, witness

app = typer.Typer(
    help="The audit log: what was done, by whom, on whose word; the school keeps a copy, and anyone can verify it.",
    no_args_is_help=True,
)

# The order is that of the help.
for _commands in (log, verify, keeping, cosign, witness, anchor, export, report, pack):
    _commands.register(app)
