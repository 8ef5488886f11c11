"""A small web application to balance: it tells which node answered, for which session, for the how manieth time.

Owns the answers on port 3000, its sessions and its own slowness. Leaves to others who sends requests here (HAProxy),
who is told about this node (Serf) and where its lines go (its standard output).

Every path answers every method with 200 and JSON, except:
``/health``  stateless: no session, no delay, no line while good; 503 once SIGTERM has come;
``/delay``   GET tells, ``POST {"delay": milliseconds}`` (JSON or a form) sets how long every other answer waits.

Environment: ``PORT`` (default 3000).
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import re
import secrets
import signal
import socket
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qs

import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

COOKIE = "NODESESSID"
REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
SESSIONS_MAX = 10_000
SESSION_IDLE_SECONDS_MAX = 1800.0
DELAY_MILLISECONDS_MAX = 60_000
BODY_BYTES_MAX = 1024
PATH_LOGGED_CHARACTERS_MAX = 512
CONCURRENT_REQUESTS_MAX = 10_000
DRAIN_SECONDS = 4
KEEP_ALIVE_SECONDS = 30
"""Longer than HAProxy keeps an idle connection to a server, so that it is not we who close it under a new request."""


class Sessions:
    """The sessions of this node, in memory: at most ``SESSIONS_MAX``, the longest unseen goes first."""

    def __init__(self, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._clock = clock
        self._new_id = new_id
        self._by_id: OrderedDict[str, tuple[int, float]] = OrderedDict()  # id -> counter, last seen; in that order

    def __len__(self) -> int:
        return len(self._by_id)

    def visit(self, offered: str) -> tuple[str, int]:
        """Count one visit. Returns the session's id and its counter, which is 1 for a new session.

        An id that this node does not know (or no longer) is never taken over from the visitor: it gets a new one.
        """
        now = self._clock()
        while self._by_id and now - next(iter(self._by_id.values()))[1] > SESSION_IDLE_SECONDS_MAX:
            self._by_id.popitem(last=False)
        session = offered if offered in self._by_id else self._new_id()
        counter = self._by_id.pop(session, (0, now))[0] + 1
        self._by_id[session] = (counter, now)
        if len(self._by_id) > SESSIONS_MAX:
            self._by_id.popitem(last=False)
        return session, counter


class Refused(Exception):
    """A request that cannot be done as asked; ``str()`` is the message for the visitor."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def delay_from(content_type: str, body: bytes) -> int:
    """Milliseconds out of the body of ``POST /delay``. Raises Refused (400) with what was expected instead."""
    wanted = f'send {{"delay": milliseconds}} with a whole number from 0 to {DELAY_MILLISECONDS_MAX}'
    value: object
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded" and body[:1] != b"{":
        fields = parse_qs(body.decode("utf-8", "replace"))
        text = fields.get("delay", [""])[0]
        value = int(text) if re.fullmatch(r"[0-9]{1,6}", text) else text
    else:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            raise Refused(400, f"the body is no JSON: {wanted}") from None
        value = document.get("delay") if isinstance(document, dict) else None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= DELAY_MILLISECONDS_MAX:
        raise Refused(400, f"the delay is {json.dumps(value)[:80]}: {wanted}")
    return value


async def body_of(request: Request) -> bytes:
    """The body, up to BODY_BYTES_MAX. Raises Refused (413) beyond."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise Refused(413, f"the body is longer than {BODY_BYTES_MAX} bytes")
    return body


def address_of(scope: Scope) -> str:
    """The address this request came to: the container's own, on the network the visitor used."""
    host = (scope.get("server") or ("", 0))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return str(host)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def answer(status: int, document: dict[str, object], headers: dict[str, str] | None = None) -> Response:
    """A JSON answer with a last newline, that nobody may cache."""
    content = json.dumps(document, ensure_ascii=False) + "\n"
    return Response(content, status, {"cache-control": "no-store"} | (headers or {}), "application/json")


class Webapp:
    """The application (ASGI). Clock, ids and the writing of lines are given: tests need none of the real ones."""

    def __init__(
        self,
        write_line: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = lambda: secrets.token_hex(16),
        host: str | None = None,
    ) -> None:
        self._write_line = write_line
        self._clock = clock
        self._host = host or socket.gethostname()
        self.sessions = Sessions(clock, new_id)
        self.delay_milliseconds = 0
        self.stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not spoken here")
        request = Request(scope, receive)
        path = scope["path"]
        if path == "/health" and not self.stopping:
            await answer(200, {"healthy": True})(scope, receive, send)
            return
        started = self._clock()
        status, session = 0, None

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self.stopping:  # nobody is to send another request on this connection
                    message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        try:
            try:
                if path == "/health":
                    response = answer(503, {"healthy": False})
                elif path == "/delay":
                    response = await self._delay(request)
                else:
                    response, session = await self._page(request)
            except Refused as refusal:
                response = answer(refusal.status, {"error": str(refusal)})
            await response(scope, receive, note_status)
        except (ClientDisconnect, OSError):
            status = status or 499
        finally:
            self._log(request, status or 500, (self._clock() - started) * 1000, session)

    async def _page(self, request: Request) -> tuple[Response, str]:
        if self.delay_milliseconds:
            await asyncio.sleep(self.delay_milliseconds / 1000)
        offered = request.cookies.get(COOKIE, "")
        session, counter = self.sessions.visit(offered)
        document: dict[str, object] = {
            "address": address_of(request.scope),
            "host": self._host,
            "session": session,
            "counter": counter,
            "path": request.scope["path"],
            "time": now(),
        }
        cookie = {"set-cookie": f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax"} if session != offered else {}
        return answer(200, document, cookie), session

    async def _delay(self, request: Request) -> Response:
        if request.method == "POST":
            body = await body_of(request)
            self.delay_milliseconds = delay_from(request.headers.get("content-type", ""), body)
        elif request.method not in ("GET", "HEAD"):
            return answer(405, {"error": "GET tells the delay, POST sets it"}, {"allow": "GET, HEAD, POST"})
        document: dict[str, object] = {"delay": self.delay_milliseconds, "host": self._host}
        return answer(200, document)

    def _log(self, request: Request, status: int, milliseconds: float, session: str | None) -> None:
        identity = request.headers.get("x-request-id", "")
        line = {
            "time": now(),
            "method": request.method[:32],
            "path": request.scope["path"][:PATH_LOGGED_CHARACTERS_MAX],
            "status": status,
            "ms": round(milliseconds, 3),
            "session": session[:8] if session else None,
            "request_id": identity if REQUEST_ID.fullmatch(identity) else None,
        }
        self._write_line(json.dumps(line))


def now() -> str:
    """The present time as RFC 3339, UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_line(line: str) -> None:
    """One line to standard output, at once. A reader that went away is no reason to stop serving."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class Server(uvicorn.Server):
    """uvicorn that tells the application when it stops, and ends with status 0 then.

    Its own handling of SIGTERM raises the signal again when all is done, which ends the process by that signal.
    """

    def __init__(self, config: uvicorn.Config, app: Webapp) -> None:
        super().__init__(config)
        self._app = app

    def _stop(self, number: int) -> None:
        self._app.stopping = True
        self.handle_exit(number, None)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        yield


def listen(port: int) -> socket.socket:
    """A listening socket for IPv4 and, where the kernel has it, IPv6. Raises OSError when the port is taken."""
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):
            return socket.create_server(("::", port), family=socket.AF_INET6, backlog=2048, dualstack_ipv6=True)
    return socket.create_server(("0.0.0.0", port), backlog=2048)


def main() -> int:
    """Serve until SIGTERM: then close the listener, finish what is under way, at most DRAIN_SECONDS, and return 0."""
    text = os.environ.get("PORT", "3000")
    if not (text.isdecimal() and 1 <= int(text) <= 65535):
        print(f"webapp: PORT is {text!r}: give a number from 1 to 65535", file=sys.stderr)
        return 2
    try:
        listener = listen(int(text))
    except OSError as error:
        print(f"webapp: cannot listen on port {text}: {os.strerror(error.errno or 0)}", file=sys.stderr)
        return 1
    app = Webapp(write_line)
    config = uvicorn.Config(
        app,
        access_log=False,
        lifespan="off",
        limit_concurrency=CONCURRENT_REQUESTS_MAX,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    Server(config, app).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
