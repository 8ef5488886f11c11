"""Edge: the HTTP side of collect: request -> wire value -> store -> answer. PROTOCOL.md is what it does.

Streams are served in plain ASGI, by their raw path: it is judged before anything else, and decoded once. The lists
beside them (``lists``) are a starlette app. Left to others: connections and their bounds (``connection``, ``gate``),
reading (``follow``), decisions (``wire``, ``admission``), durability (``store``).
"""

from __future__ import annotations

from logship.collect.admission import no_stream
from logship.collect.exchange import Exchange, Message, Receive, Scope, Send
from logship.collect.follow import Follower
from logship.collect.gate import Gate
from logship.collect.lists import lists
from logship.collect.log import Log
from logship.collect.metrics import Metrics
from logship.collect.store import Store
from logship.errors import Fault
from logship.values import Invalid, parse_stream_path
from logship.wire import Code, Refusal, parse_append, parse_create, parse_delete, parse_look, parse_read
from logship.wire.fields import Pairs
from logship.wire.replies import VERSION

STREAMS = "/v1/stream/"
METHODS = "GET, HEAD, PUT, POST, DELETE, OPTIONS"


class App:
    """The ASGI app. ``allow_origin``: which other sites' pages may use it from a browser; empty: none."""

    def __init__(
        self, store: Store, gate: Gate, log: Log, follower: Follower | None = None, allow_origin: str = ""
    ) -> None:
        self.stopping = False
        self._store = store
        self._gate = gate
        self._log = log
        self._limits = store.settings.limits
        self._follower = follower or Follower(store, gate)
        self._metrics = Metrics()
        self._lists = lists(store, gate, self._is_stopping, self._metrics)
        self._common = _common_fields(allow_origin)
        self._methods = {
            "PUT": self._create,
            "POST": self._append,
            "HEAD": self._look,
            "GET": self._read,
            "DELETE": self._delete,
            "OPTIONS": self._options,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        answer = _Answer(send, self._common)
        exchange = Exchange(scope, receive, answer, self._limits)
        try:
            if self.stopping and not exchange.path.startswith("/v1/health"):
                await self._refuse_stopping(exchange)
            elif exchange.path.startswith(STREAMS):
                answer.extra = [(b"logship-protocol", VERSION.encode())]
                await self._serve(exchange)
            else:
                await self._lists(scope, receive, answer)
        except Fault as fault:  # the disk failed, and the process is about to end; `run` tells why
            self._log.mishap("a request met a broken store", fault)
            if not answer.started:
                await self._refuse_stopping(exchange)
        except Exception as error:
            self._log.mishap(f"{exchange.method} {exchange.path[:200]}", error)
            if not answer.started:
                await exchange.answer(500, [("Content-Type", "text/plain; charset=utf-8")], b"a mishap; see the log\n")
        finally:
            if answer.status:
                self._metrics.answered(exchange.method, answer.status)

    async def _serve(self, exchange: Exchange) -> None:
        path = exchange.path.removeprefix(STREAMS)
        bad = parse_stream_path(path)
        serve = self._methods.get(exchange.method)
        if isinstance(bad, Invalid):
            await exchange.refuse(Refusal(Code.BAD_PATH, f"the stream's path {bad.reason}"))
        elif serve is None:
            reason = f"{exchange.method[:20]} is nothing that is done with a stream; there are {METHODS}"
            await exchange.refuse(Refusal(Code.BAD_METHOD, reason), ("Allow", METHODS))
        else:
            await serve(exchange, path)

    async def _create(self, exchange: Exchange, path: str) -> None:
        request = parse_create(path, exchange.headers)
        if isinstance(request, Refusal):
            await exchange.refuse(request)
            return
        body = await exchange.body(lambda size: request.check_body(size, self._limits), self._limits.append_bytes_max)
        if body is None:
            return
        outcome = body if isinstance(body, Refusal) else await self._store.create(request, body)
        if isinstance(outcome, Refusal):
            await exchange.refuse(outcome)
        else:
            await exchange.answer(outcome.status, outcome.headers(exchange.url()))

    async def _append(self, exchange: Exchange, path: str) -> None:
        request = parse_append(path, exchange.headers)
        if isinstance(request, Refusal):
            await exchange.refuse(request)
            return

        def check(size: int) -> Refusal | None:
            refusal = request.check_body(size, self._limits)
            if refusal is None and self._store.stream(request.path) is None:
                return no_stream(request.path)  # rows 4 and on are the store's; this one spares the body's way here
            return refusal

        body = await exchange.body(check, self._limits.append_bytes_max)
        if body is None:
            return
        outcome = body if isinstance(body, Refusal) else await self._store.append(request, body)
        if isinstance(outcome, Refusal):
            await exchange.refuse(outcome)
        else:
            self._metrics.appended(len(body) if isinstance(body, bytes) else 0)
            await exchange.answer(outcome.status, outcome.headers())

    async def _look(self, exchange: Exchange, path: str) -> None:
        request = parse_look(path, exchange.headers)
        outcome = request if isinstance(request, Refusal) else await self._store.look(request)
        if isinstance(outcome, Refusal):
            await exchange.refuse(outcome)
        else:
            await exchange.answer(200, outcome.headers())

    async def _read(self, exchange: Exchange, path: str) -> None:
        request = parse_read(path, exchange.query(), exchange.headers)
        if isinstance(request, Refusal):
            await exchange.refuse(self._with_end(path, request))
        else:
            await self._follower.read(exchange, request)

    def _with_end(self, path: str, refusal: Refusal) -> Refusal:
        """A refused read says where the stream ends, where there is one."""
        stream = parse_stream_path(path)
        state = None if isinstance(stream, Invalid) else self._store.stream(stream)
        if state is None or refusal.code is not Code.BAD_OFFSET:
            return refusal
        return Refusal(refusal.code, refusal.reason, state.next_offset)

    async def _delete(self, exchange: Exchange, path: str) -> None:
        request = parse_delete(path)
        outcome = request if isinstance(request, Refusal) else await self._store.delete(request)
        if isinstance(outcome, Refusal):
            await exchange.refuse(outcome)
        else:
            await exchange.answer(outcome.status, [])

    async def _options(self, exchange: Exchange, _path: str) -> None:
        allowed = [("Access-Control-Allow-Methods", METHODS), ("Access-Control-Allow-Headers", "*")]
        await exchange.answer(204, [("Allow", METHODS), *allowed, ("Access-Control-Max-Age", "86400")])

    async def _refuse_stopping(self, exchange: Exchange) -> None:
        refusal = Refusal(Code.STOPPING, "the collector is stopping; try again when it is back")
        await exchange.refuse(refusal, ("Connection", "close"))

    def _is_stopping(self) -> bool:
        return self.stopping


def _common_fields(allow_origin: str) -> list[tuple[bytes, bytes]]:
    """What every answer says to browsers (base protocol, 12.7)."""
    policy = b"cross-origin" if allow_origin else b"same-origin"
    found = [(b"x-content-type-options", b"nosniff"), (b"cross-origin-resource-policy", policy)]
    if allow_origin:
        found += [
            (b"access-control-allow-origin", allow_origin.encode("latin-1", "replace")),
            (b"access-control-expose-headers", b"*"),
        ]
    return found


class _Answer:
    """``send`` with the fields that every answer has; knows whether one has begun."""

    def __init__(self, send: Send, common: list[tuple[bytes, bytes]]) -> None:
        self.started = False
        self.status = 0
        self.extra: Pairs | list[tuple[bytes, bytes]] = []
        self._send = send
        self._common = common

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            message = {**message, "headers": [*message["headers"], *self._common, *self.extra]}
        await self._send(message)
