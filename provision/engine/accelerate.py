"""mitogen, where it is installed and knows the installed ansible-core; plain Ansible otherwise, silently.

mitogen's strategy plug-ins make a run several times faster, but ansible-core has deprecated that kind of plug-in, so
that nothing may ever depend on it.
"""

import importlib.metadata
import importlib.util
from pathlib import Path

#: The release of ansible-core that we use, and the oldest mitogen that supports it (mitogen's own change log).
_CORE = (2, 19)
_OLDEST = (0, 3, 25)


def mitogen_strategy() -> Path | None:
    """The directory of mitogen's strategy plug-ins, or None when it cannot be used here."""
    try:
        core = _version("ansible-core")
        mitogen = _version("mitogen")
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
    spec = importlib.util.find_spec("ansible_mitogen")
    if core[:2] != _CORE or mitogen < _OLDEST or spec is None or not spec.submodule_search_locations:
        return None
    strategies = Path(next(iter(spec.submodule_search_locations))) / "plugins" / "strategy"
    return strategies if (strategies / "mitogen_linear.py").is_file() else None


def _version(package: str) -> tuple[int, ...]:
    return tuple(int(part) for part in importlib.metadata.version(package).split(".")[:3])
