"""The roles' own programs as modules: they stand in ``files/`` without ``.py``."""

import importlib.machinery
import importlib.util
import json
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

from provision import paths

#: Loads a program, gives its names other values (of the type that they have), and runs it.
RUN = """
import json, sys
from tests.unit.roles.programs import load, parts
role, name, values, *arguments = sys.argv[1:]
program = load(role, name)
for key, value in json.loads(values).items():
    for part in parts(program):
        if hasattr(part, key):
            setattr(part, key, type(getattr(part, key))(value))
sys.exit(program.main(arguments))
"""


def load(role: str, name: str) -> types.ModuleType:
    """Load ``roles/<role>/files/<name>`` anew, so that a test may change what it holds."""
    place = paths.ROLES / role / "files"
    # Not its name with "_" alone: that is what programs of a role share.
    loader = importlib.machinery.SourceFileLoader(f"{name.replace('-', '_')}_program", str(place / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    before = sys.path[:]
    # In front of where the program looks for what it shares on a server.
    sys.path.insert(0, str(place))
    try:
        loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


def parts(program: types.ModuleType) -> list[types.ModuleType]:
    """A program, and the loaded modules beside it: one that it shares with other programs, or those of its package."""
    place = Path(str(program.__file__)).parent
    names = {str(getattr(value, "__module__", "")).partition(".")[0] for value in vars(program).values()}
    shared = [sys.modules[name] for name in sorted(sys.modules) if name.partition(".")[0] in names]
    return [program, *(one for one in shared if place in Path(getattr(one, "__file__", None) or "/").parents)]


def started(role: str, name: str, values: dict[str, Any], *arguments: str) -> subprocess.Popen[str]:
    """Run a program in a process of its own, which a test may end.

    Args:
        values: what its names hold instead, as JSON has it.
    """
    return subprocess.Popen(
        [sys.executable, "-c", RUN, role, name, json.dumps(values), *arguments],
        cwd=paths.PACKAGE.parent,
        stdout=subprocess.PIPE,
        text=True,
    )
