"""Run: ``logship seal``: seal what is finished, keep to the policy, delete what has left; again and again, or once.

Runs at the lowest priority: it may lag, intake and readers come first. A disk without room is told once and tried
again; nothing is published meanwhile, and the journal keeps what is not sealed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from logship.collect.log import Log
from logship.errors import Fault
from logship.lake.folder import Folder
from logship.lake.keep import Policy, is_over, removable, thinnable
from logship.lake.manifest import File
from logship.lake.merge import Merger
from logship.lake.merging import mergeable
from logship.lake.parquet import TooMuch
from logship.lake.seal import NoRoom, Sealer, Stopped
from logship.view.journal_reader import Damage, Journal
from logship.view.segments import Gone, NoStore

LOOK_SECONDS = 5.0
NO_ROOM_SECONDS = 30.0
NICENESS = 19
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: which store, what is kept of the lake, how much room is left on the disk, and whether only once."""

    store: Path
    policy: Policy = Policy()
    disk_free_min: int = 0
    once: bool = False


def run(plan: Plan) -> int:
    """Seal until SIGTERM or SIGINT, or all there is; the exit status. Raises Fault."""
    _yield_to_others()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log = Log()
    journal = Journal(plan.store)
    if not _wait_for_store(plan, journal, log, stop):
        return 0
    folder = Folder(plan.store)
    try:
        Sealing(plan, journal, folder, log, stop).run()
    except OSError as error:
        raise Fault("seal into", str(folder.path), str(error), "see to the disk; nothing is lost") from error
    finally:
        folder.close()
    return 0


class Sealing:
    """The loop. ``now_ms`` is the clock."""

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        folder: Folder,
        log: Log,
        stop: threading.Event,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._plan = plan
        self._journal = journal
        self._folder = folder
        self._log = log
        self._stop = stop
        self._now_ms = now_ms
        self._full = False
        self.sealer = Sealer(journal, folder, plan.disk_free_min, stop.is_set, now_ms)
        self._merger = Merger(folder, self.sealer.parquet, plan.disk_free_min)
        self._unmerged: frozenset[str] = frozenset()

    def run(self) -> None:
        """Until told to stop, or once. Raises Fault, and OSError that is no full disk."""
        self._begin()
        rows = raw = stored = files = 0
        while not self._stop.is_set():
            done = self._try()
            if isinstance(done, File):
                rows, raw, stored, files = rows + done.rows, raw + done.raw_bytes, stored + done.bytes, files + 1
            if self._plan.once and not done:
                break
            if not done:
                self._stop.wait(NO_ROOM_SECONDS if self._full else LOOK_SECONDS)
        if self._plan.once:
            share = f" ({stored / raw:.2f} of it)" if raw else ""
            print(
                f"logship seal: {rows:,} lines, {raw:,} bytes of them in {files} new files of {stored:,} bytes{share}; "
                f"sealed up to LSN {self.sealer.manifest.sealed_end}",
                flush=True,
            )
        self._log.say("INFO", "stopped", sealed_end=self.sealer.manifest.sealed_end)

    def _begin(self) -> None:
        sealer = self.sealer
        if self._journal.durable() < sealer.manifest.sealed_end:
            hint = "move the lake away, or bring its store back"
            cause = f"it is sealed up to LSN {sealer.manifest.sealed_end}, where the journal has not come to yet"
            raise Fault("seal into", str(self._folder.path), f"it is another store's: {cause}", hint)
        swept = self._folder.sweep(sealer.manifest)
        for name in self._folder.missing(sealer.manifest):
            hint = "bring the file back; its lines are not sealed again"
            self._log.say("ERROR", "file_missing", file=name, hint=hint)
        self._log.say(
            "INFO", "sealing", store=str(self._plan.store), sealed_end=sealer.manifest.sealed_end,
            files=len(sealer.manifest.files), swept=len(swept),
        )  # fmt: skip

    def _try(self) -> File | bool:
        """One step: something was sealed or retained, or False. Raises Fault and OSError."""
        began = time.monotonic()
        try:
            kept = self._retain()
            done = self.sealer.step(self._journal.picture()) or self._thin() or self._merge()
        except (Gone, Damage, Stopped):
            return True  # retention was quicker, a body has just broken, or it is over: looked at anew
        except NoStore as error:
            raise Fault("read the journal of", str(self._plan.store), str(error), "start again") from None
        except (NoRoom, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_ROOM:
                raise
            if self._plan.once:
                hint = "make room, or keep less (--lake-keep-bytes); nothing was published"
                raise Fault("seal into", str(self._folder.path), f"the disk is full: {error}", hint) from None
            if not self._full:
                self._full = True
                self._log.say("WARNING", "no_room", cause=str(error), retry_seconds=NO_ROOM_SECONDS)
            return False
        if self._full:
            self._full = False
            self._log.say("INFO", "room")
        if isinstance(done, File):
            self._log.say(
                "INFO", "sealed", file=done.name, rows=done.rows, raw_bytes=done.raw_bytes, bytes=done.bytes,
                seconds=round(time.monotonic() - began, 2),
            )  # fmt: skip
        return done or kept

    def _merge(self) -> bool:
        """Small files become one, while there is nothing to seal. Without room they stay what they are."""
        manifest = self.sealer.manifest
        found = mergeable(manifest, self._unmerged)
        if found is None:
            return False
        first, count = found
        made = self._anew(manifest.files[first : first + count])
        if isinstance(made, File):
            self.sealer.publish(manifest.merged(first, count, made, self._now_ms()))
            self._log.say("INFO", "merged", file=made.name, files=count, rows=made.rows, bytes=made.bytes)
        return bool(made)

    def _thin(self) -> bool:
        """Lines of streams that are kept less long than others leave their file."""
        manifest, now_ms = self.sealer.manifest, self._now_ms()
        found = thinnable(manifest, self._plan.policy, now_ms, self._unmerged)
        if found is None:
            return False
        at, gone = found
        old = manifest.files[at]
        made = None if gone == old.streams.keys() else self._anew([old], gone)
        if isinstance(made, bool):
            return made
        self.sealer.publish(manifest.thinner(at, made, gone, now_ms))
        rows = old.rows - (made.rows if made else 0)
        self._log.say("INFO", "thinned", file=old.name, streams=len(gone), rows=rows)
        return True

    def _anew(self, files: Sequence[File], without: frozenset[str] = frozenset()) -> File | bool:
        """A file in the place of these. False: there is no room; True: it cannot be made, and is not tried again."""
        try:
            return self._merger.merge(files, without)
        except NoRoom:
            return False
        except (TooMuch, Fault, OSError) as error:
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                raise
            self._unmerged |= {file.name for file in files}
            self._log.say("WARNING" if isinstance(error, TooMuch) else "ERROR", "not_merged", cause=str(error))
            return True

    def _retain(self) -> bool:
        """Files that are too many or too old leave the manifest; those that left it long enough ago are deleted."""
        sealer, now_ms = self.sealer, self._now_ms()
        count = removable(sealer.manifest, self._plan.policy, now_ms)
        if count:
            sealer.publish(sealer.manifest.without_oldest(count, now_ms))
            self._log.say("INFO", "retained", files=count, deleted_end=sealer.manifest.deleted[-1].end_lsn)
        over = frozenset(one.name for one in sealer.manifest.leaving if is_over(one, now_ms))
        if over:
            self._folder.delete(over)
            sealer.publish(sealer.manifest.without_leaving(over))
        return bool(count or over)


def _wait_for_store(plan: Plan, journal: Journal, log: Log, stop: threading.Event) -> bool:
    """Whether there is a store; collect may be about to make it. Raises Fault where nobody is waited for."""
    told = False
    while not stop.is_set():
        try:
            journal.picture()
        except NoStore as error:
            if plan.once:
                hint = "give the folder of a `logship collect`"
                raise Fault("read the journal of", str(plan.store), str(error), hint) from None
            if not told:
                told = True
                log.say("INFO", "waiting", cause=str(error))
            stop.wait(LOOK_SECONDS)
        except Damage as damage:
            hint = "run `logship fsck`"
            raise Fault("read the journal of", str(plan.store), str(damage), hint) from None
        else:
            return True
    return False


def _yield_to_others() -> None:
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
