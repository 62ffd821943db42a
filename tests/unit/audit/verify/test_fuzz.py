"""Whatever is done to the files of a log: a verdict or a plain error, never a crash or an endless wait."""

import os
import random
import shutil
from pathlib import Path

import pytest

from provision.audit.log import LogError
from provision.audit.verify import verify
from tests.unit.audit.verify.city import City

#: Files that every word of a verdict rests on: none of them can change unseen.
_BOUND = ("checkpoint", "tile/", "checkpoints/", "detail/")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> City:
    city = City(tmp_path_factory.mktemp("fuzz") / "log", runs=3)
    city.cosign()
    return city


def mutate(file: Path, generator: random.Random) -> bool:
    """Do something to a file; whether it is another one now."""
    before = file.read_bytes()
    match generator.randrange(9):
        case 0:
            file.unlink()
        case 1:
            file.unlink()
            file.mkdir()
        case 2:
            file.unlink()
            os.mkfifo(file)
        case 3:
            file.unlink()
            file.symlink_to("/dev/zero")
        case 4:
            file.write_bytes(before[: generator.randrange(len(before))])
        case 5:
            place = generator.randrange(len(before))
            file.write_bytes(before[:place] + generator.randbytes(generator.randrange(1, 9)) + before[place:])
        case 6:
            data = bytearray(before)
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
            file.write_bytes(data)
        case 7:
            lines = before.split(b"\n")
            generator.shuffle(lines)
            file.write_bytes(b"\n".join(lines))
        case _:
            file.write_bytes(generator.randbytes(generator.randrange(3000)))
    return not file.is_file() or file.read_bytes() != before


@pytest.mark.parametrize("seed", range(150))
def test_a_mutated_file_is_noticed_and_nothing_breaks(original: City, tmp_path: Path, seed: int) -> None:
    generator = random.Random(seed)
    directory = tmp_path / "log"
    shutil.copytree(original.directory, directory)
    files = sorted(file for file in directory.rglob("*") if file.is_file() and file.name != ".lock")
    file = generator.choice(files)
    name = str(file.relative_to(directory))
    changed = mutate(file, generator)
    try:
        verdict = verify(directory, original.policy, now=original.now)
    except LogError:
        assert name == "checkpoint"
        return
    for lang in ("ca", "es", "en"):
        assert verdict.line(lang)
        assert all(one.words(lang) for one in verdict.findings)
    assert verdict.as_data()["ok"] is verdict.ok
    if changed and name.startswith(_BOUND) and name != "checkpoints/2":
        assert not verdict.ok, (name, verdict.findings)
