"""Packs the stand-in for Moodle into an archive of upstream's name: `pack.py VERSION DIRECTORY` prints its path."""

import hashlib
import io
import sys
import tarfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
#: Numbers of version.php.
NUMBERS = {"4.5.6": "2024100706.00", "5.1.3": "2025100603.00", "5.2.2": "2026042002.00"}
#: What lies about in Moodle's tree and is not for browsers (its own check of public paths asks for these).
PRIVATE = (
    "composer.json",
    "composer.lock",
    "UPGRADING.md",
    "phpunit.xml.dist",
    ".stylelintrc",
    "admin/environment.xml",
    "lib/db/install.xml",
    "lib/upgrade.txt",
    "mod/assign/db/install.xml",
    "mod/resource/readme.txt",
    "mod/README.txt",
    "mod/book/README.md",
    "auth/manual/upgrade.txt",
    "reportbuilder/UPGRADING.md",
    "privacy/tests/fixtures/logo.png",
    "enrol/lti/tests/fixtures/input.xml",
    "blog/tests/behat/delete.feature",
    "mod/chat/README.txt",
    "node_modules/cli/cli.js",
)
#: Programs there that are not for browsers either; each would say so.
CLOSED = (
    "admin/swaggerui.php",
    "lib/classes/component.php",
    "lib/classes/task/manager.php",
    "lib/tests/behat/behat_hooks.php",
    "lib/tests/other/chartjstestpage.php",
)
PUBLIC_CONFIG = "<?php\nrequire_once __DIR__ . '/../config.php';\n"
ROOT_SETUP = "<?php\nrequire_once dirname(__DIR__) . '/public/lib/setup.php';\n"


def pack(version: str, directory: Path) -> Path:
    """Makes `moodle-VERSION.tgz` in a directory, a language pack for it, and lines of `SHA256SUMS` for both.

    Args:
        version: one of NUMBERS; from 5.1 on with a directory `public` of its own, as upstream's.
        directory: is made when it is missing.
    """
    split = tuple(map(int, version.split("."))) >= (5, 1)
    web = "public/" if split else ""
    files = {
        f"{web}{path.relative_to(HERE / 'web')}": path.read_bytes()
        for path in (HERE / "web").rglob("*.*")
        if path.is_file()
    }
    files |= {f"admin/cli/{path.name}": path.read_bytes() for path in (HERE / "cli").glob("*.php")}
    files |= {f"{web}{name}": b"not for browsers\n" for name in (*PRIVATE, *CLOSED)}
    number = NUMBERS[version]
    release = f"<?php\n$version  = {number};\n$release  = '{version} (stand-in)';\n"
    files[f"{web}version.php"] = release.encode()
    files["STAND-IN"] = b"not Moodle: tests/standins/moodle\n"
    if split:
        files |= {"public/config.php": PUBLIC_CONFIG.encode(), "lib/setup.php": ROOT_SETUP.encode()}
    directory.mkdir(parents=True, exist_ok=True)
    archive = directory / f"moodle-{version}.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name in sorted(files):
            entry = tarfile.TarInfo(f"moodle/{name}")
            entry.size = len(files[name])
            tar.addfile(entry, io.BytesIO(files[name]))
    language = directory / f"moodle-langpack-{version.rpartition('.')[0]}-ca.zip"
    with zipfile.ZipFile(language, "w") as made:
        made.writestr(zipfile.ZipInfo("ca/langconfig.php"), "<?php\n$string['thislanguage'] = 'Català';\n")
    # One line in one go: two of these programs may be at it at once.
    for file in (archive, language):
        with (directory / "SHA256SUMS").open("a") as sums:
            sums.write(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n")
    return archive


if __name__ == "__main__":
    print(pack(sys.argv[1], Path(sys.argv[2])))
