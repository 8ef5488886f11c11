"""Core: from the bytes of a stream to the lines people read in ``docker logs``: ``webapp | hello``.

Only whole lines come out, so lines of several programs do not mix within a line. Bytes stay as they are, colours and
broken UTF-8 too: the copy is for a terminal, and who wrote to one saw the same. NUL alone becomes ``\\0``: it is
invisible there, and a single one makes grep call the whole log binary. A line beyond ``line_bytes_max`` is cut, with a
mark that says by how much. The stream itself keeps every byte.
"""

from __future__ import annotations

from collections.abc import Callable


class LineCutter:
    """Holds the unfinished last line between two feedings; ``unread`` is how many bytes have gone in but not out."""

    def __init__(self, prefix: bytes, line_bytes_max: int, keep: Callable[[bytes], bool] | None = None) -> None:
        self._prefix = prefix
        self._line_bytes_max = line_bytes_max
        self._keep = keep
        self._held = b""
        self._cut_bytes = 0

    @property
    def unread(self) -> int:
        """Bytes of the unfinished line, those beyond its bound included."""
        return len(self._held) + self._cut_bytes

    def feed(self, data: bytes) -> bytes:
        """The lines that ``data`` finishes, ready to be written; empty when it finishes none."""
        end = data.rfind(b"\n") + 1
        if end == 0:
            self._hold(data)
            return b""
        out = b""
        first = 0
        if self._cut_bytes:  # the cut line ends here
            first = data.index(b"\n") + 1
            self._hold(data[: first - 1])
            out = self.flush()
        body = self._held + data[first:end]
        self._held = b""
        self._hold(data[end:])
        return out + self._lines(body) if body else out

    def flush(self) -> bytes:
        """The unfinished line as if it had ended here; empty when there is none."""
        if not self._held:
            return b""
        mark = b" [%d bytes cut]" % self._cut_bytes if self._cut_bytes else b""
        line = self._prefix + _visible(self._held) + mark + b"\n"
        kept = self._keep is None or self._keep(self._held)
        self._held, self._cut_bytes = b"", 0
        return line if kept else b""

    def reset(self) -> None:
        """Forget the unfinished line: what is fed next begins a line."""
        self._held, self._cut_bytes = b"", 0

    def _hold(self, data: bytes) -> None:
        room = self._line_bytes_max - len(self._held)
        self._held += data[:room]
        self._cut_bytes += max(0, len(data) - room)

    def _lines(self, body: bytes) -> bytes:
        """``body``, whole lines, with the prefix before each."""
        if self._keep is None and len(body) <= self._line_bytes_max:
            return self._prefix + _visible(body[:-1]).replace(b"\n", b"\n" + self._prefix) + b"\n"
        return b"".join(self._line(line) for line in body[:-1].split(b"\n"))

    def _line(self, line: bytes) -> bytes:
        if self._keep is not None and not self._keep(line):
            return b""
        extra = len(line) - self._line_bytes_max
        if extra > 0:
            return self._prefix + _visible(line[: self._line_bytes_max]) + b" [%d bytes cut]\n" % extra
        return self._prefix + _visible(line) + b"\n"


def prefix(program: str, width: int) -> bytes:
    """``webapp      | ``: the name aligned to the longest one."""
    return f"{program:<{width}} | ".encode()


def not_a_snapshot(line: bytes) -> bool:
    """False for PID 1's snapshot lines: four a minute for readers of the stream, noise for people."""
    return not (b'"event": "snapshot"' in line or b'"event":"snapshot"' in line)


def _visible(data: bytes) -> bytes:
    return data.replace(b"\0", b"\\0") if b"\0" in data else data
