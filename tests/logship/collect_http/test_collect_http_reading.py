"""Reading over HTTP: catching up, waiting, events, lists; nothing twice, no hole, and no reader is left waiting."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from logship import zstd
from logship.collect import gate as gates
from tests.logship.collect_http.live import Inside, inside
from tests.logship.collect_http.test_collect_sse import parsed

OCTETS = {"Content-Type": "application/octet-stream"}
TEXT = {"Content-Type": "text/plain"}
AT = "/v1/stream/a/b"


def serve(folder: Path, scenario: Callable[[Inside], Awaitable[None]], **options: object) -> None:
    async def body() -> None:
        async with inside(folder, **options) as server, asyncio.timeout(60):  # type: ignore[arg-type]  # as inside() has them
            await scenario(server)

    asyncio.run(body())


async def put(server: Inside, *bodies: bytes, headers: dict[str, str] = OCTETS) -> None:
    if (await server.ask("HEAD", AT)).status == 404:
        assert (await server.ask("PUT", AT, headers)).status == 201
    for body in bodies:
        assert (await server.ask("POST", AT, headers, body)).status == 204


async def events(server: Inside, query: str) -> list[tuple[str, str]]:
    """All events until the answer ends."""
    reply = await server.ask("GET", f"{AT}?{query}&live=sse")
    assert reply.headers["content-type"] == "text/event-stream"
    return parsed(reply.body)


def test_a_long_stream_is_read_in_pieces_that_fit_together(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        data = hashlib.shake_256(b"x").digest(2_500_000)
        for start in range(0, len(data), 500_000):
            headers = {**OCTETS, "Content-Encoding": "zstd"}
            await put(server, zstd.compress(data[start : start + 500_000]), headers=headers)
        found, offset, rounds = b"", "-1", 0
        while True:
            reply = await server.ask("GET", f"{AT}?offset={offset}")
            assert len(reply.body) <= gates.READ_BYTES_MAX
            found, offset, rounds = found + reply.body, reply.headers["stream-next-offset"], rounds + 1
            if reply.headers.get("stream-up-to-date"):
                break
        assert found == data
        assert rounds == 3

    serve(tmp_path, scenario)


def test_an_unchanged_read_is_304_until_bytes_or_the_end_come(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        await put(server, b"hello")
        etag = (await server.ask("GET", AT)).headers["etag"]
        same = await server.ask("GET", AT, {"If-None-Match": f'"other", {etag}'})
        assert (same.status, same.body, same.headers["etag"]) == (304, b"", etag)
        assert (await server.ask("POST", AT, {"Stream-Closed": "true"}, b"")).status == 204
        closed = await server.ask("GET", AT, {"If-None-Match": etag})
        assert (closed.status, closed.headers["stream-closed"]) == (200, "true")

    serve(tmp_path, scenario)


def test_a_stream_made_anew_has_other_etags(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        await put(server, b"hello")
        etag = (await server.ask("GET", AT)).headers["etag"]
        assert (await server.ask("DELETE", AT)).status == 204
        await put(server, b"jello")
        again = await server.ask("GET", AT, {"If-None-Match": etag})
        assert (again.status, again.body) == (200, b"jello")

    serve(tmp_path, scenario)


def test_a_long_poll_ends_with_nothing(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        await put(server)
        nothing = await server.ask("GET", f"{AT}?offset=now&live=long-poll")
        assert (nothing.status, nothing.headers["stream-up-to-date"]) == (204, "true")
        assert int(nothing.headers["stream-cursor"]) > 0

    serve(tmp_path, scenario, poll_seconds=0.2)


def test_a_long_poll_ends_with_bytes_or_with_the_end(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        await put(server, b"before")
        cursor = int((await server.ask("GET", f"{AT}?offset=-1&live=long-poll")).headers["stream-cursor"])
        for what, status in ((b"more", 200), (None, 204)):
            poll = asyncio.create_task(server.ask("GET", f"{AT}?offset=now&live=long-poll&cursor={cursor}"))
            await server.until(lambda: server.gate.live, "it waits")
            if what is None:
                await server.ask("POST", AT, {"Stream-Closed": "true"}, b"")
            else:
                await put(server, what)
            reply = await poll
            assert (reply.status, reply.body) == (status, what or b"")
            if what is None:
                assert reply.headers["stream-closed"] == "true"
            else:
                assert int(reply.headers["stream-cursor"]) > cursor
                assert reply.headers["cache-control"] == "no-store", "of now, which is no place in the stream"

    serve(tmp_path, scenario, poll_seconds=60)


def test_a_long_poll_of_a_stream_that_is_deleted_is_404(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        await put(server)
        poll = asyncio.create_task(server.ask("GET", f"{AT}?offset=now&live=long-poll"))
        await server.until(lambda: server.gate.live, "it waits")
        assert (await server.ask("DELETE", AT)).status == 204
        assert (await poll).code == "no-stream"

    serve(tmp_path, scenario, poll_seconds=30)


def test_events_hold_every_byte_from_history_into_what_comes(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        bodies = [f"line {number}\n".encode() * 3000 for number in range(12)]
        await put(server, *bodies[:6])
        following = asyncio.create_task(events(server, "offset=-1"))
        await server.until(lambda: server.gate.live, "it follows")
        await put(server, *bodies[6:])
        assert (await server.ask("POST", AT, {"Stream-Closed": "true"}, b"")).status == 204
        found = await following
        data = b"".join(base64.b64decode(value) for name, value in found if name == "data")
        assert data == b"".join(bodies)
        assert all(found[number + 1][0] == "control" for number, (name, _) in enumerate(found) if name == "data")
        last = json.loads(found[-1][1])
        assert last == {"streamNextOffset": f"{len(data):020}", "streamClosed": True, "upToDate": True}

    serve(tmp_path, scenario)


def test_events_of_text_never_tear_a_character_that_came_in_two_appends(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        text = "zwölf Boxkämpfer\r\n€"
        following = None
        for byte in text.encode():
            await put(server, bytes([byte]), headers=TEXT)
            following = following or asyncio.create_task(events(server, "offset=-1"))
        assert (await server.ask("POST", AT, {"Stream-Closed": "true"}, b"")).status == 204
        assert following is not None
        found = await following
        assert "".join(value for name, value in found if name == "data") == text.replace("\r\n", "\n")

    serve(tmp_path, scenario)


def test_events_from_now_begin_with_where_now_is(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        await put(server, b"before")
        following = asyncio.create_task(events(server, "offset=now"))
        await server.until(lambda: server.gate.live, "it follows")
        await put(server, b"after")
        assert (await server.ask("POST", AT, {"Stream-Closed": "true"}, b"")).status == 204
        found = await following
        assert json.loads(found[0][1])["streamNextOffset"] == f"{6:020}"
        assert [base64.b64decode(value) for name, value in found if name == "data"] == [b"after"]

    serve(tmp_path, scenario)


def test_a_follower_that_goes_away_is_forgotten(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        await put(server, b"x")
        for live in (b"sse", b"long-poll"):
            _, writer = await server.open(
                b"GET /v1/stream/a/b?offset=now&live=" + live + b" HTTP/1.1\r\nHost: x\r\n\r\n"
            )
            await server.until(lambda: server.gate.live, "it follows")
            writer.transport.abort()
            await server.until(lambda: not server.gate.live, "it is forgotten")

    serve(tmp_path, scenario, poll_seconds=60, sse_seconds=60)


def test_followers_of_one_stream_all_see_the_same(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        await put(server)
        following = [asyncio.create_task(events(server, "offset=-1")) for _ in range(5)]
        await server.until(lambda: len(server.gate.live) == 5, "all follow")
        await put(server, b"one", b"two")
        await server.ask("POST", AT, {"Stream-Closed": "true"}, b"")
        for found in await asyncio.gather(*following):
            assert b"".join(base64.b64decode(value) for name, value in found if name == "data") == b"onetwo"

    serve(tmp_path, scenario)


def test_the_list_of_streams_is_sorted_and_narrowed(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        for path, host in (("web/2", "h2"), ("web/1", "h1"), ("ha/1", "h1")):
            source = {"Logship-Source": json.dumps({"host": host, "service": path.split("/")[0]})}
            assert (await server.ask("PUT", f"/v1/stream/{path}", {**OCTETS, **source})).status == 201
        assert (await server.ask("PUT", "/v1/stream/web/none", OCTETS)).status == 201

        async def names(query: str) -> list[str]:
            reply = await server.ask("GET", f"/v1/streams{query}")
            assert reply.headers["content-type"].startswith("application/x-ndjson")
            return [json.loads(line)["stream"] for line in reply.body.splitlines()]

        assert await names("") == ["ha/1", "web/1", "web/2", "web/none"]
        assert await names("?prefix=web/") == ["web/1", "web/2", "web/none"]
        assert await names("?source.host=h1") == ["ha/1", "web/1"]
        assert await names("?prefix=web/&source.host=h1&source.service=web") == ["web/1"]
        assert await names("?source.nothing=None") == []

    serve(tmp_path, scenario)


def test_losses_are_taken_all_or_none_and_once(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        good = json.dumps({"id": "a", "stream": "web/1", "bytes": 5, "reason": "over budget", "more": 1}).encode()
        bad = await server.ask("POST", "/v1/losses", {}, good + b"\n{}\n")
        assert (bad.status, bad.code) == (400, "bad-record")
        assert b"record 2 has no id" in bad.body
        assert (await server.ask("GET", "/v1/losses")).body == b""
        for _ in range(2):
            assert (await server.ask("POST", "/v1/losses", {}, good + b"\n")).status == 204
        lines = (await server.ask("GET", "/v1/losses")).body.splitlines()
        assert len(lines) == 1
        record = json.loads(lines[0])
        assert (record["id"], record["bytes"], record["count"], record["reason"]) == ("a", 5, None, "over budget")
        assert isinstance(record["lsn"], int)
        for body, code in (
            (b"", "empty-body"),
            (good + b"\n" * 1 + b"x" * 3000, "bad-record"),
            (b"{}\n" * 1001, "bad-record"),
        ):
            reply = await server.ask("POST", "/v1/losses", {}, body)
            assert (reply.status, reply.code) == (400, code)
        assert (await server.ask("POST", "/v1/losses", {}, bytes(3_000_000))).code == "too-large"

    serve(tmp_path, scenario)


def test_a_stream_that_goes_on_after_a_hole_is_a_loss(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        source = json.dumps({"continues": "a/old", "lost_bytes": 7, "lost_reason": "over budget"})
        assert (await server.ask("PUT", AT, {**OCTETS, "Logship-Source": source})).status == 201
        record = json.loads((await server.ask("GET", "/v1/losses")).body)
        assert (record["stream"], record["bytes"], record["reason"]) == ("a/b", 7, "over budget")

    serve(tmp_path, scenario)
