"""One TCP connection to the balancer: a request out, an answer in, or the reason why there is none.

An edge: it decides nothing about what counts as failed beyond naming what happened. Requests are not pipelined.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Self

from supervise.evidence.answer import Answer, AnswerReader, NoAnswer

FINISH_SECONDS = 1.0


class Failed(Exception):
    """A request failed. ``reason`` is one of few texts, ``detail`` is for people.

    ``unanswered``: the connection had served before and ended without a byte of this answer, so that RFC 9110 9.2.2
    lets a client repeat a GET.
    """

    def __init__(self, reason: str, detail: str = "", *, unanswered: bool = False) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.unanswered = unanswered


class Connection(asyncio.Protocol):
    """Open with ``Connection.open``. ``lost`` is None while it is usable, else what ended it."""

    def __init__(self) -> None:
        self.lost: str | None = None
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._served = 0
        self._ended = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, address: str, port: int) -> Self:
        """Connect; the caller bounds the time. Raises Failed."""
        try:
            _, connection = await asyncio.get_running_loop().create_connection(cls, address, port)
        except ConnectionRefusedError as error:
            raise Failed("refused", str(error)) from None
        except OSError as error:
            raise Failed("cannot connect", str(error)) from None
        return connection

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return its answer; the caller bounds the time. Raises Failed."""
        if self.lost is not None:
            raise Failed(self.lost, "before the request was sent", unanswered=self._served > 0)
        assert self._transport is not None
        assert self._answer is None, "one request at a time"
        self._reader = AnswerReader()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            answer = await self._answer
        finally:
            self._answer = self._reader = None
        self._served += 1
        return answer

    async def finish(self) -> None:
        """Wait a little for the server to close first: else TIME_WAIT stays on this side and uses its ports up."""
        if self.lost is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FINISH_SECONDS):
                    await self._ended
        self.drop()

    def drop(self) -> None:
        """Leave the connection as it is."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._reader is None or self._answer.done():
            self._lose("bytes that nobody asked for", repr(data[:60]))
            self.drop()
            return
        try:
            answer = self._reader.feed(data)
        except NoAnswer as error:
            self._lose("not an answer", str(error))
            self.drop()
            return
        if answer is not None:
            self._answer.set_result(answer)

    def eof_received(self) -> None:
        answer = self._reader.end() if self._reader is not None else None
        if answer is not None and self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)
        self._lose("closed", "the server ended the connection")

    def connection_lost(self, error: Exception | None) -> None:
        reset = isinstance(error, ConnectionError)
        self._lose("reset" if reset else "closed", str(error or "the connection is gone"))

    def _lose(self, reason: str, detail: str) -> None:
        """The connection is of no more use; a request on it failed."""
        if self.lost is None:
            self.lost = reason
        if not self._ended.done():
            self._ended.set_result(None)
        if self._answer is None or self._answer.done():
            return
        started = self._reader is not None and self._reader.started
        if reason in ("closed", "reset"):
            reason += " in the middle of the answer" if started else " before the answer"
        unanswered = not started and self._served > 0
        detail += f" (request {self._served + 1} on this connection)"
        self._answer.set_exception(Failed(reason, detail, unanswered=unanswered))
