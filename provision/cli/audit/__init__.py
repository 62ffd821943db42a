"""``provision audit``: the log that neither side can rewrite."""

import importlib
import importlib.util

import typer

app = typer.Typer(
    help="The audit log: what was done, by whom, on whose word; the school keeps a copy, and anyone can verify it.",
    no_args_is_help=True,
)

#: Each module has ``register(app)``; the order is that of the help.
_MODULES = (
    "log", "verify", "keeping", "cosign", "witness", "anchor", "export", "report", "pack",
)  # fmt: skip
for _name in _MODULES:
    if importlib.util.find_spec(f"{__name__}.{_name}") is None:
        continue
    importlib.import_module(f"{__name__}.{_name}").register(app)
