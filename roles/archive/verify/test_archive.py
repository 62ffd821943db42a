"""What the role archive promises, seen after an archive has come."""

from testinfra.host import Host


def test_what_was_in_the_archive_is_there_belongs_to_root_and_can_be_read_by_everybody(host: Host) -> None:
    for name in ("index.php", "lib/setup.php"):
        file = host.file(f"/opt/app/1.0.new/{name}")
        assert (file.content_string, file.user, file.group, file.mode) == ("<?php\n", "root", "root", 0o644)
    assert host.file("/opt/app/1.0.new/lib").mode == 0o755


def test_neither_the_archive_nor_the_program_stays(host: Host) -> None:
    assert host.run("ls /var/cache | grep provision-").stdout == ""
    assert not host.exists("provision-unpack")
