"""Packs the stand-in for Nextcloud into an archive of upstream's name: `pack.py VERSION DIRECTORY` prints its path."""

import io
import sys
import tarfile
from pathlib import Path

WEB = Path(__file__).parent / "web"
#: As upstream ships them.
APPS = (
    "activity", "admin_audit", "app_api", "bruteforcesettings", "circles", "dav", "federation", "files",
    "firstrunwizard", "nextcloud_announcements", "password_policy", "support", "survey_client",
    "updatenotification", "weather_status",
)  # fmt: skip
#: What upstream's tree has besides programs, as far as somebody asks for it.
FURTHER = {
    "config/CAN_INSTALL": "",
    "config/config.sample.php": "<?php $CONFIG = [];\n",
    "core/img/logo.svg": '<svg xmlns="http://www.w3.org/2000/svg"/>\n',
    "dist/core-common.js": "// stand-in\n",
    "dist/module.mjs": "export default 1;\n",
    "lib/versioncheck.php": "<?php // As upstream: a place for what PHP is too old or too new.\n",
    "robots.txt": "User-agent: *\nDisallow: /\n",
}


def version_php(version: str) -> str:
    """As upstream writes it: a release can be reached from the main release before it, and from its own."""
    major, minor, point = version.split(".")
    return f"""<?php
$OC_Version = array({major},{minor},{point},1);
$OC_VersionString = '{version}';
$OC_VersionCanBeUpgradedFrom = array (
  'nextcloud' =>
  array (
    '{int(major) - 1}.0' => true,
    '{major}.0' => true,
  ),
);
$OC_Build = 'stand-in';
$vendor = 'nextcloud';
"""


def pack(version: str, directory: Path) -> Path:
    """Makes `nextcloud-VERSION.tar.bz2` in a directory.

    Args:
        directory: is made when it is missing.
    """
    files = {str(path.relative_to(WEB)): path.read_bytes() for path in WEB.rglob("*") if path.is_file()}
    files |= {name: text.encode() for name, text in FURTHER.items()}
    files |= {f"apps/{name}/appinfo/info.xml": f"<info><id>{name}</id></info>\n".encode() for name in APPS}
    files["version.php"] = version_php(version).encode()
    directory.mkdir(parents=True, exist_ok=True)
    archive = directory / f"nextcloud-{version}.tar.bz2"
    with tarfile.open(archive, "w:bz2") as tar:
        for name in sorted(files):
            entry = tarfile.TarInfo(f"nextcloud/{name}")
            entry.size = len(files[name])
            tar.addfile(entry, io.BytesIO(files[name]))
    return archive


if __name__ == "__main__":
    print(pack(sys.argv[1], Path(sys.argv[2])))
