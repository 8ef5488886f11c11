"""What was appended is what GET and export give, wherever the bytes lie by now: journal, lake, or partly in both."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logship.collect import sealed
from logship.collect.commit import Bounds
from logship.collect.folder import SOCKET
from logship.collect.retention import Policy
from logship.collect.store import Settings
from logship.lake import bulk, exact, merging
from logship.reading import export
from logship.reading.client import Client
from logship.values import StreamPath
from logship.view import lines, window
from logship.view.api import Api
from logship.view.declared import Declaration
from logship.view.journal_reader import Journal
from logship.view.run import Plan, listening, server
from logship.wire import Append, Appended
from tests.logship.collect.shop import make, put
from tests.logship.collect_http.live import Inside, inside
from tests.logship.lake.lakes import seal

EXAMPLES = int(os.environ.get("LOGSHIP_TEST_ROUND_TRIPS", "12"))
PATIENCE_SECONDS = 600
LONG = 64
"""More than so many bytes are a long line here, which is cut."""
SETTINGS = Settings(
    bounds=Bounds(disk_free_min=0, segment_bytes_max=1200), policy=Policy(journal_bytes=1, sealed_bytes=0)
)
PATHS = [StreamPath("a/1/haproxy/i"), StreamPath("b/1/app/i"), StreamPath("foreign")]
KINDS = st.one_of(
    st.text("ab\n\r", min_size=1, max_size=80).map(str.encode),
    st.binary(min_size=1, max_size=80),
    st.sampled_from([
        b"\n", b"\n\n\n", b"\r\n", b"\r", b"\x00\n", b"\x00", b"caf\xc3", b"\xa9\n", b"\xff\xfe\r\n", b"no end",
        b"x" * 70, b"y" * 300 + b"\n", b"z" * 150, b'{"level": "info", "time": "2026-11-23T20:00:00Z"}\n',
    ]),
)  # fmt: skip
STEPS = st.lists(st.tuples(st.sampled_from(PATHS), KINDS, st.sampled_from(["", "", "", "seal"])), max_size=24)


@dataclass
class World:
    """A collector and a viewer of one store, in this process."""

    collector: Inside
    store: Path
    client: Client

    async def get(self, path: str, offset: str = "-1") -> bytes:
        """A stream, or the rest of it, as any client of the wire reads it."""
        found = b""
        while True:
            reply = await self.collector.ask("GET", f"/v1/stream/{path}?offset={offset}")
            assert reply.status == 200, reply.body
            found += reply.body
            offset = reply.headers["stream-next-offset"]
            if reply.headers.get("stream-up-to-date"):
                return found

    def raw(self) -> dict[str, bytes]:
        """What ``logship export --format raw`` gives of each stream."""
        found = {}
        for record in self.client.records("/v1/streams"):
            assert record is not None
            out = io.BytesIO()
            said = export.stream(self.client, record, out, lambda _: None)
            assert said.damages == []
            found[record["stream"]] = out.getvalue()
        return found

    def jsonl(self) -> dict[str, bytes]:
        """The same of its lines."""
        out = io.BytesIO()
        export.json_lines(self.client, [("n", "all"), ("bytes", "all")], out, lambda _: None)
        found: dict[str, bytes] = {}
        for record in map(json.loads, out.getvalue().splitlines()):
            assert record["type"] == "line", record
            assert record["offset"] == len(found.get(record["stream"], b""))
            data = base64.b64decode(record["base64"]) if "base64" in record else record["text"].encode()
            found[record["stream"]] = found.get(record["stream"], b"") + data + record["end"].encode()
        return found


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    store = folder / "store"
    async with inside(folder, settings=SETTINGS) as collector:
        with listening("127.0.0.1:0") as listener:
            port = listener.getsockname()[1]
            viewer = server(Plan(store, ""), Api(Journal(store), Declaration(None)))
            serving = asyncio.create_task(viewer.serve(sockets=[listener]))
            try:
                await collector.until((store / SOCKET).exists, "the viewer is there", PATIENCE_SECONDS)
                yield World(collector, store, Client(f"http://127.0.0.1:{port}"))
            finally:
                viewer.should_exit = True
                await serving


async def append_all(there: World, steps: list[Any]) -> dict[str, bytes]:
    """Append, seal and let go of what is sealed, as it comes; what was appended."""
    store, written = there.collector.store, dict[str, bytes]()
    for path, data, what in steps:
        if path not in written:
            await make(store, path)
        assert isinstance(await put(store, data, path), Appended)
        written[path] = written.get(path, b"") + data
        if what == "seal":
            seal(there.store)
            await store.retain()
    return written


async def let_go(there: World, written: dict[str, bytes]) -> None:
    """All streams end, everything is sealed, and the journal keeps as little as it can."""
    store = there.collector.store
    for path in written:
        await store.append(replace(Append(StreamPath(path), None), closes=True), b"")
    other = StreamPath("other")
    await make(store, other)
    for _ in range(2):
        await put(store, bytes(1300) + b"\n", other)
    written[other] = 2 * (bytes(1300) + b"\n")
    seal(there.store)
    assert await store.retain() > 0
    assert all(store._index.first_offset(path, len(written[path])) for path in written), "the journal has let go"


@settings(max_examples=EXAMPLES, deadline=None)
@given(STEPS, st.data())
def test_bytes_of_all_kinds_come_back_by_get_and_by_export_wherever_they_lie(
    steps: list[Any], data: st.DataObject
) -> None:
    folder = Path(tempfile.mkdtemp())
    patch = pytest.MonkeyPatch()
    for module in (lines, window, bulk, exact):
        patch.setattr(module, "LINE_BYTES_MAX", LONG)
    patch.setattr(exact, "STEP_BYTES", 200)
    patch.setattr(sealed, "GRACE_MS", 0)
    patch.setattr(merging, "FILES_MIN", 3)

    async def work() -> None:
        async with world(folder) as there:
            written = await append_all(there, steps)
            for path, content in written.items():
                assert await there.get(path) == content, "partly in the lake"
            await let_go(there, written)
            for path, content in written.items():
                assert await there.get(path) == content
                at = data.draw(st.integers(0, len(content)))
                assert await there.get(path, f"{at:020}") == content[at:]
            assert await asyncio.to_thread(there.raw) == written
            assert await asyncio.to_thread(there.jsonl) == written

    try:
        asyncio.run(asyncio.wait_for(work(), PATIENCE_SECONDS))
    finally:
        patch.undo()
        shutil.rmtree(folder)
