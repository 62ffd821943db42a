"""What is asked and what faults mean, in Catalan, Spanish and English. Each module holds one theme's texts."""

from collections.abc import Mapping

from provision.health.result import Sentence
from provision.health.words import host, services
from provision.health.words.faults import APPLY, APPLY_ALL, Fault
from provision.health.words.host import SERVER

#: What is asked, by the kind of the probe.
TITLES: Mapping[str, Sentence] = {**host.TITLES, **services.TITLES}
#: What each kind of fault means and what to do, by ``kind/variant``.
FAULTS: Mapping[str, Fault] = {**host.FAULTS, **services.FAULTS}

__all__ = ["APPLY", "APPLY_ALL", "FAULTS", "SERVER", "TITLES", "Fault"]
