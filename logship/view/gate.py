"""Edge: what every request passes and every answer carries: allowed hosts, methods, and headers that bind the browser.

The list of hosts is against DNS rebinding: a page of somebody else that makes its own name point here is refused.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
QUERY_BYTES_MAX = 8192
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Gate:
    """ASGI: refuses foreign Host names and anything but GET and HEAD; adds the headers."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in (*LOCAL_HOSTS, *hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        said = Headers(scope=scope).get("host", "")
        if scope["path"] != "/healthz" and host_of(said) not in self._hosts:
            text = f"this viewer is not called {host_of(said)[:100]!r}; name it by LOGSHIP_VIEW_HOSTS if it is\n"
            return PlainTextResponse(text, 421)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("only GET is known here\n", 405, {"allow": "GET, HEAD"})
        if len(scope["query_string"]) > QUERY_BYTES_MAX:
            return PlainTextResponse(f"the query is longer than {QUERY_BYTES_MAX} bytes\n", 414)
        return None


def host_of(said: str) -> str:
    """The name in a Host header, without its port."""
    name, colon, port = said.strip().lower().rpartition(":")
    return name if colon and port.isdigit() and (not said.startswith("[") or name.endswith("]")) else said.lower()
