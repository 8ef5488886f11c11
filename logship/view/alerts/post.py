"""Edge: a notification to a webhook: one POST, its answer, all within TRY_SECONDS; no redirection is followed."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

from logship import __version__
from logship.ship.http_sink import Place, Sink, Unanswered
from logship.view.alerts.outbox import AGAIN, REFUSED, TAKEN

TRY_SECONDS = 10.0
ANSWER_BYTES_MAX = 1 << 20
_LATER = (408, 425, 429)


def post(url: str, key: str, body: str, seconds: float = TRY_SECONDS) -> tuple[str, str]:
    """What came of it, one of outbox's words, and why. ``key`` is the same whenever this body is sent."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    place = Place(parts.hostname or "", parts.port or (443 if secure else 80))
    sink = _Secure(place) if secure else Sink(place)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    fields = [("Content-Type", "application/json"), ("Idempotency-Key", f'"{key}"'),
              ("User-Agent", f"logship/{__version__}"), ("Connection", "close")]  # fmt: skip
    try:
        status = sink.exchange("POST", target, fields, body.encode(), seconds, ANSWER_BYTES_MAX).status
    except Unanswered as error:
        return AGAIN, error.cause
    finally:
        sink.close()
    if 200 <= status < 300:
        return TAKEN, ""
    if status in _LATER or status >= 500:
        return AGAIN, f"it answers {status}"
    return REFUSED, f"it answers {status}" + (", which is not followed" if 300 <= status < 400 else "")


class _Secure(Sink):
    """The same over TLS."""

    def _connect(self, deadline: float) -> socket.socket:
        connection = super()._connect(deadline)
        try:
            return ssl.create_default_context().wrap_socket(connection, server_hostname=self._place.host)
        except OSError as error:
            connection.close()
            raise Unanswered(f"no secure connection: {getattr(error, 'reason', None) or error}") from None
