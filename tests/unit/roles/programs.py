"""The roles' own programs as modules: they stand in ``files/`` without ``.py``."""

import importlib.machinery
import importlib.util
import json
import subprocess
import sys
import types
from typing import Any

from provision import paths

#: Loads a program, gives its names other values (of the type that they have), and runs it.
RUN = """
import json, sys
from tests.unit.roles.programs import load
role, name, values, *arguments = sys.argv[1:]
program = load(role, name)
for key, value in json.loads(values).items():
    known = getattr(program, key)
    setattr(program, key, type(known)(value))
sys.exit(program.main(arguments))
"""


def load(role: str, name: str) -> types.ModuleType:
    """Load ``roles/<role>/files/<name>`` anew, so that a test may change what it holds."""
    loader = importlib.machinery.SourceFileLoader(
        name.replace("-", "_"), str(paths.ROLES / role / "files" / name)
    )
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


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
