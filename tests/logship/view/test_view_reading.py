"""While the journal is still read the viewer says how far it is, and answers nothing wrong."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from logship.collect.journal import Frame
from logship.errors import Fault
from logship.reading import client as client_module
from logship.reading.client import RECORDS, Client
from logship.view import api as api_module
from logship.view.api import Api
from logship.view.journal_reader import Journal, Picture
from logship.view.run import Plan, application
from tests.logship.view.shelf import Shelf


class Slow(Journal):
    """A journal that is read to 43 % and not farther, until it may."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.may = threading.Event()

    def picture(self) -> Picture:
        assert self.may.wait(60)
        return super().picture()

    def share(self) -> float | None:
        return None if self.may.is_set() else 0.43


async def ask(app: Any, path: str) -> tuple[int, dict[str, str], bytes]:
    """One GET, without a server between."""
    name, _, query = path.partition("?")
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "path": name, "raw_path": name.encode(),
        "query_string": query.encode(), "headers": [(b"host", b"localhost")], "scheme": "http", "root_path": "",
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = {key.decode(): value.decode() for key, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


def test_everybody_is_told_how_far_the_reading_is_until_it_is_done(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_module, "PICTURE_SECONDS", 0.01)
    shelf.append("web/1/app/i", b"hello\n")
    journal = Slow(shelf.folder)
    api = Api(journal)
    app = application(Plan(shelf.folder, ""), api)

    async def story() -> None:
        for path in ("/api/logs", "/api/logs/live", "/api/sources", "/api/losses", "/v1/streams", "/v1/losses"):
            status, headers, body = await ask(app, path)
            assert (status, headers["retry-after"]) == (503, "1"), path
            assert json.loads(body) == {"error": "reading", "text": "reading the journal: 43%"}
        status, _, body = await ask(app, "/logs")
        assert status == 503
        assert b"reading the journal: 43%" in body
        assert b'http-equiv="refresh"' in body
        status, _, body = await ask(app, "/healthz")
        assert (status, json.loads(body)) == (200, {"ok": True, "reading": 0.43})
        journal.may.set()
        monkeypatch.setattr(api_module, "PICTURE_SECONDS", 60.0)
        while True:
            status, _, body = await ask(app, "/api/logs")
            if status == 200:
                break
            await asyncio.sleep(0.01)
        assert [json.loads(line)["type"] for line in body.splitlines()] == ["begin", "line", "cursor"]
        assert b"http-equiv" not in (await ask(app, "/logs"))[2]
        assert "cursor" in json.loads((await ask(app, "/healthz"))[2])

    api.warm()
    asyncio.run(story())


def test_the_share_follows_the_walk(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(100):
        shelf.append("web/1/app/i", b"x\n")
    journal = Journal(shelf.folder)
    shares: list[float | None] = []
    look = journal.body_of_losses

    def looked(frame: Frame) -> bytes:
        shares.append(journal.share())
        return look(frame)

    monkeypatch.setattr(journal, "body_of_losses", looked)
    assert journal.share() is None
    journal.picture()
    known = [share for share in shares if share is not None]
    assert len(known) == len(shares) == 101
    assert known == sorted(known)
    assert known[0] < 0.1
    assert known[-1] == 1.0
    assert journal.share() is None


@contextmanager
def answering(*answers: tuple[int, bytes], kind: str = RECORDS) -> Iterator[str]:
    """A server that gives these answers, the last one for ever, as being of that type."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


READING = (503, b'{"error":"reading","text":"reading the journal: 43%"}')


def test_commands_wait_for_it_and_say_so_once() -> None:
    told: list[str] = []
    waits: list[float] = []
    with answering(READING, READING, (200, b'{"type":"total"}\n')) as url:
        found = list(Client(url, told.append, waits.append).records("/api/losses"))
    assert found == [{"type": "total"}]
    assert told == ["the viewer is reading the journal: 43%; waiting for it"]
    assert len(waits) == 2


def test_commands_do_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "READING_TRIES_MAX", 3)
    with answering(READING) as url, pytest.raises(Fault) as caught:
        list(Client(url, pause=lambda _: None).records("/api/losses"))
    assert caught.value.status == client_module.UNREACHABLE
    assert "still reads the journal" in str(caught.value)
