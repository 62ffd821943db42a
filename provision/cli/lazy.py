"""A group of commands whose modules are loaded only when they are asked for."""

import gc
import importlib
from collections.abc import Mapping
from typing import Any, ClassVar, cast

import typer
from typer.core import TyperGroup


class LazyGroup(TyperGroup):
    """Loads a command only when it is asked for: a short question does not wait for what all the others need."""

    #: The module of each such command; it has ``register(app)``, or ``app``, a group of the same name.
    modules: ClassVar[Mapping[str, str]] = {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        # The names are there at once: for the help, and for suggestions after a typing mistake.
        self.commands = cast(Any, {**self.commands, **dict.fromkeys(self.modules)})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - Typer's own
        """The command of that name; nothing where there is none."""
        if cmd_name in self.commands and self.commands[cmd_name] is None:
            self.commands[cmd_name] = _load(cmd_name, self.modules[cmd_name])
        return self.commands.get(cmd_name)


def _load(name: str, module_name: str) -> Any:
    # What is loaded stays for good: looking through it for rubbish again and again takes a tenth of the time.
    gc.disable()
    try:
        module = importlib.import_module(module_name)
    finally:
        gc.freeze()
        gc.enable()
    holder = typer.Typer(rich_markup_mode="rich")
    # With a callback it stays a group, however few commands it has.
    holder.callback()(lambda: None)
    if hasattr(module, "register"):
        module.register(holder)
    else:
        holder.add_typer(module.app, name=name)
    command = cast(TyperGroup, typer.main.get_command(holder)).commands[name]
    _for_people(command)
    return command


def _for_people(command: Any) -> None:
    """Names of things instead of types of Python in the help, and one example a line."""
    if command is None:
        # Not loaded yet: its turn comes.
        return
    for parameter in command.params:
        choices = getattr(
            getattr(parameter, "type_descriptor", None) or getattr(parameter, "type", None), "choices", None
        )
        if parameter.param_type_name == "option" and parameter.metavar is None and not choices:
            long = max(parameter.opts, key=len).lstrip("-")
            parameter.metavar = "" if parameter.is_flag else long.upper().replace("-", "_")
    if command.epilog and command.epilog.startswith("Example"):
        title, _, examples = command.epilog.partition(": ")
        command.epilog = f"{title}:\n\n" + examples.replace(" · ", "\n\n")
    for inner in getattr(command, "commands", {}).values():
        _for_people(inner)
