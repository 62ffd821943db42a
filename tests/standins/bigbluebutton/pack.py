"""Packs the stand-in for upstream's installer: one shell script with what it installs inside.

pack.py RELEASE DIRECTORY writes bbb-install-3.0.sh, which brings a BigBlueButton that calls itself RELEASE, and
its line of SHA256SUMS. dress.sh makes a Debian server call itself Ubuntu 22.04.
"""

import base64
import hashlib
import io
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).parent
#: Where each file comes to lie, and with what mode.
PLACES = {
    "bbb-conf": ("usr/bin/bbb-conf", 0o755),
    "standin-bbb-web": ("usr/share/bbb-web/standin-bbb-web", 0o755),
    "bigbluebutton.properties": ("usr/share/bbb-web/WEB-INF/classes/bigbluebutton.properties", 0o644),
    "turn-stun-servers.xml": ("usr/share/bbb-web/WEB-INF/classes/spring/turn-stun-servers.xml", 0o644),
    "bbb-apps-akka.conf": ("etc/bigbluebutton/bbb-apps-akka.conf", 0o644),
    "vars.xml": ("opt/freeswitch/etc/freeswitch/vars.xml", 0o644),
    "sfu-default.yml": ("usr/local/bigbluebutton/bbb-webrtc-sfu/config/default.yml", 0o644),
    "switch.conf.xml": ("opt/freeswitch/etc/freeswitch/autoload_configs/switch.conf.xml", 0o644),
    "web.nginx": ("usr/share/bigbluebutton/nginx/web.nginx", 0o644),
    "include_default.nginx": ("etc/bigbluebutton/nginx/include_default.nginx", 0o644),
}
#: Parts of BigBlueButton that only run here.
UNITS = {
    "bbb-web": "User=bigbluebutton\nExecStart=/usr/bin/python3 /usr/share/bbb-web/standin-bbb-web",
    "bbb-apps-akka": "User=bigbluebutton\nExecStart=/bin/sleep infinity",
    "bbb-webrtc-sfu": "User=bigbluebutton\nExecStart=/bin/sleep infinity",
    "freeswitch": "User=freeswitch\nExecStart=/usr/bin/python3 -m http.server --directory /opt/freeswitch 5066",
}


def unit(name: str, service: str) -> str:
    """A unit that starts and stops with bigbluebutton.target, as upstream's do."""
    return (
        f"[Unit]\nDescription=Stand-in for {name}\nPartOf=bigbluebutton.target\n\n"
        f"[Service]\n{service}\nRestart=on-failure\n\n[Install]\nWantedBy=bigbluebutton.target\n"
    )


def payload(release: str) -> bytes:
    """The files, as a compressed tar archive."""
    files = {place: ((HERE / "files" / name).read_text(), mode) for name, (place, mode) in PLACES.items()}
    files["etc/bigbluebutton/bigbluebutton-release"] = (f"BIGBLUEBUTTON_RELEASE={release}\n", 0o644)
    files["usr/share/bbb-web/STAND-IN"] = ("This is no BigBlueButton.\n", 0o644)
    for name, service in UNITS.items():
        files[f"usr/lib/systemd/system/{name}.service"] = (unit(name, service), 0o644)
    files["usr/lib/systemd/system/bigbluebutton.target"] = (
        "[Unit]\nDescription=Stand-in for BigBlueButton\n\n[Install]\nWantedBy=multi-user.target\n",
        0o644,
    )
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for place, (text, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(place)
            entry.size, entry.mode = len(text.encode()), mode
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def pack(release: str, directory: Path) -> Path:
    """Write the script and its checksum; returns the script."""
    script = (HERE / "files/bbb-install.sh").read_text() + base64.encodebytes(payload(release)).decode()
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "bbb-install-3.0.sh"
    file.write_text(script)
    digest = hashlib.sha256(script.encode()).hexdigest()
    (directory / "SHA256SUMS").write_text(f"{digest}  {file.name}\n")
    return file


if __name__ == "__main__":
    pack(sys.argv[1], Path(sys.argv[2]))
