"""Readers that do not read: what is held for them is bounded, and only they wait."""

from __future__ import annotations

from pathlib import Path

from tests.logship.collect_http.live import Inside
from tests.logship.collect_http.test_collect_hostile import OCTETS, SOON, serve


def test_a_reader_that_takes_nothing_is_cut_off_and_others_read_on(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        for _ in range(8):
            assert (await server.ask("POST", "/v1/stream/a", OCTETS, bytes(1_000_000))).status == 204
        ask = b"GET /v1/stream/a HTTP/1.1\r\nHost: x\r\n\r\n"
        slow = [await server.open(ask * 8) for _ in range(4)]
        reply = await server.ask("GET", "/v1/stream/a")
        assert reply.status == 200
        assert len(reply.body) >= 64 * 1024
        await server.until(lambda: len(server.gate.connections) == 0, "those that do not read are gone")
        for _, writer in slow:
            writer.transport.abort()

    serve(tmp_path, scenario, bounds=SOON)


def test_a_read_carries_less_while_many_are_slow_to_take_theirs(tmp_path: Path) -> None:
    async def scenario(server: Inside) -> None:
        assert (await server.ask("POST", "/v1/stream/a", OCTETS, bytes(300_000))).status == 204
        assert len((await server.ask("GET", "/v1/stream/a")).body) == 300_000
        server.gate.reading_bytes += server.gate.bounds.reading_bytes_max
        reply = await server.ask("GET", "/v1/stream/a")
        assert len(reply.body) == 64 * 1024
        assert "stream-up-to-date" not in reply.headers

    serve(tmp_path, scenario)
