"""Edge: one request and its answer in ASGI: header fields, a bounded body in, an answer out.

Left to others: which path goes where (``http``), what is asked and answered (``wire``), connections (``connection``).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from logship.wire import Headers, Limits, Refusal
from logship.wire.fields import Pairs

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SENT_BYTES_MAX = 64 * 1024
"""An answer's body goes out in pieces of this size, each when the one before is nearly gone: that is all the transport
holds for a slow reader."""

_HOST = re.compile(r"[A-Za-z0-9.\-_]{1,255}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")


class Exchange:
    """One request: ``method``, raw ``path`` (percent-encoded, without the query), ``headers``; and how to answer it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["raw_path"].decode("ascii", "replace")
        self.headers = Headers(scope["headers"])
        self.receive = receive
        self._scope = scope
        self._send = send
        self._limits = limits
        self._body_read = self.body_bytes() == 0

    def query(self) -> list[tuple[str, str]]:
        """The query's pairs, decoded; empty values kept."""
        return parse_qsl(self._scope["query_string"].decode("latin-1"), keep_blank_values=True)

    def url(self) -> str:
        """The request's own URL as the client knows it, or its path alone where ``Host`` says nothing usable."""
        host = self.headers.get("host") or ""
        return f"{self._scope['scheme']}://{host}{self.path}" if _HOST.fullmatch(host) else self.path

    def body_bytes(self) -> int | None:
        """How long the body will be, as sent; None when only its end tells."""
        if self.headers.get("transfer-encoding") is not None:
            return None
        return int(self.headers.get("content-length") or 0)

    async def body(self, check: Callable[[int], Refusal | None], bytes_max: int) -> bytes | Refusal | None:
        """The whole body, or why it is refused; None when the client went away in its midst.

        ``check`` judges its size, as soon as it is known; nothing of a body that is refused by it is waited for.
        """
        size = self.body_bytes()
        refusal = None if size is None else check(size)
        if refusal is not None:
            return refusal
        pieces: list[bytes] = []
        total = 0
        while not self._body_read:
            message = await self.receive()
            if message["type"] != "http.request":
                return None
            total += len(message["body"])
            if total > bytes_max:
                return check(total)
            pieces.append(message["body"])
            self._body_read = not message["more_body"]
        if size is None:
            refusal = check(total)
        return refusal or (bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces))

    async def gone(self) -> None:
        """Returns when the client has closed the connection."""
        while (message := await self.receive())["type"] != "http.disconnect":
            self._body_read = self._body_read or not message["more_body"]

    async def refuse(self, refusal: Refusal, *more: tuple[str, str]) -> None:
        """Answer with a refusal."""
        fields = [*refusal.headers(self._limits), ("Cache-Control", "no-store"), *more]
        await self.answer(refusal.status, fields, refusal.body())

    async def answer(self, status: int, fields: Pairs, body: bytes = b"") -> None:
        """Answer, whole."""
        if status not in (204, 304) and self.method != "HEAD":
            fields = [*fields, ("Content-Length", str(len(body)))]
        if not self._body_read:
            fields = await self._leave_body(fields)
        await self.start(status, fields)
        view = memoryview(body) if self.method != "HEAD" else memoryview(b"")
        while len(view) > SENT_BYTES_MAX:
            await self.piece(view[:SENT_BYTES_MAX])
            view = view[SENT_BYTES_MAX:]
        await self.piece(view, last=True)

    async def start(self, status: int, fields: Pairs) -> None:
        """Begin an answer whose body comes in pieces."""
        if self.method in ("HEAD", "PUT") and status not in (413, 429, 431, 503):
            fields = [*fields, ("Logship-Limits", self._limits.text())]
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in fields]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def piece(self, body: bytes | memoryview, *, last: bool = False) -> None:
        """The next piece; waits while the client is slow to take those before."""
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    async def _leave_body(self, fields: Pairs) -> Pairs:
        """The answer comes before the body is read. The connection reads on and drops it, so that the answer is seen.

        A client that waits for "100 Continue" may never send it, and then nobody could tell it from the next request.
        One that closes after this answer would have it reset by what it still sends: its body is taken first.
        """
        if (self.headers.get("expect") or "").lower() == "100-continue":
            return [*fields, ("Connection", "close")]
        closes = "close" in (self.headers.get("connection") or "").lower() or self._scope["http_version"] == "1.0"
        while closes and not self._body_read:
            message = await self.receive()
            self._body_read = message["type"] != "http.request" or not message["more_body"]
        return fields
