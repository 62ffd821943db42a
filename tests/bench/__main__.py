"""What it costs, side by side in one run: ``make bench``, or ``python -m tests.bench PART...``.

Figures are the medians of several rounds that take turns; compare them within one run only, since machines differ and
are busy with other things.
"""

import argparse
import signal
import sys
from contextlib import nullcontext

from rich.console import Console

from tests.bench import audit, health, runs, school, web
from tests.bench.figures import as_line
from tests.bench.stage import Stage, scratch_directory

PARTS = {
    "runs": runs.measure,
    "audit": audit.measure,
    "school": school.measure,
    "web": web.measure,
    "health": health.measure,
}

#: Parts that do not use the stage's server.
WITH_OWN_SERVER = {"school", "web", "health"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("parts", nargs="*", help=f"{' or '.join(PARTS)}; all of them when left out")
    parser.add_argument(
        "--small", action="store_true", help="only try the benchmark itself: its figures mean nothing"
    )
    parser.add_argument(
        "--machine", default="bench", help="name of the lab server; one of that name is replaced"
    )
    wanted = parser.parse_args()
    unknown = set(wanted.parts) - PARTS.keys()
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    # A server and a directory are to be removed, whatever ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    console = Console()
    if not console.is_terminal:
        console.width = 140
    with scratch_directory() as scratch:
        stage = Stage(console, scratch, wanted.machine, small=wanted.small)
        chosen = [name for name in PARTS if not wanted.parts or name in wanted.parts]
        done = []
        with nullcontext() if WITH_OWN_SERVER.issuperset(chosen) else stage.open():
            for name in chosen:
                done.append(PARTS[name](stage))
                console.print(done[-1].table())
    # Not through the console, which would break the line where the screen ends.
    print(as_line(done), flush=True)


main()
