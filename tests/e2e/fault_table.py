"""Writes the table of faults into ``provision/health/README.md``: ``python -m tests.e2e.fault_table [TIMES]``.

TIMES is what ``test_health.py`` wrote where ``PROVISION_FAULT_TIMES`` named a file: one JSON object a line, with the
fault and the seconds until it was seen. Without it the times that stand in the table stay.
"""

import json
import re
import sys
from pathlib import Path

from provision.health.result import Sentence
from provision.model.catalog import load_catalog
from provision.paths import ROLES, ROOT
from tests.e2e.breaking import sentences
from tests.e2e.faults import FAULTS, HERE

FILE = ROOT / "provision" / "health" / "README.md"
START, END = "<!-- faults -->", "<!-- /faults -->"
_HEAD = (
    "| what is wrong | question that turns | into | what it says | what it says to do | seen after |\n"
    "| --- | --- | --- | --- | --- | --- |\n"
)


def table(times: dict[str, str]) -> str:
    """The table.

    Args:
        times: by what is wrong, in seconds.
    """
    catalog = load_catalog([ROLES])[0]
    rows = []
    for fault in (*FAULTS, *HERE):
        meaning, remedy = sentences(fault, catalog)
        cells = [
            fault.what, f"`{fault.where}`", fault.state, _cell(meaning), _cell(remedy), times.get(fault.what, "")
        ]  # fmt: skip
        rows.append(f"| {' | '.join(cells)} |\n")
    return _HEAD + "".join(rows)


def _cell(sentence: Sentence) -> str:
    return sentence.en.replace("|", "\\|")


def kept_times(text: str) -> dict[str, str]:
    """The times that stand in the table."""
    rows = [line.strip("| \n").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {row[0]: row[5] for row in rows if len(row) == 6 and re.match(r"\d", row[5])}


def measured_times(file: Path) -> dict[str, str]:
    """The times of a run of the tests."""
    what = {fault.id: fault.what for fault in (*FAULTS, *HERE)}
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return {what[line["fault"]]: f"{line['after']:.1f} s" for line in lines if line["fault"] in what}


def written(text: str, times: dict[str, str]) -> str:
    """The document with the table of today."""
    head, _, rest = text.partition(START)
    _, _, tail = rest.partition(END)
    return f"{head}{START}\n\n{table(times)}\n{END}{tail}"


def main(arguments: list[str]) -> None:
    """The program."""
    text = FILE.read_text(encoding="utf-8")
    times = kept_times(text) | (measured_times(Path(arguments[0])) if arguments else {})
    FILE.write_text(written(text, times), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
