"""A release on the loopback address, its faults included, and a small model in it that a package has left out."""

from __future__ import annotations

import hashlib
import json
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from model_cases import small_card, weights_for

from LAScarSegLib.models import fetchable
from LAScarSegLib.models import store as stores
from LAScarSegLib.models.bundle import read_bundle, write_bundle
from LAScarSegLib.models.fetchable import FetchableModel, fetchable_json

TERMS = "Research only, in a test."
LICENCE = b"The whole licence of the test's weights."
Answer = Callable[[BaseHTTPRequestHandler], None]


_watching: list[list[str]] = []
_CONNECTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")


def _watch(event: str, _: object) -> None:
    if event in _CONNECTS:
        for opened in _watching:
            opened.append(event)


# Python's own audit; a hook can't be taken away again, so it is made once.
sys.addaudithook(_watch)


@contextmanager
def connections() -> Iterator[list[str]]:
    """Every connection that Python code opens meanwhile, and every question to a name server."""
    opened: list[str] = []
    _watching.append(opened)
    try:
        yield opened
    finally:
        _watching.remove(opened)


@dataclass
class Release:
    """The server: what it gives away, what it was asked for, and (`answer`) what it does instead of giving the file."""

    model: FetchableModel
    content: bytes
    port: int = 0
    asked: list[str] = field(default_factory=list)
    answer: Answer | None = None

    def give(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(self.content)))
        handler.end_headers()
        handler.wfile.write(self.content)


def make_release(folder: Path, monkeypatch, **changes) -> Release:
    """The model's ZIP, and a package below `folder` that only lists it; the user's store is empty."""
    card = small_card(name="small-cavity", terms=TERMS, **changes)
    path = write_bundle(card, weights_for(card) | {"LICENSE.txt": LICENCE}, folder / "small-cavity-1.0.zip").path
    content = path.read_bytes()
    model = FetchableModel.of(read_bundle(path), path.name, len(content), hashlib.sha256(content).hexdigest())
    path.unlink()
    (folder / "Resources").mkdir()
    (folder / "Resources" / fetchable.LIST_FILE).write_text(json.dumps(fetchable_json([model])))
    monkeypatch.setattr(stores, "RESOURCE_FOLDERS", (folder / "Resources",))
    monkeypatch.setenv(stores.STORE_VARIABLE, str(folder / "store"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    return Release(model, content)


@contextmanager
def serving(release: Release, monkeypatch, certificate: Path | None = None) -> Iterator[Release]:
    """The release at http://127.0.0.1:PORT/, or at https with a certificate; also a proxy that refuses to connect."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            release.asked.append(self.path)
            if self.path.startswith("/elsewhere/"):
                release.give(self)
            else:
                (release.answer or release.give)(self)

        def do_CONNECT(self) -> None:
            release.asked.append(self.path)
            release.answer(self)

        def log_message(self, *_: object) -> None:
            """Nobody wants to read it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    release.port = server.server_address[1]
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    monkeypatch.setattr(fetchable, "RELEASE_ADDRESS", f"{'https' if certificate else 'http'}://127.0.0.1:{release.port}/")
    try:
        yield release
    finally:
        server.shutdown()
        server.server_close()


def left_in_store(folder: Path) -> list[str]:
    """Everything in the user's store, hidden files too."""
    return sorted(path.name for path in (folder / "store").glob("*")) if (folder / "store").exists() else []
