"""A small HTTP server: a table of paths, each with a function that gives status and content."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]


def serve(
    host: str, port: int, table: dict[tuple[str, str], Callable[[bytes, dict[str, str]], Answer]]
) -> None:
    """Serves in the background."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            function = table.get((self.command, self.path.partition("?")[0]))
            status, content = function(body, dict(self.headers)) if function else (404, "")
            data = (content if isinstance(content, str) else json.dumps(content)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_OPTIONS = handle_any  # noqa: N815 - http.server calls them so

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((host, port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
