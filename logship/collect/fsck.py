"""Run: ``logship fsck``: every byte of a store's journal compared with its checksums, every frame replayed.

Reads alone. A store that no collector works in is kept so by a shared lock while it is checked; one that is in use is
read up to the durable watermark, where every byte has to be good. What ``recover`` would do at the next start decides
what is damage: a torn tail is none. That compressed bodies decode is not tried: they did before they were journaled.
Left to others: frames and their chain (``journal``, ``recovery``), words and advice (``findings``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from logship.collect.disk import Window, watermark
from logship.collect.findings import Checked, Finding, Span
from logship.collect.folder import DURABLE, FORMAT, JOURNAL, Segment, listed, segment_name
from logship.collect.journal import Frame, Kind
from logship.collect.recovery import Torn, Walk, judge
from logship.collect.state import State, load
from logship.errors import USAGE, Fault
from logship.values import Invalid

_WATERMARK_TRIES = 100
_MALFORMED = (AssertionError, KeyError, TypeError, ValueError)
"""What replaying raises where a frame checks, but does not follow on the state."""


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Fsck]:
    """A check of the store in ``folder``. Raises Fault: status 2 where there is no store, 1 where it is not whole."""
    lock = -1
    try:
        lock, in_use = _locked(folder)
        _check_format(folder)
        check = Fsck(folder, in_use)
    except OSError as error:
        if lock >= 0:
            os.close(lock)
        raise Fault("read the store", str(folder), str(error), "run it as a user who may read it", USAGE) from error
    except BaseException:
        if lock >= 0:
            os.close(lock)
        raise
    try:
        yield check
    finally:
        check.close()
        if lock >= 0:
            os.close(lock)


def _locked(folder: Path) -> tuple[int, bool]:
    """A descriptor with a shared lock, or -1; and whether a collector has the store. A copy may have no lock file."""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return -1, False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return -1, True
    return lock, False


def _check_format(folder: Path) -> None:
    try:
        found = (folder / "format").read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if (folder / JOURNAL).is_dir() and listed(folder / JOURNAL):
            hint = f"restore it: one line, {FORMAT.decode().strip()}"
            raise Fault("check the store", str(folder), "it has a journal, but no file `format`", hint) from None
        hint = "give the folder that `logship collect --store` was given"
        raise Fault("check the store", str(folder), "there is none", hint, USAGE) from None
    if found != FORMAT:
        cause = f"its format is {found[:40]!r}, this program knows {FORMAT!r}"
        raise Fault("check the store", str(folder), cause, "run the logship that wrote it, or a newer one", USAGE)


class Fsck:
    """One check. ``in_use``: a collector works in the store; ``durable`` is what its watermark said at the start."""

    def __init__(self, folder: Path, in_use: bool) -> None:
        """List the segments. Raises OSError, and Fault for a journal without any."""
        self.folder = folder
        self.in_use = in_use
        self.durable = self._published()
        if in_use and self.durable is None:
            cause = "a collector is in it, and `durable` says nothing yet"
            raise Fault("check the store", str(folder), cause, "try again when the collector has started", USAGE)
        self.segments = self._listed()
        if not self.segments:
            hint = "keep the folder, and start the collector on a new one"
            raise Fault("check the journal", str(folder / JOURNAL), "it holds no segment", hint)
        self._window = Window(self)
        self._state: State | None = None
        self._exact = False  # whether the next checkpoint has to be this state

    def close(self) -> None:
        """Close the files."""
        self._window.close()

    def end(self) -> int:
        """Where the journal ends by now."""
        return max(self._published() or 0, self._listed()[-1].end)

    def run(self) -> Iterator[Checked]:
        """Each segment as soon as it is checked, oldest first."""
        for segment, following in pairwise([*self.segments, None]):
            assert segment is not None
            yield self._segment(segment, following)

    def _published(self) -> int | None:
        for _ in range(_WATERMARK_TRIES):
            try:
                found = watermark((self.folder / DURABLE).read_bytes())
            except FileNotFoundError:
                return None
            if found is not None or not self.in_use:
                return found
        return None

    def _listed(self) -> list[Segment]:
        """The segments; of a store in use those that begin below the watermark. Retention may delete while we look."""
        for _ in range(_WATERMARK_TRIES):
            with contextlib.suppress(FileNotFoundError):
                found = listed(self.folder / JOURNAL)
                break
        else:
            found = listed(self.folder / JOURNAL)
        return [segment for segment in found if not self.in_use or segment.lsn < (self.durable or 0)]

    def _segment(self, segment: Segment, following: Segment | None) -> Checked:
        end = segment.end
        if following is not None:
            end = min(end, following.lsn)
        elif self.in_use:
            end = min(end, self.durable or 0)
        checked = Checked(f"{JOURNAL}/{segment_name(segment.lsn)}", segment.lsn, end - segment.lsn)
        walk = Walk(self._window.read, segment.lsn, end, bodies=False)
        try:
            for frame in walk:
                checked.frames += 1
                self._frame(checked, frame, end, last=following is None)
                if checked.torn_bytes:
                    return checked
        except (FileNotFoundError, PermissionError) as error:
            if self.in_use and following is not None and isinstance(error, FileNotFoundError):
                checked.gone, checked.bytes, self._state = True, 0, None
                return checked
            hint = "nothing was changed; run it as a user who may read the store"
            raise Fault("read the segment", str(self.folder / checked.name), str(error), hint, USAGE) from error
        except OSError as error:
            walk.fault = Invalid(f"it cannot be read ({error.strerror})")
        self._end(checked, walk, segment, following, end)
        return checked

    def _frame(self, checked: Checked, frame: Frame, end: int, *, last: bool) -> None:
        """Compare the body, replay the frame."""
        reason = "the body of the frame does not check"
        try:
            body = self._window.read(frame.body_lsn, frame.body_bytes)
        except (FileNotFoundError, PermissionError):
            raise
        except OSError as error:
            body, reason = b"", f"the body of the frame cannot be read ({error.strerror})"
        if frame.holds(body):
            self._replay(checked, frame, body, last=last)
            return
        if last and not self.in_use and frame.kind is not Kind.CHECKPOINT:
            verdict = judge(self._window.read, frame.lsn, end, self.durable)
            if isinstance(verdict, Torn):
                checked.torn_bytes = verdict.dropped_bytes
                return
            reason = f"{reason}, and {verdict.reason}"
        entry = frame.entry
        lost = (Span(entry.stream, entry.offset, entry.offset + entry.length),) if entry.length else ()
        checked.add(Finding(frame.lsn, f"{_what(frame)}: {reason}", lost, last))
        self._replay(checked, frame, None, last=last)

    def _replay(self, checked: Checked, frame: Frame, body: bytes | None, *, last: bool) -> None:
        """What the frame makes of the state; None for a body that is damaged."""
        if frame.kind is Kind.CHECKPOINT:
            if body is not None:
                self._load(checked, frame, body, last=last)
            return
        if self._state is None:
            return
        if frame.kind is Kind.LOSSES and body is None:
            self._exact = False
            return
        try:
            self._state.apply(frame, body or b"")
        except _MALFORMED as error:
            reason = f"{_what(frame)} checks, but does not follow on what was before it ({error!r})"
            checked.add(Finding(frame.lsn, reason, None, last))
            self._state = None

    def _load(self, checked: Checked, frame: Frame, body: bytes, *, last: bool) -> None:
        loaded = _loaded(body)
        if isinstance(loaded, Invalid):
            checked.add(Finding(frame.lsn, f"the checkpoint does not load: {loaded.reason}", (), last))
            return
        if self._state is not None and self._exact and self._state != loaded:
            reason = "the checkpoint is not what the frames before it make"
            checked.add(Finding(frame.lsn, reason, None, False))
        self._state, self._exact = loaded, True

    def _end(self, checked: Checked, walk: Walk, segment: Segment, following: Segment | None, end: int) -> None:
        """What the walk ended on, and whether the file ends where it has to."""
        rest = f"the {end - walk.lsn} bytes from here to the end of the segment cannot be made out"
        if following is not None:
            reasons = [walk.fault.reason, rest] if walk.fault else []
            if segment.end < following.lsn:
                missing = (
                    f"{following.lsn - segment.end} bytes are missing before the next segment, LSN {following.lsn}"
                )
                reasons.append(f"the file ends at byte {segment.end - segment.lsn}, and {missing}")
            elif segment.end > following.lsn:
                reasons.append(f"the file has {segment.end - following.lsn} bytes beyond the next segment's beginning")
            if reasons:
                checked.add(Finding(walk.lsn, "; ".join(reasons), self._lost_before(following), True))
                self._state = None
        elif not checked.frames:
            reason = walk.fault.reason if walk.fault else "the segment is empty"
            checked.add(Finding(walk.lsn, f"it has no checkpoint: {reason}", None, True))
        elif walk.fault is not None:
            because = ""
            if not self.in_use:
                verdict = judge(self._window.read, walk.lsn, end, self.durable)
                if isinstance(verdict, Torn):
                    checked.torn_bytes = verdict.dropped_bytes
                    return
                because = f", and {verdict.reason}"
            checked.add(Finding(walk.lsn, f"{walk.fault.reason}{because}; {rest}", None, True))
        elif self.durable is not None and self.durable > segment.end:
            reason = f"the journal ends here, and all up to {self.durable} was durable (store/durable says so)"
            checked.add(Finding(segment.end, reason, None, True))

    def _lost_before(self, following: Segment) -> tuple[Span, ...] | None:
        """What streams have gained between the state so far and the next segment's checkpoint."""
        before, after = self._state, None
        with contextlib.suppress(OSError):
            for frame in Walk(self._window.read, following.lsn, following.end, bodies=True):
                after = _loaded(self._window.read(frame.body_lsn, frame.body_bytes))
                break
        if before is None or not isinstance(after, State):
            return None
        found = []
        for path, stream in sorted(after.streams.items()):
            known = before.streams.get(path)
            start = known.next_offset if known is not None and known.created_lsn == stream.created_lsn else 0
            if stream.next_offset > start:
                found.append(Span(path, start, stream.next_offset))
        return tuple(found)


def _loaded(body: bytes) -> State | Invalid:
    """``load`` for a checkpoint that nothing else has vouched for."""
    try:
        return load(body)
    except _MALFORMED as error:
        return Invalid(f"it is malformed ({error!r})")


def _what(frame: Frame) -> str:
    return f"the frame ({frame.kind.name.lower()})"
