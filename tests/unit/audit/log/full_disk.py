"""``python full_disk.py DIR``: write a log into a small file system until it is full; make room; go on."""

import json
import sys
from pathlib import Path

from provision.audit.log import LogError, SchoolLog, writing
from tests.unit.audit.log.crashing import KEY, ORIGIN, heartbeat


def main(place: Path) -> None:
    ballast = place / "ballast"
    ballast.write_bytes(b"x" * 40_000)
    directory = place / "log"
    refused, message, kept = 0, "", 0
    while refused < 5:
        try:
            with writing(directory, ORIGIN, [KEY]) as writer:
                assert not writer.leftovers, "a refused append left something behind"
                while True:
                    kept = writer.append([heartbeat(writer.size + number) for number in range(20)]).stop
        except LogError as error:
            refused += 1
            message = error.message
        log = SchoolLog.open(directory)
        assert log.size == kept
        assert len(list(log.entries())) == kept
        assert log.reader.root() == log.root
    ballast.unlink()
    with writing(directory, ORIGIN, [KEY]) as writer:
        writer.append([heartbeat(writer.size)])
    log = SchoolLog.open(directory)
    assert [entry.index for entry in log.entries()] == list(range(log.size))
    print(json.dumps({"refused": refused, "message": message, "before": kept, "after": log.size}))


main(Path(sys.argv[1]))
