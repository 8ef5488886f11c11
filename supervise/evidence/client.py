"""One client of a load: asks, judges, counts, pauses, until the load ends.

Owns a client's manners (kinds, pauses, cookies, retries). Connections are in ``connection.py``, counts in ``tally.py``.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from supervise.evidence.connection import Connection, Failed
from supervise.evidence.tally import Failure, Session, Tally

FAILURE_PAUSE_SECONDS = 0.05
SESSION_REQUESTS = 200
STICKY_CONNECTION_REQUESTS = 10


@dataclass(frozen=True)
class Manners:
    """What all clients of a load share. ``interval``: seconds from a request to the next one, 0: at once."""

    address: str
    port: int
    path: str
    keys: tuple[str, ...]
    retry: bool
    timeout: float
    slow_pause: float
    interval: float


class Client:
    """``phase`` (0 to 1) spreads the first requests of paced clients over their interval."""

    def __init__(self, manners: Manners, kind: str, phase: float, tally: Tally, ending: asyncio.Event) -> None:
        self._manners = manners
        self._kind = kind
        self._phase = phase
        self._tally = tally
        self._ending = ending
        self._interval = manners.slow_pause if kind == "slow" else manners.interval
        self._connection: Connection | None = None
        self._cookies: dict[str, str] = {}
        self._session = Session()
        self._asked = 0

    async def run(self, began: float) -> None:
        """Ask until the load ends; ``began`` is the clock's reading at its beginning."""
        await self._pause(self._phase * self._manners.interval)
        while not self._ending.is_set():
            asked = time.monotonic()
            if not await self._one(began):
                await self._pause(FAILURE_PAUSE_SECONDS)
            await self._pause(asked + self._interval - time.monotonic())
        self._leave()

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the load."""
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self._ending.wait()
            except TimeoutError:
                return

    async def _one(self, began: float) -> bool:
        """One request with its judgement; True when it was answered rightly."""
        asked = time.monotonic()
        try:
            async with asyncio.timeout(self._manners.timeout):
                server, counter, last = await self._ask()
        except TimeoutError:
            self._failed(Failed("timeout", f"no answer within {self._manners.timeout:g} s"))
            return False
        except Failed as error:
            self._failed(error)
            return False
        now = time.monotonic()
        self._tally.good(self._kind, server, (now - asked) * 1000, now - began)
        if last and self._connection is not None:
            await self._connection.finish()
            self._connection = None
        if self._kind == "sticky":
            self._tally.session(self._session, server, counter)
            if self._asked >= SESSION_REQUESTS:  # a session has its end, so that servers that came later get sessions
                self._asked, self._cookies, self._session = 0, {}, Session()
        return True

    def _failed(self, error: Failed) -> None:
        self._leave()
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._tally.bad(Failure(stamp, self._kind, error.reason, error.detail, self._session.server))

    async def _ask(self) -> tuple[str, int, bool]:
        """Send and judge, repeated once where that is allowed (see load.py): server, counter, connection's end."""
        try:
            return await self._send()
        except Failed as error:
            if not (self._manners.retry and error.unanswered):
                raise
            self._tally.retried += 1
            self._leave()
            return await self._send()

    async def _send(self) -> tuple[str, int, bool]:
        if self._connection is not None and self._connection.lost in ("closed", "reset"):
            self._tally.closed_idle += 1
            self._leave()
        if self._connection is None:
            self._connection = await Connection.open(self._manners.address, self._manners.port)
        last = self._kind == "close"
        if self._kind == "sticky":
            last = self._asked % STICKY_CONNECTION_REQUESTS == STICKY_CONNECTION_REQUESTS - 1
        self._asked += 1
        answer = await self._connection.ask(self._request(last))
        server, counter = judge(answer.status, answer.body, self._manners.keys)
        for cookie in answer.cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        return server, counter, last or answer.closing

    def _request(self, last: bool) -> bytes:
        lines = [f"GET {self._manners.path} HTTP/1.1", f"Host: {self._manners.address}", "User-Agent: logship-load"]
        if last:
            lines.append("Connection: close")
        if self._kind == "sticky" and self._cookies:
            lines.append("Cookie: " + "; ".join(f"{name}={value}" for name, value in self._cookies.items()))
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.drop()
            self._connection = None


def judge(status: int, body: bytes, keys: Sequence[str]) -> tuple[str, int]:
    """Who answered, and the session's counter; raises Failed for an answer that is not the right one."""
    said = repr(body[:120].decode("utf-8", "replace"))
    if not 200 <= status < 300:
        raise Failed(f"status {status}", said)
    try:
        value = json.loads(body)
    except ValueError:
        raise Failed("wrong body", f"no JSON: {said}") from None
    missing = [key for key in keys if not isinstance(value, dict) or key not in value]
    if missing:
        raise Failed("wrong body", f"without {', '.join(missing)}: {said}")
    host, counter = value.get("host", ""), value.get("counter", 0)
    if not isinstance(host, str) or not isinstance(counter, int):
        raise Failed("wrong body", f"host or counter of a wrong type: {said}")
    return host, counter
