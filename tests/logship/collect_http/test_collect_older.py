"""A GET of what retention took from the journal: the viewer gives it out of the lake, over its socket in the store."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import socket
import stat
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

from logship.collect import older as older_module
from logship.collect import sealed
from logship.collect.commit import Bounds
from logship.collect.folder import SOCKET, socket_path
from logship.collect.older import Older
from logship.collect.retention import Policy
from logship.collect.store import Settings
from logship.lake.folder import LAKE
from logship.lake.keep import Policy as LakePolicy
from logship.values import StreamPath
from logship.view.back_door import BackDoor
from logship.wire import Code, Refusal
from tests.logship.collect_http.live import Inside, Reply, inside
from tests.logship.lake.lakes import seal
from tests.logship.view.viewing import Viewer, eventually

APP = "/v1/stream/web/1/app/i"
LAST = b", but in the journal\n"
"""What the journal has, or had last."""
OCTETS = {"Content-Type": "application/octet-stream"}
PATIENCE_SECONDS = 300
SETTINGS = Settings(
    bounds=Bounds(disk_free_min=0, segment_bytes_max=4096), policy=Policy(journal_bytes=1, sealed_bytes=0)
)


def patiently(work: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine, which starts processes and waits for them, but not for ever."""
    asyncio.run(asyncio.wait_for(work, PATIENCE_SECONDS))


def door_open(store: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, socket_path(store) as name:
        try:
            probe.connect(name)
        except OSError:
            return False
        return True


@contextlib.asynccontextmanager
async def sealed_away(folder: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Inside, bytes]]:
    """A collector whose journal has lost nearly all of a stream to the lake; what was appended."""
    patch.setattr(sealed, "GRACE_MS", 0)
    patch.setattr(older_module, "ANSWER_SECONDS", PATIENCE_SECONDS)
    async with inside(folder, settings=SETTINGS) as collector:
        assert (await collector.ask("PUT", APP, OCTETS)).status == 201
        written = b""
        for number in range(8):
            data = b"%d \xff\r\n\n%s" % (number, b"x" * 3000)  # a line goes over each seam
            assert (await collector.ask("POST", APP, OCTETS, data)).status == 204
            written += data
        await collector.ask("POST", APP, OCTETS, b"\nno end")
        await others(collector, 2)
        await asyncio.to_thread(seal, folder / "store")
        assert await collector.store.retain() > 2
        await collector.ask("POST", APP, OCTETS, LAST)
        yield collector, written + b"\nno end" + LAST


async def others(collector: Inside, count: int) -> None:
    """Appends to another stream, each of more than a segment."""
    await collector.ask("PUT", "/v1/stream/other", OCTETS)
    for _ in range(count):
        assert (await collector.ask("POST", "/v1/stream/other", OCTETS, bytes(5000) + b"\n")).status == 204


async def pushed_out(collector: Inside, store: Path) -> None:
    """Others' appends, until nothing of the first stream is in the journal."""
    for _ in range(3):
        await others(collector, 1)
        await asyncio.to_thread(seal, store)
        await collector.store.retain()


def journal_begins(collector: Inside, written: bytes) -> int:
    """The first byte of the stream that the journal has."""
    return collector.store._index.first_offset("web/1/app/i", len(written))


async def whole(collector: Inside, offset: str = "-1") -> bytes:
    """A stream as any client reads it."""
    found = b""
    while True:
        reply = await collector.ask("GET", f"{APP}?offset={offset}")
        assert reply.status == 200, reply.body
        found += reply.body
        offset = reply.headers["stream-next-offset"]
        if reply.headers.get("stream-up-to-date"):
            return found


def test_a_stream_is_read_from_its_beginning_though_the_journal_has_lost_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = Viewer(tmp_path / "store")

    async def work() -> None:
        async with sealed_away(tmp_path, monkeypatch) as (collector, written):
            await asyncio.to_thread(viewer.start)
            await asyncio.to_thread(eventually, lambda: door_open(tmp_path / "store"), "the viewer has its socket")
            assert await whole(collector) == written
            for at in (0, 1, 2999, 3007, 10_000, len(written) - 5, len(written)):
                assert await whole(collector, f"{at:020}") == written[at:]
            look = await collector.ask("HEAD", APP)
            assert look.headers.get("logship-first-offset", "0") == "0"
            listed = json.loads((await collector.ask("GET", "/v1/streams?prefix=web/")).body)
            assert (listed["first_offset"], listed["next_offset"]) == (0, len(written))
            # Who has the bytes is told so; closed, and with nothing left in the journal, it is the same stream.
            first = await collector.ask("GET", f"{APP}?offset=-1")
            assert (
                await collector.ask("GET", f"{APP}?offset=-1", {"If-None-Match": first.headers["etag"]})
            ).status == 304
            await collector.ask("POST", APP, {"Stream-Closed": "true"})
            await pushed_out(collector, tmp_path / "store")
            assert journal_begins(collector, written) == len(written)
            look = await collector.ask("HEAD", APP)
            assert look.headers["stream-tail-digest"] == tail_digest(LAST), "a shipper that starts has its proof"
            assert await whole(collector) == written
            last = await collector.ask("GET", f"{APP}?offset={len(written):020}")
            assert (last.status, last.headers["stream-closed"]) == (200, "true")
            events = await collector.ask("GET", f"{APP}?offset=-1&live=sse")
            assert events.body.count(b"event: data") >= 1
            assert b'"streamClosed":true' in events.body

    try:
        patiently(work())
    finally:
        viewer.stop()
    assert not (tmp_path / "store" / SOCKET).exists(), "a viewer that ends in order leaves none behind"


def test_the_end_of_a_stream_that_only_the_lake_has_is_proved_without_a_viewer_and_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with sealed_away(tmp_path, monkeypatch) as (collector, written):
            await pushed_out(collector, tmp_path / "store")
            assert journal_begins(collector, written) == len(written)
            look = await collector.ask("HEAD", APP)
            assert look.headers["stream-tail-digest"] == tail_digest(LAST)
        async with inside(tmp_path, settings=SETTINGS) as again:
            look = await again.ask("HEAD", APP)
            assert look.headers["stream-tail-digest"] == tail_digest(LAST)
            await pushed_out(again, tmp_path / "store")
        async with inside(tmp_path, settings=SETTINGS) as later:
            look = await later.ask("HEAD", APP)
            assert look.headers["stream-tail-digest"] == tail_digest(LAST)
            await later.ask("POST", APP, OCTETS, b"more")
            look = await later.ask("HEAD", APP)
            assert look.headers["stream-tail-digest"] == tail_digest(b"more"), "what the journal has"

    patiently(work())


@pytest.mark.parametrize("how", ["cannot be read", "is missing", "is another store's"])
def test_a_lake_that_is_out_of_sight_makes_no_tombstones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    manifest = tmp_path / "store" / LAKE / "manifest.json"

    async def work() -> None:
        async with sealed_away(tmp_path, monkeypatch) as (collector, written):
            await collector.ask("POST", APP, {"Stream-Closed": "true"})
            await pushed_out(collector, tmp_path / "store")
            assert journal_begins(collector, written) == len(written)
        good = manifest.read_bytes()
        if how == "is missing":
            manifest.unlink()
        elif how == "cannot be read":
            manifest.write_bytes(b"this is none")
        else:
            manifest.write_text(json.dumps({**json.loads(good), "sealed_end": 1 << 40}))
        async with inside(tmp_path, settings=SETTINGS) as again:
            await again.store.retain()
            manifest.write_bytes(good)
            await again.store.retain()
            look = await again.ask("HEAD", APP)
            assert (look.status, look.headers["stream-next-offset"]) == (200, f"{len(written):020}")
            listed = json.loads((await again.ask("GET", "/v1/streams?prefix=web/")).body)
            assert not listed["retired"]

    patiently(work())


def test_on_a_full_disk_no_segment_goes_before_the_ends_that_go_with_it_are_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with sealed_away(tmp_path, monkeypatch) as (collector, _):
            for _ in range(2):
                await others(collector, 1)
            await asyncio.to_thread(seal, tmp_path / "store")
            with monkeypatch.context() as patch:
                patch.setattr(collector.store._disk, "free_bytes", lambda: 0)
                assert await collector.store.retain() == 0
            assert await collector.store.retain() > 0
            assert (await collector.ask("HEAD", APP)).headers["stream-tail-digest"] == tail_digest(LAST)

    patiently(work())


def tail_digest(written: bytes) -> str:
    """As HEAD says it of these bytes, the last 4,096 of them at most."""
    tail = written[-4096:]
    return f"sha-256=:{base64.b64encode(hashlib.sha256(tail).digest()).decode()}:; bytes={len(tail)}"


def refused(reply: Reply) -> tuple[int, str | None]:
    return reply.status, reply.code


def test_what_the_lake_has_not_is_410_what_is_damaged_500_and_without_a_viewer_503(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = Viewer(tmp_path / "store")

    async def work() -> None:
        async with sealed_away(tmp_path, monkeypatch) as (collector, written):
            reply = await collector.ask("GET", f"{APP}?offset=-1")
            assert (*refused(reply), reply.headers["retry-after"]) == (503, "no-viewer", "5")
            assert b"logship view" in reply.body
            begins = journal_begins(collector, written)
            assert await whole(collector, f"{begins:020}") == written[begins:], "what is here needs no viewer"
            assert (await collector.ask("HEAD", APP)).headers["stream-tail-digest"]

            await asyncio.to_thread(viewer.start)
            await asyncio.to_thread(eventually, lambda: door_open(tmp_path / "store"), "the viewer has its socket")
            assert stat.S_IMODE((tmp_path / "store" / SOCKET).stat().st_mode) == 0o660
            files = sorted((tmp_path / "store" / LAKE).rglob("*.parquet"))
            files[1].write_bytes(files[1].read_bytes()[:-1] + b"?")
            first = await collector.ask("GET", f"{APP}?offset=-1")
            damaged = int(first.headers["stream-next-offset"])
            assert (first.body, "stream-up-to-date" in first.headers) == (written[:damaged], False)
            reply = await collector.ask("GET", f"{APP}?offset={damaged:020}")
            assert refused(reply) == (500, "damaged")
            behind = int(reply.headers["stream-damage-end"])
            assert await whole(collector, f"{behind:020}") == written[behind:]

            size = sum(path.stat().st_size for path in (tmp_path / "store").glob("lake/day=*/*"))
            await asyncio.to_thread(seal, tmp_path / "store", LakePolicy(bytes=size * 3 // 5))
            reply = await collector.ask("GET", f"{APP}?offset={0:020}")  # before collect has looked at the lake again
            first_kept = reply.headers["logship-first-offset"]
            assert refused(reply) == (410, "retired")
            assert behind <= int(first_kept) < begins
            await collector.store.is_due()
            reply = await collector.ask("GET", f"{APP}?offset={3:020}")
            assert (*refused(reply), reply.headers["logship-first-offset"]) == (410, "retired", first_kept)
            assert await whole(collector) == written[int(first_kept) :]

            await asyncio.to_thread(viewer.stop, 9)
            assert (tmp_path / "store" / SOCKET).exists()
            assert refused(await collector.ask("GET", f"{APP}?offset=-1")) == (503, "no-viewer")
            await asyncio.to_thread(viewer.start)
            await asyncio.to_thread(eventually, lambda: door_open(tmp_path / "store"), "what was left is replaced")
            assert await whole(collector) == written[int(first_kept) :]

    try:
        patiently(work())
    finally:
        viewer.stop()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"this is no HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + b"x" * 11,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
        b'HTTP/1.1 503 no\r\nContent-Length: 34\r\n\r\n{"error": "reading", "text": "50%"}',
        b"HTTP/1.1 404 no\r\nContent-Length: 2\r\n\r\n[]",
        b'HTTP/1.1 410 no\r\nContent-Length: 35\r\n\r\n{"error": "not-kept", "text": "???"}',
        None,
    ],
)
def test_a_viewer_that_answers_nonsense_late_or_in_part_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes | None
) -> None:
    monkeypatch.setattr(older_module, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(older_module, "_REFUSAL_BYTES_MAX", 0 if answer and answer.endswith(b"x") else 65_536)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await asyncio.sleep(60)
        else:
            writer.write(answer)
        writer.close()

    async def work() -> None:
        with socket_path(tmp_path) as name:
            server = await asyncio.start_unix_server(serve, name)
        found = await Older(tmp_path).read(StreamPath("a"), 5, 15)
        assert isinstance(found, Refusal)
        assert (found.code, "at 5" in found.reason, "\n" in found.reason) == (Code.NO_VIEWER, True, False)
        server.close()

    patiently(work())


def test_one_viewer_a_store_has_the_socket_and_the_next_one_takes_it_over(tmp_path: Path) -> None:
    store = tmp_path / ("a folder of a very long name " * 5)

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def serve(listener: socket.socket) -> asyncio.AbstractServer:
        return await asyncio.start_unix_server(answer, sock=listener)

    async def work() -> None:
        one, other = BackDoor(store, serve), BackDoor(store, serve)
        with pytest.raises(FileNotFoundError):
            await one.look()
        store.mkdir()
        assert [await one.look(), await other.look(), await one.look()] == [True, False, True]
        one.close()
        assert not (store / SOCKET).exists()
        assert [await other.look(), await one.look()] == [True, False]
        (store / SOCKET).unlink()
        assert await other.look(), "somebody has removed it, or put another store here"
        assert door_open(store)
        (store / SOCKET).unlink()
        assert await one.look()
        other.close()
        assert door_open(store), "what is another's stays"
        one.close()
        with socket.socket(socket.AF_UNIX) as left, socket_path(store) as name:
            left.bind(name)
        assert await other.look(), "nobody listens to it: it was left by a kill"
        other.close()
        assert list(store.iterdir()) == []

    patiently(work())
