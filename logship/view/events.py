"""Core: which line goes on with the one before it in its stream, so that a stack trace is one event of many lines.

Told by what lines look like alone: indentation; Python's, Java's, Node's and Go's traces; what stands under a line that
says that something went wrong. A line that says its time, or is a JSON object, always begins an event; so does one that
was received more than NEAR_MS after the line before it, and the first of a program's life. Bytes are never touched.
An event is bounded: what goes on beyond EVENT_LINES_MAX or EVENT_BYTES_MAX is another one.

Left to others: reading the lines before a window (``grouped``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from logship.view.lines import Line
from logship.view.moment import says_time

EVENT_LINES_MAX = 500
EVENT_BYTES_MAX = 65_536
NEAR_MS = 2000
LOOKED_AT_BYTES = 512


class Look(Enum):
    """What a line looks like."""

    SAYS_TIME = auto()
    BLANK = auto()
    FRAME = auto()  # at com.example.Main.run(Main.java:3)
    INDENTED = auto()
    CLOSER = auto()  # a bracket alone, as at the end of what Node shows of an error
    CAUSE = auto()  # Caused by: ...
    TRACEBACK = auto()  # Traceback (most recent call last):
    EXCEPTION = auto()  # java.lang.RuntimeException: ..., TypeError: ...
    PANIC = auto()  # panic: ..., fatal error: ...
    SIGNAL = auto()  # [signal SIGSEGV: ...
    GOROUTINE = auto()  # goroutine 1 [running]:
    CALL = auto()  # main.run(0x1, 0x2), created by main.main
    NAME = auto()  # a word, with or without a colon and more: Python's last line, if it is one
    OTHER = auto()


_TRACES = frozenset({
    Look.FRAME, Look.INDENTED, Look.CAUSE, Look.TRACEBACK, Look.EXCEPTION, Look.PANIC, Look.SIGNAL, Look.GOROUTINE,
})  # fmt: skip
_LOOKS = (
    (Look.FRAME, re.compile(rb"[ \t]+(?:at \S|\.\.\. \d+ (?:more|common frames omitted))")),
    (Look.INDENTED, re.compile(rb"[ \t]+\S")),
    (Look.CLOSER, re.compile(rb"[)\]}]{1,8}[,;]?\r?$")),
    (
        Look.CAUSE,
        re.compile(
            rb"Caused by: |Suppressed: |\.\.\. \d+ more|During handling of the above exception, |"
            rb"The above exception was the direct cause |--- End of "
        ),
    ),
    (Look.TRACEBACK, re.compile(rb"Traceback \(most recent call last\):|Exception Group Traceback ")),
    (Look.GOROUTINE, re.compile(rb"goroutine \d+ (?:[^\[\n]{0,80} )?\[")),
    (Look.SIGNAL, re.compile(rb"\[signal |\[originating from goroutine ")),
    (Look.PANIC, re.compile(rb"panic: |fatal error: |SIG[A-Z]+: ")),
    (
        Look.EXCEPTION,
        re.compile(
            rb"(?:Uncaught |Unhandled |Exception in thread \"[^\"]{0,200}\" )?"
            rb"(?:[A-Za-z_$][\w$]*[./])*[\w$]*(?:Error|Exception|Throwable)(?: \[\w+\])?(?:: |:?\r?$)|"
            rb"Exception in thread |Unhandled exception|Uncaught exception"
        ),
    ),
    (Look.CALL, re.compile(rb"created by [\w./*()\[\]-]+|[\w./-]+(?:\.\(\*?[\w.\[\]]+\))?[\w.\[\]-]*\([^()]*\)\r?$")),
    (Look.NAME, re.compile(rb"[A-Za-z_][\w.]*(?:: .*|:?\r?)$")),
)
_WRONG = re.compile(
    rb"\b(?:error|err|exceptions?|fail\w*|fatal|crit\w*|panic\w*|warn\w*|severe|emerg\w*|alert|traceback|unhandled|"
    rb"uncaught|crash\w*)\b",
    re.IGNORECASE,
)


def look(text: bytes) -> Look:
    """What a line without its terminator looks like."""
    head = text[:LOOKED_AT_BYTES]
    if not head.strip():
        return Look.BLANK if len(text) <= LOOKED_AT_BYTES else Look.OTHER
    if head.startswith(b"{") or says_time(head):
        return Look.SAYS_TIME
    return next((kind for kind, pattern in _LOOKS if pattern.match(head)), Look.OTHER)


@dataclass(slots=True)
class _Before:
    """The line before, and the event it is in. ``trace`` is the last look of a trace in it; ``blank`` since then."""

    look: Look
    wrong: bool
    python: bool = False
    go: bool = False
    trace: Look | None = None
    blank: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands: in the event that begins at offset ``start``; ``begins`` it or goes on.

    ``certain``: whoever had begun to look anywhere before would say the same.
    """

    start: int
    begins: bool
    certain: bool


class Grouping:
    """Takes the lines of a stream in order. Nothing is known of what came before the first one."""

    def __init__(self) -> None:
        self._before: _Before | None = None
        self._known = False
        self._start = 0
        self._lines = 0
        self._received_ms = 0
        self._certain = False

    def restart(self) -> None:
        """The next line has nothing to do with those before it: its program was started, or bytes are missing."""
        self._before, self._known = None, True

    def take(self, line: Line) -> Place:
        """Where the next line stands."""
        text = line.text
        kind = look(text)
        before = self._before
        far = before is not None and line.received_ms - self._received_ms > NEAR_MS
        if before is None or far:
            goes_on = False
            certain = self._known or far or kind in (Look.SAYS_TIME, Look.OTHER)
        else:
            goes_on = _goes_on(kind, before)
            certain = kind in (Look.SAYS_TIME, Look.OTHER) or self._certain
        cut = goes_on and (
            self._lines >= EVENT_LINES_MAX or line.offset + len(line.data) - self._start > EVENT_BYTES_MAX
        )
        if cut or not goes_on:
            self._start, self._lines, self._certain = line.offset, 0, certain
        self._before = _after(kind, text, before if goes_on else None)
        self._lines += 1
        self._received_ms = line.received_ms
        return Place(self._start, not goes_on or cut, self._certain)


def _goes_on(kind: Look, before: _Before) -> bool:
    under_wrong = before.wrong and not before.blank
    match kind:
        case Look.SAYS_TIME | Look.OTHER:
            return False
        case Look.FRAME | Look.INDENTED:
            return True
        case Look.CLOSER:
            return before.look in (Look.FRAME, Look.INDENTED, Look.CLOSER)
        case Look.BLANK:
            return before.trace is not None
        case Look.CAUSE:
            return before.trace is not None or under_wrong
        case Look.TRACEBACK:
            return before.trace is Look.CAUSE or under_wrong
        case Look.EXCEPTION:
            last_of_python = before.python and before.look is Look.INDENTED
            of_node = before.blank and before.trace is Look.INDENTED
            return last_of_python or of_node or under_wrong
        case Look.NAME:
            return before.python and before.look is Look.INDENTED
        case Look.SIGNAL:
            return before.look is Look.PANIC
        case Look.GOROUTINE:
            return before.go or under_wrong
        case Look.CALL:
            return before.go and before.look in (Look.GOROUTINE, Look.INDENTED)
        case Look.PANIC:
            return under_wrong


def _after(kind: Look, text: bytes, before: _Before | None) -> _Before:
    """What is to be known of the line for the next one; ``before`` is the line that it goes on with."""
    if kind is Look.BLANK:
        if before is None:
            return _Before(kind, False)
        return _Before(kind, before.wrong, before.python, before.go, before.trace, True)
    wrong = kind in (Look.SAYS_TIME, Look.OTHER, Look.NAME) and _WRONG.search(text, 0, LOOKED_AT_BYTES) is not None
    python = kind is Look.TRACEBACK or (before is not None and before.python and kind in (Look.INDENTED, Look.CAUSE))
    go = kind in (Look.PANIC, Look.GOROUTINE) or (before is not None and before.go)
    trace = kind if kind in _TRACES else (None if before is None else before.trace)
    return _Before(kind, wrong, python, go, trace)
