"""Edge: bytes that retention took from the journal, asked of ``logship view`` over its socket in the store.

Only it reads the lake. Nothing here is kept, and nobody waits long: without a viewer that answers it is said that they
are there, and that nobody reads them. Left to others: which bytes (``reader``), the lake (``logship.lake``).
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from logship.collect.folder import socket_path
from logship.ship.http1 import AnswerParser, Broken, Reply, request_head
from logship.values import StreamPath
from logship.wire import Code, Refusal

ASKED_MAX = 4
"""Answers that are waited for at a time: as many as the viewer reads at a time."""
ANSWER_SECONDS = 20.0
_REFUSAL_BYTES_MAX = 65_536
_PIECE_BYTES = 256 * 1024


class Older:
    """Asks the viewer of the store in ``store``."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._turns = asyncio.Semaphore(ASKED_MAX)

    async def read(self, path: StreamPath, start: int, end: int) -> bytes | Refusal:
        """The bytes from ``start`` to ``end``, one at least; fewer where some are missing, and there a refusal."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._turns:
                reply = await self._ask(path, start, end)
        except TimeoutError:
            return _nobody(path, start, f"`logship view` does not answer within {ANSWER_SECONDS:.0f} s")
        except (OSError, Broken) as error:
            return _nobody(path, start, f"no `logship view` of this store answers ({error})")
        if reply.status == 200 and 0 < len(reply.body) <= end - start:
            return reply.body
        return _refusal(path, start, reply)

    async def _ask(self, path: StreamPath, start: int, end: int) -> Reply:
        with socket_path(self._store) as name:
            reader, writer = await asyncio.open_unix_connection(name)
        try:
            target = "/api/bytes?" + urlencode({"stream": path, "from": start, "to": end})
            writer.write(request_head("GET", target, "localhost", [("Connection", "close")], None))
            parser = AnswerParser("GET", end - start + _REFUSAL_BYTES_MAX)
            while parser.reply is None:
                data = await reader.read(_PIECE_BYTES)
                if data:
                    parser.feed(data)
                else:
                    parser.end()
            return parser.reply
        finally:
            writer.close()


def _refusal(path: StreamPath, start: int, reply: Reply) -> Refusal:
    """What the viewer's refusal is on the wire."""
    try:
        said: dict[str, Any] = json.loads(reply.body)
        code, text, end = said["error"], str(said["text"]), said.get("to")
    except (ValueError, KeyError, TypeError, AttributeError):
        return _nobody(path, start, f"`logship view` answers {reply.status}")
    if code == "not-kept" and isinstance(end, int):
        return Refusal(Code.RETIRED, f"{text}; read on from {end}", first_offset=end)
    if code == "damaged" and isinstance(end, int):
        return Refusal(Code.DAMAGED, text, damage_end=end)
    return _nobody(path, start, f"`logship view` says: {text}")


def _nobody(path: StreamPath, start: int, why: str) -> Refusal:
    reason = f"the bytes at {start} are in the lake alone, and {' '.join(why.split())}; ask again ({path})"
    return Refusal(Code.NO_VIEWER, reason)
