"""Edge: questions to ``logship view`` over HTTP, answers as records, one by one.

Left to others: what they mean (``output``), when to ask again (``run``).
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from logship.errors import USAGE, Fault

UNREACHABLE = 4
"""Exit status when the viewer cannot be reached, or has no store to read."""
READING_SECONDS = 1.0
READING_TRIES_MAX = 600
"""How long, and how often, is waited for a viewer that has started and still reads the journal."""
SILENCE_SECONDS = 60.0
"""The viewer says something each 15 s; longer silence is a lost connection."""
RECORD_BYTES_MAX = 16 * 1024 * 1024
BODY_BYTES = 256 * 1024

RECORDS, BYTES = "application/x-ndjson", "application/octet-stream"
"""What a viewer's answers are; whatever else answers with 200 is none."""
MISTAKES = (400, 404, 414)
"""What a viewer answers to a question that has no answer."""

Record = dict[str, Any]


class Lost(Exception):
    """The connection was lost; asking again may help."""


class Replaced(Exception):
    """The cursor is of another store than the one there is now."""


class Broken(Exception):
    """The bytes from ``start`` to ``end`` of a stream cannot be given: "not-kept", "damaged" or "unreadable"."""

    def __init__(self, start: int, end: int, what: str, text: str) -> None:
        super().__init__(text)
        self.start, self.end, self.what = start, end, what


class _Reading(Exception):
    """The viewer still reads the journal; the text says how far it is."""


class Client:
    """Asks the viewer at ``url``. ``tell`` takes a sentence for people; ``pause`` waits for so many seconds."""

    def __init__(
        self,
        url: str,
        tell: Callable[[str], None] = lambda _: None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        parts, port = _split(url)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            hint = "give one like http://127.0.0.1:8080 by --url or LOGSHIP_URL"
            raise Fault("ask the viewer at", url, "it is no URL of a viewer", hint, USAGE)
        self.url = url
        self._tell = tell
        self._pause = pause
        self._secure = parts.scheme == "https"
        self._place = (parts.hostname, port or (443 if self._secure else 80))
        self._base = parts.path.rstrip("/")

    def records(self, path: str, parameters: Sequence[tuple[str, str]] = ()) -> Iterator[Record | None]:
        """The records of an answer; None for each empty line. Waits while the viewer still reads the journal.

        Raises Lost, Replaced, and Fault for a refusal.
        """
        for tries in range(READING_TRIES_MAX):
            try:
                yield from self._records(path, parameters)
                return
            except _Reading as reading:  # nothing was given yet
                if tries == 0:
                    self._tell(f"the viewer is {reading}; waiting for it")
                self._pause(READING_SECONDS)
        raise self.unreachable("it still reads the journal")

    def _records(self, path: str, parameters: Sequence[tuple[str, str]]) -> Iterator[Record | None]:
        with self._answer(path, parameters, RECORDS) as answer:
            for line in self._lines(answer):
                yield self._record(path, line) if line else None

    def body(self, path: str, parameters: Sequence[tuple[str, str]]) -> Iterator[bytes]:
        """The bytes of an answer. Raises Lost, Broken, and Fault for a refusal."""
        with self._answer(path, parameters, BYTES) as answer:
            try:
                while data := answer.read(BODY_BYTES):
                    yield data
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise Lost(_cause(error)) from None

    @contextmanager
    def _answer(
        self, path: str, parameters: Sequence[tuple[str, str]], kind: str
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connection()
        try:
            try:
                connection.request("GET", f"{self._base}{path}?{urlencode(parameters)}")
                answer = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise Lost(_cause(error)) from None
            if answer.status != 200:
                raise self._refusal(path, answer.status, answer.read(65_536))
            if answer.headers.get_content_type() != kind:
                raise self._another(path, f"{answer.headers['content-type'] or 'bytes of no type'}, not {kind}")
            yield answer
        finally:
            connection.close()

    def alive(self) -> bool:
        """Whether the viewer answers, and has a journal to read."""
        connection = self._connection()
        try:
            connection.request("GET", f"{self._base}/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def unreachable(self, cause: str) -> Fault:
        """What to say when the viewer does not answer."""
        hint = "is `logship view` running, and is its port published? another address: --url or LOGSHIP_URL"
        return Fault("reach the viewer at", self.url, cause, hint, UNREACHABLE)

    def _another(self, path: str, what: str) -> Fault:
        """What to say when something else answers there."""
        cause = f"what answers there is no `logship view`: its answer to {path} is {what}"
        hint = "give the URL of `logship view` by --url or LOGSHIP_URL; its port is 8080 unless it was told another"
        return Fault("ask the viewer at", self.url, cause, hint, UNREACHABLE)

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(*self._place, timeout=SILENCE_SECONDS)

    def _lines(self, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        while True:
            try:
                line = answer.readline(RECORD_BYTES_MAX)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise Lost(_cause(error)) from None
            if not line:
                return
            if not line.endswith(b"\n"):
                raise Lost("the answer was cut off")
            yield line.rstrip(b"\n")

    def _record(self, path: str, line: bytes) -> Record:
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
        raise self._another(path, "a line that is no record")

    def _refusal(self, path: str, status: int, body: bytes) -> Exception:
        try:
            said = json.loads(body)
            code, text = str(said["error"]), str(said["text"])
        except (ValueError, KeyError, TypeError):
            return self._another(path, f"of status {status} and says not why, as a viewer's would")
        if code == "bad-cursor":
            return Replaced(text)
        if code == "reading":
            return _Reading(text)
        if code in ("damaged", "not-kept", "unreadable") and "to" in said:
            return Broken(int(said["from"]), int(said["to"]), code, text)
        if status == 503:
            return Fault("read from the viewer at", self.url, text, "", UNREACHABLE)
        if status in MISTAKES:  # the viewer is there, and understood what it refuses
            return Fault("read", path.rpartition("/")[2], text, f"asked was the viewer at {self.url}", USAGE)
        return Fault("ask the viewer at", self.url, text, "", 1)


def _split(url: str) -> tuple[SplitResult | None, int | None]:
    """The parts and the port; None for what is no URL at all, as one with a port beyond 65535."""
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError:
        return None, None


def _cause(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
