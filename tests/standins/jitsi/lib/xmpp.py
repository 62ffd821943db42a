"""An XMPP client (RFC 6120) with what bridge and focus need: TLS, PLAIN, rooms, answers to questions."""

import base64
import secrets
import socket
import ssl
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from xml.sax.saxutils import quoteattr

CLIENT = "{jabber:client}"


class Client:
    """One stream. ``on_iq`` gets every question; its answer, XML text, is sent back."""

    def __init__(
        self, hostname: str, port: int, domain: str, name: str, password: str, resource: str
    ) -> None:
        self.domain, self.name, self.password, self.resource = domain, name, password, resource
        self.socket: socket.socket = socket.create_connection((hostname, port), timeout=20)
        self.parser = ElementTree.XMLPullParser(["start", "end"])
        self.depth = 0
        self.lock = threading.Lock()
        self.waiting: dict[str, tuple[threading.Event, list[ElementTree.Element]]] = {}
        self.on_iq: Callable[[ElementTree.Element], str] = lambda _: ""
        self.jid = ""
        self.login()

    def send(self, text: str) -> None:
        with self.lock:
            self.socket.sendall(text.encode())

    def stream(self) -> None:
        self.parser = ElementTree.XMLPullParser(["start", "end"])
        self.depth = 0
        self.send(
            f"<?xml version='1.0'?><stream:stream to={quoteattr(self.domain)} version='1.0' xmlns='jabber:client' "
            "xmlns:stream='http://etherx.jabber.org/streams'>"
        )

    def next(self) -> ElementTree.Element:
        """The next whole element of the stream."""
        while True:
            for event, element in self.parser.read_events():
                self.depth += 1 if event == "start" else -1
                if event == "end" and self.depth == 1:
                    return element
                if event == "end" and self.depth == 0:
                    raise ConnectionError("the stream was closed")
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("the connection was closed")
            self.parser.feed(data)

    def login(self) -> None:
        self.stream()
        self.next()
        self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        if not self.next().tag.endswith("proceed"):
            raise ConnectionError("no TLS")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket, server_hostname=self.domain)
        self.stream()
        self.next()
        plain = base64.b64encode(f"\0{self.name}\0{self.password}".encode()).decode()
        self.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>")
        if not self.next().tag.endswith("success"):
            raise PermissionError(f"{self.name}@{self.domain} was not let in")
        self.stream()
        self.next()
        bind = f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{self.resource}</resource></bind>"
        self.send(f"<iq type='set' id='bind'>{bind}</iq>")
        self.jid = "".join(self.next().itertext()).strip()
        self.send("<presence/>")

    def run(self) -> None:
        """Reads until the stream ends."""
        self.socket.settimeout(None)
        while True:
            element = self.next()
            waiting = self.waiting.pop(self.key(element), None)
            if waiting:
                waiting[1].append(element)
                waiting[0].set()
            elif element.tag == f"{CLIENT}iq" and element.get("type") in ("get", "set"):
                threading.Thread(target=self.answer, args=(element,), daemon=True).start()

    def key(self, element: ElementTree.Element) -> str:
        if element.tag == f"{CLIENT}presence":
            return "presence " + (element.get("from") or "")
        return "iq " + (element.get("id") or "")

    def answer(self, element: ElementTree.Element) -> None:
        attributes = f"to={quoteattr(element.get('from') or '')} id={quoteattr(element.get('id') or '')}"
        content = self.on_iq(element)
        kind = "error" if content.startswith("<error") else "result"
        self.send(f"<iq type='{kind}' {attributes}>{content}</iq>")

    def join(self, room: str, nick: str, seconds: float = 10.0) -> bool:
        """Goes into a room, which opens it where this account may; whether it is in."""
        event: tuple[threading.Event, list[ElementTree.Element]] = (threading.Event(), [])
        self.waiting[f"presence {room}/{nick}"] = event
        self.send(
            f"<presence to={quoteattr(f'{room}/{nick}')} id='{secrets.token_hex(4)}'>"
            "<x xmlns='http://jabber.org/protocol/muc'/></presence>"
        )
        return event[0].wait(seconds) and event[1][0].get("type") != "error"

    def leave(self, room: str, nick: str) -> None:
        self.send(f"<presence type='unavailable' to={quoteattr(f'{room}/{nick}')}/>")
