"""Core: what a sender does at each event, one action of the table in ``states`` after the other.

Left to others: which action it is (``sender``), doing what they ask for (``run``).
"""

from __future__ import annotations

import hashlib

from logship.ship.chain import Link, first_path, present
from logship.ship.standing import Standing
from logship.ship.states import (
    Acknowledged,
    Commands,
    Input,
    ListChain,
    Prove,
    Record,
    Say,
    Send,
    State,
)
from logship.ship.stream import Stream
from logship.spool.ranges import Span
from logship.values import Loss, Source, StreamPath
from logship.wire.fields import SOURCE_PATH_BYTES_MAX, percent_encode
from logship.wire.requests import Create


class Steps(Standing):
    """The actions that bring bytes along. Offsets are the source's."""

    # Granted a turn:

    def _list(self, _given: Input) -> Commands:
        return [ListChain(self.origin.incarnation)]

    def _ask(self, _given: Input) -> Commands:
        return [self._present.look()]

    def _send(self, given: Input) -> Commands:
        size = min(given.bytes_max, self._bytes_max, self.held.room(self.position))
        starts, size = self.held.starts_in(self.position, size)
        path = self.held.path if self.held.path != self._path and told(self.held.path) else None
        self._path = self.held.path
        return [Send(self._present.append(starts, path), self.position, size)]

    def _record(self, _given: Input) -> Commands:
        assert self._loss is not None
        return [Record(self._loss)]

    def _close(self, _given: Input) -> Commands:
        return [self._present.closing()]

    def _create(self, _given: Input) -> Commands:
        assert self._next is not None
        lost = Span(self.position, self._next.base - self.position)
        why = self.held.why(lost) if lost.size else ""
        text = self.origin.source_text(self._next.continues, lost.size, why, self.held.when(lost))
        return [Create(self._next.path, source=Source(text))]

    # Answered:

    def _chain(self, given: Input) -> Commands:
        self._known = {link.path: link for link in given.links}
        last = present(given.links)
        if last is not None:
            if self.stream is None or self.stream.path != last.path:  # else its epoch is kept
                self._open(last)
            self.state = State.ASKING
            return []
        forgotten = self.position > 0
        self.stream, self.position, self.state = None, 0, State.BETWEEN
        self.gone = self.held.gone
        text = f"{self.origin.program}: the collector knows nothing of it any more; what is held is sent anew"
        return [Acknowledged(0), *([Say("forgotten", text, trouble=True)] if forgotten else [])]

    def _find(self, given: Input) -> Commands:
        answer, held, stream = given.answer, self.held, self._present
        if answer.next_offset is None or answer.tail_bytes > answer.next_offset:
            return self._parked("HEAD was answered without saying where the stream ends", given)
        stream.found(answer)
        self.position = stream.end
        if stream.fenced:
            return self._fence(given)
        if held.any and held.end < stream.end and not held.is_file:
            return self._distrust(given)
        if answer.next_offset == 0 and not (held.is_file and held.gone != self.gone):
            return self._trust(given)
        span = Span(stream.end - answer.tail_bytes, answer.tail_bytes)
        if answer.next_offset == 0:
            return self._seek()
        if held.is_file and (answer.tail_digest is None or not span.size):
            return self._distrust(given)
        if answer.tail_digest is None or not span.size or not (held.is_file or held.holds(span)):
            return self._leave(given)
        self.state = State.PROVING
        return [Prove(span, answer.tail_digest)]

    def _seek(self) -> Commands:
        """The file's content was replaced before any of it was stored. A copy may have been made of it before."""
        self.state = State.PROVING
        return [Prove(Span(0, 0), None)]

    def _trust(self, _given: Input) -> Commands:
        """The source is what is stored, or nothing is stored of what it holds."""
        if self.stream is None or self._unbegun:
            self.state = State.BETWEEN
            return []
        if self._present.closed:
            self.state = State.BETWEEN
        else:
            self.state = State.SENDING if self._present.won else State.CLAIMING
        return [Acknowledged(self.position)]

    def _distrust(self, given: Input) -> Commands:
        """The source is not what is stored, or not any more."""
        if self.held.is_file:
            return self._lose_content(given)
        missing = self.position - self.held.end
        if missing > 0:
            self._resume, kind, how = self.held.end, "shorter", "length"
            reason = f"the source ends {missing} bytes before what is stored of it; it may have lost more than that"
        else:
            first = self.held.first()
            self._resume, kind, how = self.position if first is None else first, "differs", "tail digest"
            reason = "the source does not hold the bytes that are stored; all it holds goes to the next stream"
        stream = self._present
        self._lose(kind, stream.path, stream.end - stream.base, None, reason, how)
        return [Say("not what is stored", f"{stream.path}: {reason}", trouble=True)]

    def _lose_content(self, _given: Input) -> Commands:
        """The file has another content than before: that begins a stream of its own. What was seen and not read of
        the former ones is lost to the byte; what was written after the last look at them nobody knows."""
        stored = 0 if self._unbegun or self.stream is None else self.position
        unread = max(0, self.held.gone - self.gone - stored)
        path, offset = first_path(self.origin), 0
        if self.stream is not None:
            path, offset = self.stream.path, self.stream.end - self.stream.base
        reason = "the file was emptied or replaced in place"
        if self.held.vanished:
            reason = self.held.vanished
        elif unread:
            reason += f"; {unread} bytes of it were seen and not read, what came after the last look is not known"
        else:
            reason += "; what was written to it after the last look is not known"
        kind = f"replaced-{self.held.gone}" if self.held.gone else "gone" if self.held.vanished else "replaced"
        self.gone, self._unbegun, self._resume = self.held.gone, True, 0
        self._lose(kind, path, offset, unread or None, reason, "looks at the file")
        event = "file gone" if self.held.vanished else "file replaced"
        return [Say(event, f"{path}: {reason}", trouble=unread > 0 or bool(self.held.vanished))]

    def _go(self, given: Input) -> Commands:
        """The record is there."""
        self._leave_for(self._resume)
        return self._left(given) if self.stream is None or self.stream.closed else []

    def _leave(self, given: Input) -> Commands:
        """Whether the source is what is stored cannot be seen any more: go on in a new stream."""
        self._leave_for(self.position)
        return self._left(given) if self._present.closed else []

    def _shut(self, given: Input) -> Commands:
        """Closed, if the answer says so: a late append of the same sequence makes the closing one a duplicate."""
        stream = self._present
        if given.answer.closed and given.answer.next_offset == stream.end - stream.base:
            return self._left(given)
        return self._reask(given)

    def _left(self, _given: Input) -> Commands:
        """The stream, if there is one, is closed."""
        if self.stream is not None:
            self.stream.closed = True
        self.position, self.state = self._resume, State.BETWEEN
        self._backoff.reset()
        return [Acknowledged(self.position)]

    def _make(self, given: Input) -> Commands:
        if given.answer.status != 201 or self._next is None:
            return self._adopt(given)
        lost = self._next.base - self.position
        self._open(self._next)
        self.position = self._next.base
        self._backoff.reset()
        text = f"{self._present.path}: {lost} bytes before it are lost" if lost else self._present.path
        return [*self._trust(given), Say("stream begun", text, trouble=lost > 0)]

    def _adopt(self, _given: Input) -> Commands:
        """The stream that was to be made is there."""
        assert self._next is not None
        self._open(self._next)
        self.state = State.ASKING
        return []

    def _take(self, given: Input) -> Commands:
        if not self._present.taken(given.sent, given.answer):
            return self._reask(given)
        self.position = self._present.end
        self.state = State.SENDING
        self._backoff.reset()
        if not self.trouble:
            return [Acknowledged(self.position)]
        said, self.trouble = self.trouble, ""
        return [Acknowledged(self.position), Say("goes on", f"{self._present.path} after: {said}")]

    def _retire(self, given: Input) -> Commands:
        if given.answer.next_offset is None:
            return self._parked("a retired stream that does not say where it ended", given)
        self._present.found(given.answer)
        self._present.closed, self.position = True, self._present.end
        return self._distrust(given) if self.held.any and self.held.end < self.position else self._trust(given)

    def _open(self, link: Link) -> None:
        """This is the present stream from now on."""
        self._known[link.path] = link
        self._unbegun, self._path = False, None
        self.stream = Stream(link, f"ship-{self.origin.incarnation}")

    def _finish(self) -> None:
        """The source has ended and has no more bytes. What it lost at its very end no later stream can tell."""
        lost = Span(self.position, self.held.end - self.position)
        if lost.size <= 0:
            self._leave_for(self.position)
            if self.stream is None or self.stream.closed:
                self.state = State.DRAINED
            return
        self._resume = self.held.end
        path = first_path(self.origin) if self.stream is None else self.stream.path
        offset = self.position - (0 if self.stream is None else self.stream.base)
        how = "the source's own record"
        self._lose("end", path, offset, lost.size, self.held.why(lost), how, self.held.when(lost))

    def _lose(
        self,
        kind: str,
        path: StreamPath,
        offset: int,
        size: int | None,
        reason: str,
        how: str,
        when: tuple[str, str] | None = None,
    ) -> None:
        """A record of loss is due; its id is the same each time, so it counts once."""
        name = hashlib.sha256(path.encode()).hexdigest()[:32]
        first, last = when or (None, None)
        self._loss = Loss(
            f"ship-{name}-{kind}-{offset}", path, offset, size,
            from_time=first, to_time=last, reason=reason, how=how,
        )  # fmt: skip
        self.state = State.RECORDING

    def _leave_for(self, offset: int) -> None:
        """Close the stream; the next one goes on at this spool offset."""
        self._resume, self.state = offset, State.CLOSING


def told(path: str | None) -> bool:
    """Whether a path can travel: text, and short enough once it is escaped."""
    if path is None or not path.isprintable():
        return False
    return len(percent_encode(path)) <= SOURCE_PATH_BYTES_MAX
