"""Idle, slow and hostile clients get the answer of PROTOCOL.md 10; nothing is written, and nobody else is disturbed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from logship.collect.gate import Bounds
from logship.wire import Append, Appended, Limits, Refusal
from tests.logship.collect_http.live import Inside, first_status, inside

OCTETS = {"Content-Type": "application/octet-stream"}
HEAD = b"POST /v1/stream/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
SOON = Bounds(
    head_seconds=1.2, body_pause_seconds=1.2, body_seconds=2.4, idle_seconds=1.6, stall_seconds=1.2, discard_seconds=2
)
"""Soon enough for a test, and not so soon that a good request on a busy machine comes too late."""


def serve(folder: Path, scenario: Callable[[Inside], Awaitable[None]], **options: object) -> None:
    async def body() -> None:
        async with inside(folder, **options) as server:  # type: ignore[arg-type]  # the tests name what inside() takes
            assert (await server.ask("PUT", "/v1/stream/a", OCTETS)).status == 201
            await scenario(server)
            assert server.gate.bodies_bytes == 0
            reply = await server.ask("POST", "/v1/stream/proof", OCTETS, b"x")
            assert reply.status == 404, "others are served as before"

    asyncio.run(body())


async def all_of(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(60):
        return await reader.read()


def test_a_head_that_is_too_large_is_refused_with_the_limits(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        reply = await server.ask("GET", "/v1/stream/a", {f"X-{n}": "y" * 1000 for n in range(17)})
        assert (reply.status, reply.code) == (431, "head-too-large")
        assert "header_bytes_max=16384" in reply.headers["logship-limits"]
        assert (await server.ask("GET", "/v1/stream/a", {f"X-{n}": "y" * 1000 for n in range(15)})).status == 200

    serve(tmp_path, scenario)


@pytest.mark.parametrize("beginning", [b"GET /", b"GET / HTTP/1.1\r\nX: ", b"\r\n"])
def test_an_endless_head_is_refused_before_it_is_whole(tmp_path: Path, beginning: bytes) -> None:
    async def scenario(server: Inside) -> None:
        reader, writer = await server.open(beginning)
        writer.write((b"a" if beginning.strip() else b"\r\n") * 40_000)
        assert first_status(await all_of(reader)) == 431
        writer.close()

    serve(tmp_path, scenario)


def test_a_head_that_comes_too_slowly_is_ended(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        reader, writer = await server.open(HEAD)
        answer = await all_of(reader)
        assert first_status(answer) == 408
        assert b"body-timeout" in answer
        writer.close()

    serve(tmp_path, scenario, bounds=SOON)


def test_a_body_that_pauses_is_refused_and_nothing_of_it_is_written(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        reader, writer = await server.open(HEAD, b"Content-Length: 9\r\n\r\nhalf")
        answer = await all_of(reader)
        assert first_status(answer) == 408
        assert b"stream-error: body-timeout" in answer.lower()
        writer.close()
        assert (await server.ask("HEAD", "/v1/stream/a")).headers["stream-next-offset"] == "0" * 20

    serve(tmp_path, scenario, bounds=SOON)


def test_a_body_that_trickles_for_ever_is_refused_all_the_same(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        reader, writer = await server.open(HEAD, b"Content-Length: 999999\r\n\r\n")
        answer = asyncio.create_task(all_of(reader))
        while not answer.done():
            writer.write(b"x")
            await asyncio.sleep(0.02)
        assert first_status(answer.result()) == 408
        writer.close()

    serve(tmp_path, scenario, bounds=SOON)


@pytest.mark.case(66)
def test_half_a_request_writes_nothing(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        request = HEAD + b"Content-Length: 5\r\n\r\nhello"
        for cut in range(1, len(request)):
            _, writer = await server.open(request[:cut])
            writer.close()
        await server.until(lambda: not server.gate.connections, "the connections are gone")
        assert (await server.ask("HEAD", "/v1/stream/a")).headers["stream-next-offset"] == "0" * 20

    serve(tmp_path, scenario)


@pytest.mark.case(66)
def test_half_a_chunked_body_writes_nothing(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        _, writer = await server.open(HEAD, b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await server.until(lambda: server.gate.bodies_bytes == 5, "the chunk has come")
        writer.close()
        await server.until(lambda: server.gate.bodies_bytes == 0, "and is let go")
        assert (await server.ask("HEAD", "/v1/stream/a")).headers["stream-next-offset"] == "0" * 20

    serve(tmp_path, scenario)


def test_an_endless_chunked_body_is_refused_at_the_bound(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        reader, writer = await server.open(HEAD, b"Transfer-Encoding: chunked\r\n\r\n")
        answer = asyncio.create_task(reader.read(4096))
        chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        while not answer.done():
            writer.write(chunk)
            await writer.drain()
        assert first_status(answer.result()) == 413
        assert server.gate.bodies_bytes == 0
        writer.close()

    serve(tmp_path, scenario, limits=Limits(append_bytes_max=300_000))


def test_an_oversized_body_gets_its_answer_though_the_client_sends_all_of_it_first(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        for headers in (OCTETS, {**OCTETS, "Connection": "close"}):
            reply = await server.ask("POST", "/v1/stream/a", headers, bytes(20_000_000))
            assert (reply.status, reply.code) == (413, "too-large")

    serve(tmp_path, scenario)


def test_a_connection_goes_on_after_a_body_that_was_refused_unread(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        reader, writer = await server.open(HEAD, b"Content-Length: 200000\r\n\r\n")
        answer = await reader.readuntil(b"\r\n\r\n")
        assert first_status(answer) == 413
        writer.write(bytes(200_000) + HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\nok")
        assert first_status((await all_of(reader)).partition(b"\n")[2]) == 204
        writer.close()

    serve(tmp_path, scenario, limits=Limits(append_bytes_max=100_000))


def test_a_client_that_waits_for_100_continue_is_refused_before_it_sends(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        reader, writer = await server.open(HEAD, b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n")
        answer = await all_of(reader)
        assert first_status(answer) == 413
        assert b"connection: close" in answer.lower()
        writer.close()
        reader, writer = await server.open(HEAD, b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert first_status(await reader.readuntil(b"\r\n\r\n")) == 100
        writer.write(b"hello")
        assert first_status(await reader.readuntil(b"\r\n\r\n")) == 204
        writer.close()

    serve(tmp_path, scenario)


def test_too_many_bodies_at_once_are_refused_and_the_others_go_on(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        held = [await server.open(HEAD, b"Content-Length: 60000\r\n\r\n", bytes(59_999)) for _ in range(3)]
        await server.until(lambda: server.gate.bodies_bytes == 3 * 59_999, "three bodies are being received")
        reply = await server.ask("POST", "/v1/stream/a", OCTETS, bytes(60_000))
        assert (reply.status, reply.code, reply.headers["retry-after"]) == (503, "busy", "1")
        for reader, writer in held:
            writer.write(b"x")
            assert first_status(await reader.readuntil(b"\r\n\r\n")) == 204
            writer.close()
        assert (await server.ask("POST", "/v1/stream/a", OCTETS, bytes(60_000))).status == 204

    serve(tmp_path, scenario, bounds=Bounds(bodies_bytes_max=200_000))


def test_a_body_counts_until_it_is_durable_though_its_client_has_gone(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        go_on, append = asyncio.Event(), server.store.append

        async def slow(request: Append, body: bytes) -> Appended | Refusal:
            await go_on.wait()
            return await append(request, body)

        server.store.append = slow  # type: ignore[method-assign]  # a disk that takes its time
        _, writer = await server.open(HEAD, b"Content-Length: 5\r\n\r\nhello")
        await server.until(lambda: server.gate.bodies_bytes == 5, "the body has come")
        writer.transport.abort()
        await server.until(lambda: not server.gate.connections, "the client has gone")
        assert server.gate.bodies_bytes == 5
        go_on.set()
        await server.until(lambda: server.gate.bodies_bytes == 0, "it is durable")
        assert (await server.ask("GET", "/v1/stream/a")).body == b"hello"

    serve(tmp_path, scenario)


def test_an_idle_connection_is_closed_whether_it_ever_asked_or_not(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        silent, writer = await server.open()
        asked, other = await server.open(b"GET /v1/stream/a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert first_status(await all_of(asked)) == 200
        assert await all_of(silent) == b""
        writer.close()
        other.close()

    serve(tmp_path, scenario, bounds=SOON)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET \xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: -5\r\n\r\n",
        HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"X: a\x00b\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(tmp_path: Path, garbage: bytes) -> None:
    async def scenario(server: Inside) -> None:
        reader, writer = await server.open(garbage)
        assert first_status(await all_of(reader)) in (400, 404, 405)
        writer.close()

    serve(tmp_path, scenario, bounds=SOON)


def test_an_upgrade_is_answered_as_a_plain_request(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        fields = b"Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
        reader, writer = await server.open(b"GET /v1/stream/a HTTP/1.1\r\n" + fields)
        assert first_status(await all_of(reader)) == 200
        writer.close()

    serve(tmp_path, scenario)


def test_requests_that_come_together_are_answered_in_order(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        one = HEAD + b"Content-Length: 1\r\n\r\nx"
        last = HEAD + b"Connection: close\r\nContent-Length: 1\r\n\r\nx"
        reader, writer = await server.open(one * 5 + last)
        answers = (await all_of(reader)).lower()
        ends = [int(part[:20]) for part in answers.split(b"stream-next-offset: ")[1:]]
        assert ends == [1, 2, 3, 4, 5, 6]
        writer.close()

    serve(tmp_path, scenario)


def test_a_flood_of_requests_on_one_connection_is_cut_off(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        wait = b"GET /v1/stream/a?offset=now&live=long-poll HTTP/1.1\r\nHost: x\r\n\r\n"
        reader, writer = await server.open(wait * 1000)
        answers = await _until_cut(reader)
        assert answers.count(b"HTTP/1.1 ") < 10
        writer.close()

    serve(tmp_path, scenario)


async def _until_cut(reader: asyncio.StreamReader) -> bytes:
    try:
        return await all_of(reader)
    except ConnectionResetError:
        return b""
