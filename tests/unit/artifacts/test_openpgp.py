"""The fingerprint of a key file is computed, not believed."""

import base64

import pytest

from provision.artifacts.availability import repository_addresses
from provision.artifacts.lockfile import MismatchError
from provision.artifacts.selection import check_keys
from provision.artifacts.signatures import fingerprints
from provision.errors import ArtifactError
from provision.model import load_catalog
from provision.model.service import AptSource
from provision.paths import ROLES

# Made for this test with gpg (an ed25519 key with a cv25519 subkey), which also gave the fingerprint.
FINGERPRINT = "71A57DFB92FBD16E3016AFBACE8E3DDD646E660A"
ARMOURED = b"""-----BEGIN PGP PUBLIC KEY BLOCK-----
Comment: for tests

mDMEawP8/hYJKwYBBAHaRw8BAQdADkMjroM16IJCvCJ2s3o3T5vulN1pZouCu+7h
2FxjUfC0HFRlc3Qgb25seSA8dGVzdEBleGFtcGxlLm9yZz6IkAQTFggAOBYhBHGl
ffuS+9FuMBavus6OPd1kbmYKBQJrA/z+AhsDBQsJCAcCBhUKCQgLAgQWAgMBAh4B
AheAAAoJEM6OPd1kbmYKRz4A/Ai+qGQfvPPfXHvQrEM4F13f7KIHOHfw//i50yuE
xx8yAQDOKtfvENgv2fdDTfgWEaplFKFkBCyAq4lID9CkA80gBLg4BGsD/P4SCisG
AQQBl1UBBQEBB0DRWkdwUk1iTLdcQ9hUO5Ad7EzUfDKwzSUeXjXbY6wSPgMBCAeI
eAQYFggAIBYhBHGlffuS+9FuMBavus6OPd1kbmYKBQJrA/z+AhsMAAoJEM6OPd1k
bmYKFMgA/1ea0XiXw82oQ4up/KFeY0brAETWmRyKWZEl4CT4h3s+AQCGzzYlCY8b
6uiA9z4EQInL37+usieOSLNs8elG2JZACw==
=mcbf
-----END PGP PUBLIC KEY BLOCK-----
"""
BINARY = base64.b64decode(b"".join(ARMOURED.split(b"\n")[3:-3]))


def source(key: str, fingerprint: str = FINGERPRINT) -> AptSource:
    repository = {"name": "pad", "uri": "https://x.example/apt", "suite": "stable"}
    return AptSource.model_validate(
        {
            "kind": "apt",
            "repositories": [{**repository, "key": key, "fingerprint": fingerprint}],
            "packages": ["pad"],
        }
    )


@pytest.mark.parametrize("data", [ARMOURED, BINARY, ARMOURED.replace(b"\n", b"\r\n")])
def test_the_fingerprint_is_the_one_that_gpg_gives(data):
    assert fingerprints(data) == [FINGERPRINT]


def test_every_primary_key_of_a_file_counts():
    assert fingerprints(BINARY + BINARY) == [FINGERPRINT] * 2
    assert fingerprints(ARMOURED + ARMOURED) == [FINGERPRINT] * 2


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", BINARY[:40], BINARY[1:], b"\x98", b"\xc6\xff\x00", ARMOURED.replace(b"mDME", b"m!ME")],
)
def test_what_is_no_key_file_is_an_error(data):
    with pytest.raises(ValueError, match=r"key|packet|Armor|EOF"):
        fingerprints(data)


def test_a_key_file_with_another_key_than_the_pinned_one_stops_the_run(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "pad.asc").write_bytes(ARMOURED)
    check_keys(source("pad.asc"), tmp_path)
    with pytest.raises(MismatchError) as caught:
        check_keys(source("pad.asc", "0" * 40), tmp_path)
    assert FINGERPRINT in caught.value.message
    assert "0" * 40 in caught.value.message


def test_a_key_file_with_a_second_key_in_it_stops_the_run(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "pad.asc").write_bytes(ARMOURED + ARMOURED)
    with pytest.raises(MismatchError):
        check_keys(source("pad.asc"), tmp_path)


def test_a_missing_key_file_is_named(tmp_path):
    with pytest.raises(ArtifactError, match=r"pad\.asc"):
        check_keys(source("pad.asc"), tmp_path)


def test_a_key_that_the_host_fetches_need_not_be_shipped_and_is_checked_where_it_is(tmp_path):
    fetched = source("pad.asc", "0" * 40).model_dump()
    fetched["repositories"][0]["key_url"] = "https://x.example/key.asc"
    check_keys(AptSource.model_validate(fetched), tmp_path)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "pad.asc").write_bytes(ARMOURED)
    with pytest.raises(MismatchError):
        check_keys(AptSource.model_validate(fetched), tmp_path)


def test_the_keys_that_our_roles_ship_are_the_ones_that_they_pin():
    catalog, _ = load_catalog([ROLES])
    for entry in catalog.values():
        for release in entry.definition.releases:
            for offered in release.sources:
                if isinstance(offered, AptSource):
                    check_keys(offered, entry.role_dir)


@pytest.mark.parametrize(
    ("suite", "address"),
    [("stable", "apt https://x.example/apt/dists/stable/"), ("stable/", "apt https://x.example/apt/stable/")],
)
def test_flat_repositories_are_asked_where_their_release_file_is(suite, address):
    flat = source("pad.asc").model_dump()
    flat["repositories"][0]["suite"] = suite
    assert repository_addresses(AptSource.model_validate(flat)) == [address]
