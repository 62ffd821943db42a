"""Stand-in for jitsi-videobridge: reads jvb.conf, logs in to the real Prosody, answers where the bridge answers.

It carries no picture and no sound. Tests write into MEETINGS how many it says that it carries.
What it follows: jitsi-videobridge, reference.conf, rest/root/Application.java, rest/root/colibri/stats/Stats.java.
"""

import json
import socket
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from hocon import parse
from web import serve
from xmpp import Client

MEETINGS = Path("/run/jitsi-stand-in.json")


class Bridge:
    """The carrier of picture and sound, without them."""

    def __init__(self, conf: dict[str, object]) -> None:
        self.conf = conf
        self.client: Client | None = None

    def get(self, key: str, default: object = None) -> object:
        return self.conf.get(f"videobridge.{key}", default)

    def connect(self) -> None:
        shard = "apis.xmpp-client.configs.shard."
        while True:
            try:
                self.client = Client(
                    str(self.get(shard + "HOSTNAME")),
                    5222,
                    str(self.get(shard + "DOMAIN")),
                    str(self.get(shard + "USERNAME")),
                    str(self.get(shard + "PASSWORD")),
                    "bridge",
                )
                reader = threading.Thread(target=self.client.run, daemon=True)
                reader.start()
                self.client.join(
                    str(self.get(shard + "MUC_JIDS")).lower(), str(self.get(shard + "MUC_NICKNAME"))
                )
                reader.join()
            except (OSError, ElementTree.ParseError) as error:
                print(f"no connection: {error}", flush=True)
            self.client = None
            time.sleep(2)

    def serve(self) -> None:
        media = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        media.bind(("", int(str(self.get("ice.udp.port", 10000)))))
        self.media = media

        def health(*_: object) -> tuple[int, object]:
            if self.get("health.require-valid-address", True) and not self.conf.get(
                "ice4j.harvest.mapping.static-mappings"
            ):
                return 500, "no valid address"
            return (200, "") if self.client else (503, "no connection")

        def stats(*_: object) -> tuple[int, object]:
            told = json.loads(MEETINGS.read_text()) if MEETINGS.is_file() else {}
            return 200, {"conferences": 0, "participants": 0, **told}

        table = {("GET", "/about/version"): lambda *_: (200, {"name": "stand-in"})}
        if self.get("rest.health.enabled", True):
            table["GET", "/about/health"] = health
        if self.get("apis.rest.enabled", False):
            table["GET", "/colibri/stats"] = stats
        serve(
            str(self.get("http-servers.private.host", "127.0.0.1")),
            int(str(self.get("http-servers.private.port", 8080))),
            table,
        )
        public = int(str(self.get("http-servers.public.port", 0)))
        if public > 0:
            serve(str(self.get("http-servers.public.host", "0.0.0.0")), public, {})


if __name__ == "__main__":
    bridge = Bridge(parse(Path(sys.argv[1]).read_text()))
    bridge.serve()
    bridge.connect()
