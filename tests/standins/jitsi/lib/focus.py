"""Stand-in for jicofo: reads jicofo.conf, logs in to the real Prosody, opens rooms there when jicofo would.

What it follows: jicofo, ConferenceIqHandler.kt, XMPPDomainAuthAuthority.java, ktor/Application.kt, reference.conf.
"""

import json
import secrets
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from xml.sax.saxutils import quoteattr

from hocon import parse
from log import info
from web import serve
from xmpp import Client

NS = "http://jitsi.org/protocol/focus"
NOT_AUTHORIZED = "<error type='auth'><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
NOT_ACCEPTABLE = "<error type='modify'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"


class Focus:
    """The leader of the meetings."""

    def __init__(self, conf: dict[str, object]) -> None:
        self.conf = {key.removeprefix("jicofo."): value for key, value in conf.items()}
        self.rooms: dict[str, float] = {}
        self.sessions: dict[str, str] = {}
        self.client: Client | None = None

    def get(self, key: str, default: object = None) -> object:
        return self.conf.get(key, default)

    def connect(self) -> None:
        while True:
            try:
                self.client = Client(
                    str(self.get("xmpp.client.hostname", "localhost")),
                    int(str(self.get("xmpp.client.port", 5222))),
                    str(self.get("xmpp.client.domain")),
                    str(self.get("xmpp.client.username", "focus")),
                    str(self.get("xmpp.client.password")),
                    str(self.get("xmpp.client.username", "focus")),
                )
                self.client.on_iq = self.on_iq
                reader = threading.Thread(target=self.client.run, daemon=True)
                reader.start()
                self.client.join(str(self.get("bridge.brewery-jid")).lower(), "focus")
                reader.join()
            except (OSError, ElementTree.ParseError) as error:
                print(f"no connection: {error}", flush=True)
            self.client = None
            time.sleep(2)

    def on_iq(self, element: ElementTree.Element) -> str:
        wish = element.find(f"{{{NS}}}conference")
        if wish is None:
            return ""
        # mod_client_proxy puts the sender into the resource of its own address.
        sender = (element.get("from") or "").partition("/")[2]
        return self.request(sender, dict(wish.attrib))

    def request(self, sender: str, wish: dict[str, str]) -> str:
        room = wish.get("room", "")
        session = wish.get("session-id", "")
        info(f"Focus request for room {room} from {sender}")
        needed = bool(self.get("authentication.enabled", False)) and self.get("authentication.type") == "XMPP"
        extra = ""
        if needed:
            if session and session not in self.sessions:
                return NOT_ACCEPTABLE
            host = sender.partition("/")[0].rpartition("@")[2]
            if not session and host == self.get("authentication.login-url"):
                if not wish.get("machine-uid"):
                    return NOT_ACCEPTABLE
                session = secrets.token_hex(16)
                self.sessions[session] = sender
            if session:
                extra = f" session-id={quoteattr(session)} identity={quoteattr(self.sessions[session])}"
            if room not in self.rooms and not session:
                return NOT_AUTHORIZED
        ready = room in self.rooms or bool(self.client and self.client.join(room, "focus"))
        if ready and room not in self.rooms:
            self.rooms[room] = time.monotonic()
            threading.Timer(15.0, self.leave, [room]).start()
        return f"<conference xmlns='{NS}' room={quoteattr(room)} ready='{str(ready).lower()}'{extra}/>"

    def leave(self, room: str) -> None:
        """A room to which nobody comes ends (conference.initial-timeout); that somebody came is not looked at here."""
        if self.rooms.pop(room, None) and self.client:
            self.client.leave(room, "focus")

    def http_request(self, body: bytes, _: dict[str, str]) -> tuple[int, object]:
        """As upstream: a token is not looked at here."""
        wish = json.loads(body)
        answer = ElementTree.fromstring(self.request("", {"room": wish["room"]}))
        if answer.tag == "error":
            return 403, ""
        return 200, {"ready": answer.get("ready") == "true", "room": wish["room"]}

    def serve(self) -> None:
        def health(*_: object) -> tuple[int, object]:
            return (200, "OK") if self.client else (503, "no connection")

        def stats(*_: object) -> tuple[int, object]:
            return 200, {
                "conferences": len(self.rooms),
                "participants": 0,
                "bridge_selector": {"bridge_count": 1},
            }

        table = {("GET", "/about/version"): lambda *_: (200, {"name": "stand-in"}), ("GET", "/stats"): stats}
        if self.get("health.enabled", False):
            table["GET", "/about/health"] = health
        if self.get("rest.conference-request.enabled", True):
            table["POST", "/conference-request/v1"] = self.http_request
        serve(str(self.get("rest.host", "127.0.0.1")), int(str(self.get("rest.port", 8888))), table)


if __name__ == "__main__":
    focus = Focus(parse(Path(sys.argv[1]).read_text()))
    focus.serve()
    focus.connect()
