"""Which parts provision-probe loads, whoever starts it and from where. Files are planted: for the scenario alone."""

import json

import pytest

PROBE, ACCOUNT = "/usr/local/sbin/provision-probe", "provision-health"
COMPILED = "/usr/local/lib/provision_probe/__pycache__"
PLANTED, OWNED = "/run/planted", "/tmp/provision-probe-owned"


def parts(host, command):
    """What is answered, by part."""
    return json.loads(host.check_output(f"echo '{{}}' | {command}"))["parts"]


def as_account(host, before=""):
    return parts(host, f"runuser -u {ACCOUNT} -- {before} {PROBE} ask")


@pytest.fixture(name="_planted")
def _others(host):
    """Other modules of the same names, in a folder that everybody may enter."""
    folder = f"{PLANTED}/provision_probe"
    host.check_output(
        f"mkdir -p {folder} && echo \"open('{OWNED}', 'w')\" > {folder}/__init__.py && "
        f"cp {folder}/__init__.py {PLANTED}/json.py && chmod -R a+rX {PLANTED}"
    )
    yield
    host.check_output(f"rm -rf {PLANTED} {OWNED}")


def test_what_root_keeps_compiled_is_roots_and_readable_however_tight_its_mask_is(host):
    host.check_output(f"rm -rf {COMPILED}")
    parts(host, f"sh -c 'umask 077; exec {PROBE} ask'")
    folder = host.file(COMPILED)
    assert (folder.user, folder.group, folder.mode) == ("root", "root", 0o755)
    assert len(folder.listdir()) == 8
    assert host.check_output(f"find {COMPILED} -type f ! -perm 0644") == ""


def test_who_cannot_read_what_is_compiled_is_answered_all_the_same(host):
    host.check_output(f"chmod 0700 {COMPILED}")
    told = as_account(host)
    assert "value" in told["system"] and "value" in told["disks"], told
    host.check_output(f"chmod 0755 {COMPILED}")
    assert as_account(host).keys() == told.keys()
    assert host.check_output(f"find {COMPILED} ! -user root") == ""


def test_nothing_of_the_caller_says_which_parts_are_loaded(host, _planted):
    before = f"env -C {PLANTED} PYTHONPATH={PLANTED} PYTHONHOME={PLANTED} PYTHONPYCACHEPREFIX={PLANTED}"
    for told in (as_account(host, before), parts(host, f"{before} {PROBE} ask")):
        assert "value" in told["disks"], told
    assert not host.file(OWNED).exists
