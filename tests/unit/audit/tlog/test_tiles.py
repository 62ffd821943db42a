"""The files of a log: tiles and bundles."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.audit.tlog import (
    EMPTY_ROOT,
    MAX_ENTRY,
    MAX_SIZE,
    Edge,
    TileBuilder,
    TileReader,
    TreeError,
    bundle_path,
    decode_bundle,
    encode_bundle,
    grow,
    leaf_hash,
    list_names,
    prunable,
    read_file,
    root_of,
    tile_path,
    verify_consistency,
    verify_inclusion,
)
from tests.unit.audit.tlog.logs import a_log, some_entries, store


def files_in(directory: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(directory)): file.read_bytes() for file in directory.rglob("*") if file.is_file()
    }


@pytest.mark.parametrize(
    ("index", "width", "path"),
    [
        (0, 256, "000"),
        (999, 256, "999"),
        (1000, 256, "x001/000"),
        (1234067, 256, "x001/x234/067"),
        (1000, 7, "x001/000.p/7"),
        (5, 255, "005.p/255"),
    ],
)
def test_tiles_and_bundles_are_where_the_specification_puts_them(index: int, width: int, path: str) -> None:
    assert tile_path(3, index, width) == f"tile/3/{path}"
    assert bundle_path(index, width) == f"tile/entries/{path}"


@pytest.mark.parametrize(
    ("level", "index", "width"), [(64, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)]
)
def test_there_is_no_path_for_a_tile_that_cannot_be(level: int, index: int, width: int) -> None:
    with pytest.raises(TreeError):
        tile_path(level, index, width)


def test_a_log_of_70000_entries_has_the_tiles_that_the_specification_counts(tmp_path: Path) -> None:
    first = a_log(tmp_path, some_entries(65_000))
    reader = store(tmp_path, grow(first, some_entries(5_000, 65_000)))
    tiles = {path: data for path, data in files_in(tmp_path).items() if not path.startswith("tile/entries")}
    expected = {tile_path(0, number): 8192 for number in range(273)} | {
        "tile/0/273.p/112": 112 * 32,
        "tile/1/000": 8192,
        "tile/1/001.p/17": 17 * 32,
        "tile/2/000.p/1": 32,
    }
    assert {path: len(data) for path, data in tiles.items()} == expected
    leaves = [leaf_hash(entry) for entry in some_entries(70_000)]
    assert reader.root() == root_of(leaves)
    assert root_of(map(leaf_hash, reader.entries())) == reader.root()
    for index in (0, 255, 256, 65_535, 65_536, 69_887, 69_999):
        verify_inclusion(reader.inclusion_proof(index), index, 70_000, leaves[index], reader.root())
    for old in (1, 255, 256, 65_000, 65_536, 69_999):
        before = TileReader(tmp_path, old)
        assert before.root() == root_of(leaves[:old])
        verify_consistency(reader.consistency_proof(old), old, 70_000, before.root(), reader.root())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.one_of(st.integers(0, 3), st.integers(0, 300), st.sampled_from([255, 256, 257])), max_size=6)
)
def test_growth_in_any_steps_ends_in_the_same_files_as_growth_at_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int]
) -> None:
    stepwise, at_once = tmp_path_factory.mktemp("steps"), tmp_path_factory.mktemp("once")
    reader = TileReader(stepwise, 0)
    for step in steps:
        growth = grow(reader, some_entries(step, reader.size))
        before = files_in(stepwise)
        assert not before.keys() & growth.files.keys(), "a file that is there was written again"
        assert set(growth.obsolete) <= before.keys()
        reader = store(stepwise, growth)
        assert reader.root() == growth.root
    whole = a_log(at_once, some_entries(sum(steps)))
    assert files_in(stepwise) == files_in(at_once)
    assert reader.root() == whole.root() == root_of(map(leaf_hash, some_entries(sum(steps))))
    assert reader.frontier() == whole.frontier()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.one_of(st.integers(0, 3), st.integers(0, 300), st.sampled_from([255, 256, 257])), max_size=6)
)
def test_growth_from_the_edge_in_memory_is_growth_from_the_files(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int]
) -> None:
    directory = tmp_path_factory.mktemp("log")
    reader = TileReader(directory, 0)
    edge = Edge.read(reader)
    for step in steps:
        entries = some_entries(step, reader.size)
        growth = grow(edge, entries)
        assert growth == grow(reader, entries)
        reader, edge = store(directory, growth), growth.edge


def test_a_replaced_partial_file_is_named_only_when_a_new_file_holds_it(tmp_path: Path) -> None:
    reader = a_log(tmp_path, some_entries(256 + 3))
    growth = grow(reader, some_entries(2, 259))
    assert sorted(growth.files) == ["tile/0/001.p/5", "tile/entries/001.p/5"]
    assert sorted(growth.obsolete) == ["tile/0/001.p/3", "tile/entries/001.p/3"]
    full = grow(reader, some_entries(253, 259))
    assert sorted(full.files) == ["tile/0/001", "tile/1/000.p/2", "tile/entries/001"]
    assert sorted(full.obsolete) == ["tile/0/001.p/3", "tile/1/000.p/1", "tile/entries/001.p/3"]


def test_no_growth_needs_no_files(tmp_path: Path) -> None:
    reader = a_log(tmp_path, some_entries(5))
    growth = grow(reader, [])
    assert (growth.files, growth.size, growth.root, growth.obsolete) == ({}, 5, reader.root(), [])
    assert grow(TileReader(tmp_path / "nowhere", 0), []).root == EMPTY_ROOT


def test_a_log_that_has_grown_still_serves_its_older_trees(tmp_path: Path) -> None:
    a_log(tmp_path, some_entries(600))
    leaves = [leaf_hash(entry) for entry in some_entries(600)]
    for size in (0, 1, 2, 255, 256, 257, 511, 512, 599):
        older = TileReader(tmp_path, size)
        assert older.root() == root_of(leaves[:size])
        assert list(older.entries()) == some_entries(size)
        assert list(older.leaves()) == leaves[:size]


def test_a_narrower_file_may_be_served_by_a_wider_partial_one(tmp_path: Path) -> None:
    a_log(tmp_path, some_entries(300))
    assert (tmp_path / "tile/0/001.p/44").exists()
    (tmp_path / "tile/0/001.p/.44.abc.tmp").write_bytes(b"left by a writer that was killed")
    older = TileReader(tmp_path, 290)
    assert older.root() == root_of(map(leaf_hash, some_entries(290)))
    assert older.entry(289) == b"entry 289"
    verify_inclusion(older.inclusion_proof(289), 289, 290, older.leaf(289), older.root())


def test_entries_are_read_from_any_place_to_any_other(tmp_path: Path) -> None:
    reader = a_log(tmp_path, some_entries(600))
    for start, stop in ((0, 0), (0, 1), (10, 20), (255, 257), (256, 512), (511, 600), (600, 600)):
        assert list(reader.entries(start, stop)) == some_entries(stop - start, start)
        assert list(reader.leaves(start, stop)) == [
            leaf_hash(one) for one in some_entries(stop - start, start)
        ]
    assert list(reader.entries(590)) == some_entries(10, 590)
    assert [reader.entry(index) for index in (0, 599, 300)] == [b"entry 0", b"entry 599", b"entry 300"]


@pytest.mark.parametrize("range_", [(-1, 2), (3, 2), (0, 6), (6, None)])
def test_entries_that_the_log_does_not_have_are_not_read(
    tmp_path: Path, range_: tuple[int, int | None]
) -> None:
    reader = a_log(tmp_path, some_entries(5))
    with pytest.raises(TreeError, match="has no entries"):
        list(reader.entries(*range_))
    with pytest.raises(TreeError, match="has no entries"):
        list(reader.leaves(*range_))


@pytest.mark.parametrize("index", [-1, 5, 2**70])
def test_an_entry_that_the_log_does_not_have_is_not_read(tmp_path: Path, index: int) -> None:
    reader = a_log(tmp_path, some_entries(5))
    for read in (reader.entry, reader.leaf, reader.inclusion_proof):
        with pytest.raises(TreeError, match=f"has no entry {index}"):
            read(index)


@pytest.mark.parametrize(
    ("level", "index"), [(0, 5), (1, 2), (3, 0), (-1, 0), (0, -1), (10**9, 0), (2, 2**70)]
)
def test_a_subtree_that_is_not_perfect_in_the_tree_is_not_read(
    tmp_path: Path, level: int, index: int
) -> None:
    reader = a_log(tmp_path, some_entries(5))
    with pytest.raises(TreeError, match="no perfect subtree"):
        reader.node(level, index)


@pytest.mark.parametrize("size", [-1, MAX_SIZE + 1])
def test_a_reader_of_an_impossible_size_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(TreeError):
        TileReader(tmp_path, size)


def test_a_size_that_the_files_do_not_have_is_found_at_once(tmp_path: Path) -> None:
    a_log(tmp_path, some_entries(5))
    huge = TileReader(tmp_path, MAX_SIZE)
    for read in (huge.root, lambda: huge.inclusion_proof(3), lambda: huge.consistency_proof(3)):
        with pytest.raises(TreeError, match="is missing"):
            read()
    with pytest.raises(TreeError, match=r"entries 0 to 255 are missing \(tile/entries/000\)"):
        next(huge.entries())


@pytest.mark.parametrize(
    "entries", [[b""], [b"x" * MAX_ENTRY], [b"a", b"", b"ccc"], [b"%d" % number for number in range(256)]]
)
def test_a_bundle_gives_its_entries_back(entries: list[bytes]) -> None:
    data = encode_bundle(entries)
    assert decode_bundle(data, None) == decode_bundle(data, len(entries)) == entries


@pytest.mark.parametrize("entries", [[], [b"x" * (MAX_ENTRY + 1)], [b""] * 257])
def test_a_bundle_that_nobody_could_read_is_not_made(entries: list[bytes]) -> None:
    with pytest.raises(TreeError):
        encode_bundle(entries)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (b"\x00", "within the length"),
        (b"\x00\x03ab", "within an entry"),
        (b"\x00\x01a\xff", "within the length"),
        (b"\x00\x00" * 257, "more than 256"),
        (b"\x00\x01a", "1 entries where 2 are due"),
    ],
)
def test_a_malformed_bundle_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(TreeError, match=why):
        decode_bundle(data, 2)


def test_an_entry_that_is_too_long_is_not_taken_into_a_log(tmp_path: Path) -> None:
    with pytest.raises(TreeError, match="too long"):
        grow(TileReader(tmp_path, 0), [b"x" * (MAX_ENTRY + 1)])


def damaged(tmp_path: Path) -> TileReader:
    reader = a_log(tmp_path, some_entries(5))
    assert reader.size == 5
    return TileReader(tmp_path, 5)


@pytest.mark.parametrize("path", ["tile/0/000.p/5", "tile/entries/000.p/5"])
@pytest.mark.parametrize("kind", ["short", "long", "huge", "directory", "pipe", "link", "gone"])
def test_a_file_that_is_not_as_it_must_be_is_refused(tmp_path: Path, path: str, kind: str) -> None:
    log = tmp_path / "log"
    reader = damaged(log)
    file = log / path
    data = file.read_bytes()
    file.unlink()
    match kind:
        case "short":
            file.write_bytes(data[:-1])
        case "long":
            file.write_bytes(data + b"x")
        case "huge":
            with file.open("wb") as hole:
                hole.truncate(1 << 40)
        case "directory":
            file.mkdir()
        case "pipe":
            os.mkfifo(file)
        case "link":
            (tmp_path / "elsewhere").write_bytes(data)
            file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TreeError):
        list(reader.entries()) if "entries" in path else reader.root()


def test_what_is_no_file_is_refused_for_that_and_a_huge_one_before_a_byte_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    for name in ("pipe", "directory"):
        with pytest.raises(TreeError, match=f"{name} is not a regular file"):
            read_file(tmp_path, name, 10)
    (tmp_path / "huge").write_bytes(bytes(11))
    (tmp_path / "growing").write_bytes(bytes(10))
    reads: list[int] = []

    def growing(descriptor: int, size: int) -> bytes:
        reads.append(size)
        return bytes(size)

    monkeypatch.setattr(os, "read", growing)
    with pytest.raises(TreeError, match="larger than the 10 bytes"):
        read_file(tmp_path, "huge", 10)
    assert reads == []
    with pytest.raises(TreeError, match="larger than the 10 bytes"):
        read_file(tmp_path, "growing", 10)
    assert sum(reads) == 11


@pytest.mark.parametrize("count", [1, 4, 6])
def test_a_bundle_of_another_width_than_its_name_says_is_refused(tmp_path: Path, count: int) -> None:
    reader = damaged(tmp_path)
    (tmp_path / "tile/entries/000.p/5").write_bytes(encode_bundle(some_entries(count)))
    with pytest.raises(TreeError, match=rf"000.p/5: the bundle has {count} entries where 5 are due"):
        reader.entry(0)


def test_a_directory_that_is_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    reader = damaged(tmp_path / "log")
    (tmp_path / "log/tile/0").rename(tmp_path / "outside")
    (tmp_path / "log/tile/0").symlink_to(tmp_path / "outside")
    with pytest.raises(TreeError, match="symbolic link"):
        reader.root()
    with pytest.raises(TreeError, match="symbolic link"):
        list_names(tmp_path / "log", "tile/0", 10)


def test_a_log_may_itself_be_reached_over_a_symbolic_link(tmp_path: Path) -> None:
    root = damaged(tmp_path / "log").root()
    (tmp_path / "link").symlink_to(tmp_path / "log")
    assert TileReader(tmp_path / "link", 5).root() == root


@pytest.mark.parametrize(
    "path", ["../log/tile/0/000.p/5", "/etc/hostname", "tile//0", "./tile", "", "tile/.."]
)
def test_no_path_leads_out_of_the_log(tmp_path: Path, path: str) -> None:
    damaged(tmp_path / "log")
    with pytest.raises(TreeError, match="cannot be there"):
        read_file(tmp_path / "log", path, 10_000)


def test_a_file_that_is_not_there_is_no_error_and_a_crowd_of_files_is_one(tmp_path: Path) -> None:
    assert read_file(tmp_path, "a/b", 10) is None
    assert read_file(tmp_path / "nowhere", "a", 10) is None
    assert list_names(tmp_path, "a", 10) == []
    for number in range(11):
        (tmp_path / f"{number}").write_bytes(b"0123456789")
    assert read_file(tmp_path, "1", 10) == b"0123456789"
    assert read_file(tmp_path, "1/below", 10) is None
    (tmp_path / "crowd").mkdir()
    for number in range(11):
        (tmp_path / f"crowd/{number}").touch()
    assert len(list_names(tmp_path, "crowd", 11)) == 11
    with pytest.raises(TreeError, match="more than 10"):
        list_names(tmp_path, "crowd", 10)
    with pytest.raises(TreeError, match="larger than the 9 bytes"):
        read_file(tmp_path, "1", 9)


@pytest.mark.parametrize("call", ["open", "read"])
def test_a_file_that_the_system_does_not_let_us_read_is_refused_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    reader = damaged(tmp_path)
    real = getattr(os, call)

    def broken(what: object, *rest: object, **named: object) -> object:
        if call == "open" and what != "000.p":
            return real(what, *rest, **named)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, call, broken)
    with pytest.raises(TreeError, match=r"tile/0/000.p/5 cannot be read: Input/output error"):
        reader.root()
    if call == "open":
        with pytest.raises(TreeError, match=r"tile/0/000.p cannot be read: Input/output error"):
            list_names(tmp_path, "tile/0/000.p", 10)


def test_reading_leaves_no_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = damaged(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    opened: list[int] = []
    real = os.open

    def counting(*arguments: Any, **named: Any) -> int:
        descriptor = real(*arguments, **named)
        opened.append(descriptor)
        return descriptor

    monkeypatch.setattr(os, "open", counting)
    list(reader.entries())
    reader.root()
    list_names(tmp_path, "tile", 10)
    with pytest.raises(TreeError):
        list_names(tmp_path, "tile", 1)
    for path, limit in (("link/tile", 10), ("tile/0/000.p/5", 1), ("tile/0", 10), ("link", 10)):
        with pytest.raises(TreeError):
            read_file(tmp_path, path, limit)
    assert read_file(tmp_path, "tile/where", 1) is None
    assert len(opened) > 20
    for descriptor in opened:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def test_a_builder_gives_each_tile_of_the_tree(tmp_path: Path) -> None:
    reader = a_log(tmp_path, some_entries(1000))
    builder = TileBuilder()
    tiles = [tile for entry in some_entries(1000) for tile in builder.append(leaf_hash(entry))]
    tiles += builder.partial()
    hashes = {path: data for path, data in files_in(tmp_path).items() if "entries" not in path}
    assert {tile.path: tile.data for tile in tiles} == hashes
    assert all(reader.tile(tile.level, tile.number) == tile.data for tile in tiles)


def test_a_builder_whose_edge_does_not_fit_is_refused() -> None:
    with pytest.raises(TreeError, match="1 hashes at the edge of level 0"):
        TileBuilder(257, [])
    with pytest.raises(TreeError, match="0 hashes at the edge of level 1"):
        TileBuilder(1, [[EMPTY_ROOT], [EMPTY_ROOT]])


@pytest.mark.parametrize("minimum", [0, 1, 255, 256, 300, 512, 700])
def test_a_pruned_log_keeps_entries_roots_and_proofs_from_its_minimum_on(
    tmp_path: Path, minimum: int
) -> None:
    whole = a_log(tmp_path, some_entries(700))
    roots = {size: TileReader(tmp_path, size).root() for size in range(max(minimum, 1), 701, 7)}
    root = whole.root()
    for path in prunable(minimum):
        (tmp_path / path).unlink()
    reader = TileReader(tmp_path, 700)
    assert list(reader.entries(minimum)) == some_entries(700 - minimum, minimum)
    for index in range(minimum, 700, 13):
        verify_inclusion(reader.inclusion_proof(index), index, 700, leaf_hash(b"entry %d" % index), root)
    for size, known in roots.items():
        assert TileReader(tmp_path, size).root() == known
        verify_consistency(reader.consistency_proof(size), size, 700, known, root)


def test_full_tiles_of_higher_levels_are_pruned_when_all_below_them_is() -> None:
    assert list(prunable(0)) == []
    paths = set(prunable(65_536 + 255))
    assert "tile/1/000" in paths
    assert not any(path.startswith("tile/2") for path in paths)
    assert len(paths) == 256 + 256 + 1
