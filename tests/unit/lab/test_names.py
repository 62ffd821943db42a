import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.errors import LabError, UsageError
from provision.lab import names

PRIVATE = [ipaddress.IPv4Network(net) for net in ("10.208.0.0/12", "172.16.0.0/12", "192.168.0.0/16")]


def network(text: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(text)


def test_two_directories_have_two_lab_ids(tmp_path: Path) -> None:
    assert names.lab_id(tmp_path / "a") != names.lab_id(tmp_path / "b")


def test_every_path_to_a_directory_gives_the_same_lab_id(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert names.lab_id(tmp_path / "link") == names.lab_id(tmp_path / "real" / ".." / "real")


@given(st.integers(0, 0xFFFFFF), st.integers(names.FIRST_OCTET, names.LAST_OCTET))
def test_interface_names_fit_into_fifteen_characters(number: int, octet: int) -> None:
    made = names.Names(f"{number:06x}")
    assert len(made.bridge) <= 15
    assert len(made.veth(octet)) <= 15


def test_the_longest_machine_name_fits_a_host_name() -> None:
    longest = names.check_machine_name("a" * 40)
    assert len(names.Names("abcdef").machine(longest)) <= 64


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "1a", "A", "a_b", "a.b", "a/b", "..", "a" * 41, "a b", "é", "a\n"]
)
def test_a_machine_name_that_could_not_be_a_host_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        names.check_machine_name(name)


@pytest.mark.parametrize(
    "name", ["", "a b", "pad..example", "-a.example", "a" * 64, "pad.example\n10.0.0.1 evil"]
)
def test_a_name_that_is_no_host_name_cannot_be_written_to_a_hosts_file(name: str) -> None:
    with pytest.raises(UsageError):
        names.check_hostname(name)


def test_host_names_are_compared_in_lower_case() -> None:
    assert names.check_hostname("Pad.School.Example.") == "pad.school.example"


def test_an_unknown_release_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        names.check_release("focal")
    assert "bookworm" in caught.value.remedy
    assert "trixie" in caught.value.remedy


@given(st.text(st.characters(codec="ascii"), max_size=8))
def test_a_lab_gets_a_private_24_and_the_same_one_again(seed: str) -> None:
    chosen = names.choose_subnet(seed, [])
    assert chosen.prefixlen == 24
    assert any(chosen.subnet_of(pool) for pool in PRIVATE)
    assert names.choose_subnet(seed, []) == chosen


@given(
    st.lists(
        st.tuples(st.integers(0, 2**20 - 1), st.integers(12, 32)).map(
            lambda pair: ipaddress.IPv4Network(
                (int(network("10.208.0.0/12")[0]) + pair[0], pair[1]), strict=False
            )
        ),
        max_size=30,
    )
)
def test_a_chosen_network_overlaps_nothing_that_is_taken(taken: list[ipaddress.IPv4Network]) -> None:
    chosen = names.choose_subnet("abc", taken)
    assert not any(chosen.overlaps(other) for other in taken)


def test_two_labs_with_the_same_first_choice_get_different_networks() -> None:
    first = names.choose_subnet("abc", [])
    assert not names.choose_subnet("abc", [first]).overlaps(first)


def test_the_default_route_takes_nothing() -> None:
    assert names.choose_subnet("abc", [network("0.0.0.0/0")]) == names.choose_subnet("abc", [])


def test_the_network_that_a_lab_had_is_kept_while_it_is_free() -> None:
    had = network("10.210.7.0/24")
    assert names.choose_subnet("abc", [], had) == had
    assert names.choose_subnet("abc", [network("10.210.7.128/25")], had) != had


def test_a_vpn_that_routes_all_private_networks_leaves_room_for_a_lab() -> None:
    everything = [network("10.0.0.0/8"), network("172.16.0.0/12"), network("192.168.0.0/16")]
    office = network("10.208.0.0/17")
    chosen = names.choose_subnet("abc", [*everything, office])
    assert not chosen.overlaps(office)


def test_no_free_network_at_all_is_an_error_with_a_remedy() -> None:
    halves = [half for pool in PRIVATE for half in pool.subnets(new_prefix=17)]
    with pytest.raises(LabError) as caught:
        names.choose_subnet("abc", halves)
    assert caught.value.remedy


def test_addresses_are_given_out_from_the_lowest_free_one() -> None:
    assert names.choose_octet([]) == 2
    assert names.choose_octet([2, 3, 5]) == 4


def test_a_full_lab_is_an_error() -> None:
    with pytest.raises(LabError):
        names.choose_octet(range(2, 255))


def test_the_hosts_file_names_each_machine_with_its_further_names() -> None:
    lines = names.hosts_lines(
        {"demo": "10.0.0.2", "other": "10.0.0.3"},
        {"pad.example": "demo", "a.example": "demo", "gone.example": "removed"},
    )
    assert lines == ["10.0.0.2 a.example pad.example demo", "10.0.0.3 other"]


def test_merging_names_keeps_what_else_is_in_a_hosts_file() -> None:
    own = "127.0.0.1 localhost\n192.0.2.9 printer\n"
    once = names.merge_hosts(own, ["10.0.0.2 demo"])
    twice = names.merge_hosts(once + "192.0.2.8 later\n", ["10.0.0.3 demo"])
    assert "10.0.0.2 demo" in once
    assert "10.0.0.2 demo" not in twice
    for line in ("127.0.0.1 localhost", "192.0.2.9 printer", "192.0.2.8 later", "10.0.0.3 demo"):
        assert twice.splitlines().count(line) == 1


@given(st.lists(st.from_regex(r"[a-z]{1,9}", fullmatch=True), max_size=5))
def test_merging_the_same_names_twice_changes_nothing(lines: list[str]) -> None:
    once = names.merge_hosts("127.0.0.1 localhost\n", lines)
    assert names.merge_hosts(once, lines) == once


def test_known_hosts_lists_address_and_names_with_a_port_that_is_not_22() -> None:
    assert names.known_hosts_lines("10.0.0.2", 22, ["demo"], ["ssh-ed25519 AAAA"]) == [
        "10.0.0.2,demo ssh-ed25519 AAAA"
    ]
    assert names.known_hosts_lines("10.0.0.2", 2222, ["demo"], ["ssh-ed25519 AAAA"]) == [
        "[10.0.0.2]:2222,[demo]:2222 ssh-ed25519 AAAA"
    ]
