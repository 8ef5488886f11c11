"""Core: the bytes of HAProxy's stream -> which numbers of which worker are there, and what is not whole.

One search of a regular expression over the chunk, no loop a line where all lines are numbered. A line without its
number that begins as one of a request does was torn, or cut at the length HAProxy may log.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

HELD_BYTES_MAX = 65_536
"""Of a line whose end has not come; HAProxy writes none that is longer."""

_NUMBERED = re.compile(rb" pid=(\d{1,10}) lc=\d+ tt=[+-]?\d+ n=(\d{1,10})\r?\n")
_UNNUMBERED = re.compile(rb" pid=\d+ lc=\d+ tt=[+-]?\d+(?: n=-)?\r?$")
_STAMP = rb"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3}\] "
_TIME = re.compile(_STAMP)
_REQUEST = re.compile(rb"[0-9A-Fa-f.:]+:\d+ " + _STAMP)
_GLUED = re.compile(rb"[^\n]+?" + _STAMP + rb"[^\n]*?[0-9A-Fa-f.:]+:\d+ " + _STAMP)


@dataclass(slots=True)
class Found:
    """What a chunk holds. ``numbers``: by worker's pid, in the order of the lines; ``torn`` lines lost their end."""

    numbers: dict[int, list[int]] = field(default_factory=dict)
    torn: int = 0
    unnumbered: int = 0
    data: bytes = b""
    offset: int = 0

    def locate(self, number: int) -> int:
        """The offset of the first line with a number."""
        at = self.data.find(b" n=%d\n" % number)
        return self.offset + self.data.rfind(b"\n", 0, max(at, 0)) + 1

    def begins(self, pid: int) -> int:
        """The offset of a worker's first line here, or of a byte in it."""
        return self.offset + max(0, self.data.find(b" pid=%d " % pid))

    def glued(self) -> int:
        """How many torn lines have the next one glued to them: only asked where a number is missing."""
        # A line has one time. Counting times is quick; looking who has two is not, and a request may imitate one.
        if len(_TIME.findall(self.data)) <= sum(map(len, self.numbers.values())):
            return 0
        return len(_GLUED.findall(self.data))


class Scanner:
    """Takes the chunks of one stream in order. ``broken``: what comes next follows on a hole."""

    def __init__(self, held: bytes = b"", *, broken: bool = False) -> None:
        self.held = held
        self.broken = broken

    def take(self, offset: int, data: bytes, starts: Sequence[int] = ()) -> Found:
        """What completes with the bytes from ``offset`` on; ``starts``: where the program was started anew."""
        cut = [start - offset for start in starts if 0 <= start - offset <= len(data)]
        torn = 0
        if cut:
            # A line that was not ended when HAProxy died is no beginning of the next life's first line.
            pieces = [data[low:high] for low, high in zip([0, *cut], [*cut, len(data)], strict=True)]
            parts: list[bytes] = []
            for piece in pieces[:-1]:
                whole = piece if parts else self.held + piece
                torn += bool(whole) and not whole.endswith(b"\n")
                parts.append(whole if whole.endswith(b"\n") or not whole else whole + b"\n")
            text, begins = b"".join([*parts, pieces[-1]]), offset - len(self.held)
        else:
            text, begins = self.held + data if self.held else data, offset - len(self.held)
        end = text.rfind(b"\n") + 1
        self.held = text[end:]
        if len(self.held) > HELD_BYTES_MAX:
            self.held = self.held[-HELD_BYTES_MAX:]
        found = Found(data=text[:end], offset=begins)
        found.torn += torn
        begin = 0
        if self.broken and end:
            self.broken = False
            begin = _rest_bytes(text, end)
            found.torn += bool(begin)
        pairs = _NUMBERED.findall(text, begin, end)
        _sort(pairs, found)
        if text.count(b"\n", begin, end) != len(pairs):
            _look_at_others(found)
        return found


def _rest_bytes(text: bytes, end: int) -> int:
    """How long the first line is, where it is the rest of one whose head is in a hole: a number, but no beginning.

    Lines of another form than ours are taken for whole: the next one with a number has no such beginning, either.
    """
    first = text.find(b"\n", 0, end) + 1
    if not _NUMBERED.search(text, 0, first) or _REQUEST.match(text):
        return 0
    following = _NUMBERED.search(text, first, end)
    if following is None:
        return first
    return first if _REQUEST.match(text, text.rfind(b"\n", 0, following.start()) + 1) else 0


def _sort(pairs: list[tuple[bytes, bytes]], found: Found) -> None:
    if not pairs:
        return
    pids, numbers = zip(*pairs, strict=True)
    if pids.count(pids[0]) == len(pids):
        found.numbers[int(pids[0])] = list(map(int, numbers))
        return
    for pid, number in pairs:
        found.numbers.setdefault(int(pid), []).append(int(number))


def _look_at_others(found: Found) -> None:
    """Lines without a number: HAProxy's warnings, which have none, and lines of requests, which lost theirs."""
    for line in found.data.split(b"\n"):
        if line and _NUMBERED.search(line + b"\n") is None and _REQUEST.match(line):
            if _UNNUMBERED.search(line):
                found.unnumbered += 1
            else:
                found.torn += 1
