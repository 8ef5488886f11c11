"""Two hundred shippers that come back at once: all are served, fairly, and who reads or writes beside them is, too."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from logship import zstd
from tests.logship.collect_http.live import Collector

SHIPPERS, APPENDS = 200, 10
BUSY = (429, 503)


@dataclass
class Herd:
    """What has been answered so far."""

    port: int
    appended: list[int] = field(default_factory=lambda: [0] * SHIPPERS)
    when_first_was_done: list[int] = field(default_factory=list)
    together: asyncio.Barrier = field(default_factory=lambda: asyncio.Barrier(SHIPPERS + 1))
    live: int = 0
    put_off: int = 0

    async def shipper(self, number: int) -> None:
        """A backlog of its own, over one connection, as a shipper sends it: one append at a time."""
        path = f"shop/{number}/web/i"
        line = await Line.to(self.port)
        assert await line.ask("PUT", path) == 201
        await self.together.wait()  # a connection for which the kernel had no place is tried again a second later
        for sequence in range(APPENDS):
            body = zstd.compress(content(number, sequence))
            fields = {"Content-Encoding": "zstd", "Producer-Id": "p", "Producer-Epoch": "0"}
            while (status := await line.ask("POST", path, {**fields, "Producer-Seq": str(sequence)}, body)) in BUSY:
                self.put_off += 1
                await asyncio.sleep(0.1)
            assert status == 200
            self.appended[number] += 1
        if not self.when_first_was_done:
            self.when_first_was_done = list(self.appended)

    async def one_that_lives(self) -> None:
        """Somebody who has no backlog, and somebody who reads what that one writes."""
        line, reader = await Line.to(self.port), await Line.to(self.port)
        assert await line.ask("PUT", "shop/live/web/i") == 201
        await self.together.wait()
        written = 0
        while any(done < APPENDS for done in self.appended):
            assert await line.ask("POST", "shop/live/web/i", {}, b"now\n") == 204
            self.live += 1
            assert await reader.ask("GET", f"shop/live/web/i?offset={written:020}") == 200
            self.live += 1
            assert reader.body == b"now\n", "what is acknowledged is read"
            written += 4


class Line:
    """A kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.body = b""

    @classmethod
    async def to(cls, port: int) -> Line:
        """Connected."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, method: str, target: str, fields: dict[str, str] | None = None, body: bytes = b"") -> int:
        """The status; the body of the answer is kept."""
        sent = {"Host": "x", "Content-Type": "application/octet-stream", "Content-Length": str(len(body))}
        lines = [
            f"{method} /v1/stream/{target} HTTP/1.1",
            *(f"{k}: {v}" for k, v in {**sent, **(fields or {})}.items()),
        ]
        self._writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = answer.partition("content-length: ")[2].partition("\r\n")[0]
        self.body = await self._reader.readexactly(int(length or 0))
        return int(answer.split(" ", 2)[1])


def content(number: int, sequence: int) -> bytes:
    return b"".join(b"%d %d %d\n" % (number, sequence, line) for line in range(300))


@pytest.mark.case(80)
def test_two_hundred_shippers_that_come_back_at_once_are_served_in_turn_and_so_is_who_lives(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "store")
    herd = Herd(collector.port)

    async def work() -> None:
        async with asyncio.timeout(200):
            await asyncio.gather(*(herd.shipper(number) for number in range(SHIPPERS)), herd.one_that_lives())

    try:
        asyncio.run(work())
        for number in range(0, SHIPPERS, 20):
            wanted = b"".join(content(number, sequence) for sequence in range(APPENDS))
            assert collector.ask("GET", f"/v1/stream/shop/{number}/web/i").body == wanted
    finally:
        assert collector.stop() == 0
    behind = sorted(herd.when_first_was_done)
    print(
        f"{herd.live} living requests meanwhile, {herd.put_off} put off; when the first was done: {behind[:3]} appends"
    )
    assert herd.live >= APPENDS / 2, "who lives waits for its turn as any of the herd does, and has as many"
    assert behind[0] >= APPENDS / 2, "nobody was left behind"
