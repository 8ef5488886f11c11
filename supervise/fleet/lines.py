"""Core: the streams of several programs, arriving in pieces, as whole lines that say whose they are."""

from __future__ import annotations

from supervise.fleet.table import harmless

LINE_BYTES_MAX = 64 * 1024
"""Of a longer line, each piece of this size is shown as a line of its own."""

_HEAD_BYTES_MAX = 200


def framed(name: str, data: bytes) -> bytes:
    """A piece of a stream, for a connection that several programs share: ``NAME LENGTH\\n``, then the bytes."""
    return b"%s %d\n%s" % (name.encode(), len(data), data)


class Frames:
    """Takes apart what ``framed`` put together, whatever the pieces it arrives in."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """The whole frames that are there now. Raises ValueError for what is no frame."""
        self._held += data
        found: list[tuple[str, bytes]] = []
        while True:
            head, newline, rest = self._held.partition(b"\n")
            if not newline and len(head) <= _HEAD_BYTES_MAX:
                return found
            name, _, length = head.partition(b" ")
            if not newline or not length.isdigit():
                raise ValueError(f"not a frame: {head[:60]!r}")
            if len(rest) < int(length):
                return found
            found.append((name.decode(errors="replace"), rest[: int(length)]))
            self._held = rest[int(length) :]


class Lines:
    """Whole lines of one stream, each behind ``prefix``. ``for_terminal``: nothing in them commands the terminal."""

    def __init__(self, prefix: str, for_terminal: bool) -> None:
        self._prefix = prefix.encode()
        self._for_terminal = for_terminal
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """The lines that are whole now; the beginning of the next one is held."""
        *whole, self._held = (self._held + data).split(b"\n")
        while len(self._held) > LINE_BYTES_MAX:
            whole.append(self._held[:LINE_BYTES_MAX])
            self._held = self._held[LINE_BYTES_MAX:]
        return b"".join(map(self._line, whole))

    def end(self) -> bytes:
        """What is held, as a last line; nothing if nothing is."""
        held, self._held = self._held, b""
        return self._line(held) if held else b""

    def _line(self, line: bytes) -> bytes:
        if self._for_terminal:
            text = line.removesuffix(b"\r").decode(errors="backslashreplace")
            line = harmless(text).encode()
        return self._prefix + line + b"\n"
