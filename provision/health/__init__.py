"""Is a school's server well? Questions from outside and on the host, with typed answers."""

from provision.health.probes import ProbeResult, fetch, probe_school

__all__ = ["ProbeResult", "fetch", "probe_school"]
