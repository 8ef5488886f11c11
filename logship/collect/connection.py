"""Edge: one connection: uvicorn's HTTP protocol on httptools, with the bounds of PROTOCOL.md 10 it has no knob for.

uvicorn does: parsing, keep-alive, pipelining, chunks, 100-continue, waiting for a reader that is slow to take its
answer. Added here: the size and time of a head, the time of a body, a body in few large pieces, how much of all bodies
is held, who makes room when there are too many connections, readers that take nothing at all, and refusals that
reach a client which is still sending. Times are looked at once a second (``Gate.sweep``), not with a timer a request.
Works with uvicorn 0.32 (Debian 13) and later: only methods that both have are overridden.
"""

from __future__ import annotations

from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from logship.collect.gate import Gate
from logship.wire import Code, Limits, Refusal

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope

PIECE_BYTES = 256 * 1024
"""A body is handed on in pieces of about this size: a task is woken once for most appends, not for each packet."""


class Reading(Enum):
    """What the next byte from the client belongs to."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class Connection(HttpToolsProtocol):
    """A client's connection. ``gate`` is shared by all of them."""

    def __init__(self, config: Config, server_state: ServerState, gate: Gate, limits: Limits) -> None:
        super().__init__(config=config, server_state=server_state, app_state={})
        self._gate = gate
        self._limits = limits
        self._reading = Reading.NOTHING
        self._deadline = self.loop.time() + gate.bounds.idle_seconds
        self._body_deadline = 0.0
        self._head_fed = 0
        self._head_said = 0
        self._held: dict[int, int] = {}
        self._serving: int | None = None
        self._inner = self.app
        self.app = self._serve
        self._refusal: Refusal | None = None
        self._turned_away = False
        self._unsent = 0
        self._stalled_since = 0.0

    # The connection's life.

    def connection_made(self, transport: object) -> None:
        """Asks the gate first; a connection too many is told so."""
        super().connection_made(transport)  # type: ignore[arg-type]  # asyncio says BaseTransport, uvicorn Transport
        refusal = self._gate.enter(self)
        if refusal is not None:
            self._turn_away(refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        """Also gives back what was counted for it."""
        self._gate.leave(self)
        self._let_go()
        super().connection_lost(exc)

    def make_room(self) -> None:
        """Close an idle connection."""
        self.transport.close()

    def check(self, now: float) -> None:
        """Look whether a time is over."""
        if self._watch_writing(now) or now < self._deadline:
            return
        if self._turned_away:
            self.transport.abort()
        elif self.flow.read_paused:  # the client waits for us
            self._deadline = now + self._gate.bounds.body_pause_seconds
        elif self._reading is Reading.HEAD:
            seconds = self._gate.bounds.head_seconds
            self._turn_away(Refusal(Code.BODY_TIMEOUT, f"the request's head was not whole within {seconds:g} s"))
        elif self._reading is Reading.BODY:
            if self.cycle.response_complete:
                self.transport.close()
            else:
                self._turn_away(Refusal(Code.BODY_TIMEOUT, "the body came too slowly; nothing was written; send less"))
        elif self._answered():
            self.transport.close()

    def _watch_writing(self, now: float) -> bool:
        """Whether something waits to be taken by the client; one that takes nothing for long is cut off."""
        unsent = self.transport.get_write_buffer_size()
        if unsent == 0 or unsent != self._unsent:
            self._unsent, self._stalled_since = unsent, now
        elif now - self._stalled_since > self._gate.bounds.stall_seconds:
            self.transport.abort()
        return unsent > 0

    # What comes from the client.

    def data_received(self, data: bytes) -> None:
        """Feed the parser; a head in pieces of its largest size, so that an endless one is noticed."""
        self._unset_keepalive_if_required()
        rest = memoryview(data)
        while rest and not self._turned_away and not self.transport.is_closing():
            begun = self._reading
            if begun is Reading.NOTHING and self._answered():
                self._begin()
            piece = rest if begun is Reading.BODY else rest[: self._gate.bounds.head_bytes_max]
            rest = rest[len(piece) :]
            self._feed(piece)
            if self._reading is Reading.HEAD:
                self._head_fed += len(piece)
                if self._head_fed > 2 * self._gate.bounds.head_bytes_max:
                    self._refuse_head()
            if self._refusal is not None:
                self._turn_away(self._refusal)

    def _begin(self) -> None:
        self._gate.busy(self)
        self._reading = Reading.HEAD
        self._head_fed = 0
        self._deadline = self.loop.time() + self._gate.bounds.head_seconds

    def _feed(self, piece: memoryview) -> None:
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            # We speak nothing else: the request is answered as it stands, what follows it is not read.
            if self.cycle is not None:
                self.cycle.keep_alive = False
        except httptools.HttpParserError as error:
            if self._refusal is None:
                in_path = isinstance(error.__context__, (UnicodeDecodeError, httptools.HttpParserInvalidURLError))
                code = Code.BAD_PATH if in_path else Code.BAD_HEADER
                self._refusal = Refusal(code, f"this is no HTTP request: {error or 'its target cannot be read'}")

    def on_message_begin(self) -> None:
        """A request begins, perhaps behind one that is being answered."""
        super().on_message_begin()
        self._begin()
        self._head_said = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the request's target."""
        super().on_url(url)
        self._head_said += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header field."""
        self._head_said += len(name) + len(value) + 4
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole: its request is begun, unless it is too large or one too many behind others."""
        bounds = self._gate.bounds
        if self._head_said > bounds.head_bytes_max:
            self._refuse_head()
        if len(self.pipeline) >= bounds.pipelined_max:
            self._refusal = Refusal(Code.BUSY, f"more than {bounds.pipelined_max} requests wait on this connection")
        if self._refusal is not None:
            return
        self._reading = Reading.BODY
        now = self.loop.time()
        self._deadline, self._body_deadline = now + bounds.body_pause_seconds, now + bounds.body_seconds
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body. What comes after the answer is read and dropped, for a while, so the answer is seen."""
        if self._refusal is not None or self.cycle.response_complete:
            return
        cycle = self.cycle
        self._deadline = min(self.loop.time() + self._gate.bounds.body_pause_seconds, self._body_deadline)
        request = id(self.scope)
        self._held[request] = self._held.get(request, 0) + len(body)
        self._refusal = self._gate.hold(len(body))
        cycle.body += body
        if len(cycle.body) >= PIECE_BYTES:
            self.flow.pause_reading()
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._refusal is not None:
            return
        self._reading = Reading.NOTHING
        super().on_message_complete()
        if self._answered():
            self._rest()

    # What goes to the client.

    def on_response_complete(self) -> None:
        """The answer is written."""
        super().on_response_complete()
        if self._reading is Reading.BODY and self.cycle.response_complete:
            self._deadline = self.loop.time() + self._gate.bounds.discard_seconds
        elif self._answered():
            self._rest()

    def _answered(self) -> bool:
        return self._reading is Reading.NOTHING and (self.cycle is None or self.cycle.response_complete)

    def _rest(self) -> None:
        self._deadline = self.loop.time() + self._gate.bounds.idle_seconds
        self._gate.idle(self)

    async def _serve(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Run the app. A body is held until that is done, also when its client has gone meanwhile."""
        self._serving = request = id(scope)
        try:
            await self._inner(scope, receive, send)
        finally:
            if self._serving == request:
                self._serving = None
            self._gate.let_go(self._held.pop(request, 0))

    def _let_go(self) -> None:
        """Of requests that will never be served."""
        for request in [request for request in self._held if request != self._serving]:
            self._gate.let_go(self._held.pop(request))

    def _refuse_head(self) -> None:
        bound = self._gate.bounds.head_bytes_max
        self._refusal = Refusal(
            Code.HEAD_TOO_LARGE, f"the request's head is larger than {bound} bytes; send fewer headers"
        )

    def _turn_away(self, refusal: Refusal) -> None:
        """Answer beside the app, and close once the client has had time to read it: a close while it is sending would
        reset the connection, and the answer with it."""
        self._turned_away = True
        cycle, owed = self.cycle, bool(self.pipeline)
        if cycle is not None and not cycle.response_complete:
            owed = owed or cycle.response_started or self._reading is not Reading.BODY
            cycle.disconnected = True
            cycle.message_event.set()
        self.pipeline.clear()
        self._let_go()
        if owed or not self._gate.linger(self):  # an answer of another request is under way: ours would be taken for it
            self._gate.leave(self)
            self.transport.abort()
            return
        body = refusal.body()
        fields = [*refusal.headers(self._limits), ("Content-Length", str(len(body))), ("Connection", "close")]
        fields += [("Logship-Protocol", "1"), ("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store")]
        lines = [f"HTTP/1.1 {refusal.status} {HTTPStatus(refusal.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in fields]
        self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._deadline = self.loop.time() + self._gate.bounds.linger_seconds
