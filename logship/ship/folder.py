"""Edge: the spool folder of one incarnation: what it says of itself, who may ship it, and its end.

Whoever adopts a folder holds its three locks (``logship.spool.lock``), taken in this order: ``alive``, so no PID 1
lives; ``ship``, so nobody else ships; ``spool``, so no spool that outlived its PID 1 still writes.

Left to others: the streams in it (``discover``), which folders there are (``places``), whose turn it is (``adoption``).
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from logship.errors import USAGE, Fault
from logship.ship.held import Lost
from logship.ship.removal import GONE, remove_tree, sync_folder
from logship.spool import losses, streams
from logship.spool.layout import ALIVE, FOLDER_MODE, IDENTITY, INSTANCE, LOSSES
from logship.spool.lock import locked
from logship.spool.log import OWN
from logship.values import Invalid, parse_stream_path, parse_time

LOCK = "ship"
_IDENTITY_BYTES_MAX = 64 * 1024
_TIME_LENGTH_MAX = 40


class SpoolFolder:
    """The spool of one incarnation. Raises Fault where it is none."""

    def __init__(self, path: Path) -> None:
        try:
            self.path = path.resolve(strict=True)
            self.identity, self.files = _identity(self.path / IDENTITY)
        except (OSError, RuntimeError) as error:
            cause = getattr(error, "strerror", None) or str(error)
            hint = "give the folder of an incarnation, or the link /run/supervise/spool"
            raise Fault("ship the spool", str(path), cause, hint, USAGE) from None
        self.adopted = False
        self._alive: int | None = None
        self._lock: int | None = None
        self._spool: int | None = None
        self._losses: dict[str, tuple[Lost, ...]] = {}
        self._losses_seen: tuple[int, int] | None = None

    def lock(self) -> bool:
        """Be the one who ships this folder, until ``release``; False while another one is, or it is gone.

        The lock is on a folder, that of the stream of the program ``ship``, so that the name can be both.
        """
        if self._lock is None:
            self._lock = _locked_folder(self.path / LOCK)
        return self._lock is not None

    def ended(self) -> bool:
        """Whether the incarnation is over: nobody holds ``alive``, which it held from before it had its name."""
        if self._alive is None:
            self._alive = locked(self.path / ALIVE, os.O_RDWR)
        return self._alive is not None

    def adopt(self) -> bool:
        """Take all locks of a folder that was left behind, or none. Raises OSError; then none is held either."""
        try:
            if self.ended() and self.lock():
                self._spool = _locked_folder(self.path / OWN)
            self.adopted = self._spool is not None
        finally:
            if not self.adopted:
                self.release()
        return self.adopted

    def release(self) -> None:
        """Let go of all locks."""
        for descriptor in (self._spool, self._lock, self._alive):
            if descriptor is not None:
                os.close(descriptor)
        self._spool = self._lock = self._alive = None
        self.adopted = False

    def remove(self) -> None:
        """Be gone: first by name, at once and for good, then with all that is in it. Raises OSError.

        What a crash leaves under the other name has nobody's data any more; whoever looks next removes it.
        """
        assert self.adopted
        gone = self.path.with_name(GONE + self.path.name)
        self.path.rename(gone)
        try:
            sync_folder(gone.parent)
            remove_tree(gone)
        finally:
            self.release()

    def note_instance(self, instance: str, container: str) -> None:
        """Say for whoever adopts this folder under which name its streams are made. Raises OSError."""
        if self.instance() == (instance, container):
            return
        fresh = self.path / f".{INSTANCE}.new"
        fresh.write_text(json.dumps({"instance": instance, "container": container}) + "\n", encoding="ascii")
        fresh.replace(self.path / INSTANCE)

    def instance(self) -> tuple[str, str] | None:
        """Instance and full container id as the container's PID 1 or ship noted them; None where nobody knew."""
        try:
            with (self.path / INSTANCE).open("rb") as file:
                words = json.loads(file.read(_IDENTITY_BYTES_MAX))
            found = words["instance"], words["container"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if all(_is_part(word) for word in found) else None

    def programs(self) -> list[str]:
        """The programs that have a stream here. Raises OSError."""
        own = [OWN] if (self.path / OWN).is_dir() else []
        return sorted([*streams.folders(self.path), *own])

    def losses_of(self, program: str) -> tuple[Lost, ...]:
        """The ranges of the program's stream that have a record of loss."""
        path = self.path / LOSSES
        with contextlib.suppress(OSError):
            facts = path.stat()
            if (facts.st_size, facts.st_mtime_ns) != self._losses_seen:
                self._losses_seen = (facts.st_size, facts.st_mtime_ns)
                found: dict[str, list[Lost]] = {}
                for loss in losses.read(path):
                    found.setdefault(loss.stream, []).append(Lost(loss.span, loss.reason, _time(loss.time)))
                self._losses = {stream: tuple(sorted(each)) for stream, each in found.items()}
        return self._losses.get(program, ())


def _locked_folder(path: Path) -> int | None:
    """The folder of this name, made where it is missing, locked."""
    with contextlib.suppress(FileNotFoundError, FileExistsError):
        path.mkdir(FOLDER_MODE)
    return locked(path, os.O_RDONLY | os.O_DIRECTORY)


def _time(text: str) -> str:
    """A time that can travel as it is; "" for text that is none."""
    return text if len(text) <= _TIME_LENGTH_MAX and not isinstance(parse_time(text), Invalid) else ""


def _identity(path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """The words of ``identity.json``, and the patterns of files that the programs write themselves.

    Raises OSError, or RuntimeError where it says something else.
    """
    with path.open("rb") as file:
        content = file.read(_IDENTITY_BYTES_MAX)
    try:
        words = json.loads(content)
        found = {name: words[name] for name in ("service", "host", "incarnation")}
        found["created"] = str(words["created"])
    except (ValueError, KeyError, TypeError):
        raise RuntimeError(f"{path.name} is no identity of an incarnation") from None
    if words.get("v") != 1:
        raise RuntimeError(f"its format version is {words.get('v')!r}, and only 1 is known here")
    for name in ("service", "incarnation", "host"):
        if not _is_part(found[name]):
            raise RuntimeError(f"its {name} cannot be part of a stream's path")
    files = words.get("files", [])
    if not isinstance(files, list) or not all(isinstance(pattern, str) for pattern in files):
        raise RuntimeError("its files are no list of patterns")
    return found, tuple(files)


def _is_part(word: object) -> bool:
    """Whether it can be one segment of a stream's path."""
    return isinstance(word, str) and "/" not in word and not isinstance(parse_stream_path(word), Invalid)
