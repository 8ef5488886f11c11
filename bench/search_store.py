"""The lines of `make bench-search` on disk: as text, as text in zstd, and as a store that collect's own parts wrote.

``make`` leaves a journal of finished segments. `logship seal` is run on it by whoever measures it; ``forget_sealed``
then takes away what is sealed, as collect does, so that every answer comes out of the lake.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.lake import SEGMENT_BYTES, append
from bench.search_lines import BORN_MS, PROGRAMS, Fleet
from logship.collect.commit import first_frame
from logship.collect.disk import Disk
from logship.collect.state import State
from logship.lake.folder import LAKE, load

_WRITTEN = "written"
NOTE = "made.json"
"""In the folder: what was made, when all of it was."""


@dataclass(frozen=True)
class Made:
    """Where everything is. ``raw_bytes``: of all lines."""

    folder: Path
    lines: int
    raw_bytes: int

    @property
    def store(self) -> Path:
        """Of collect, seal and view."""
        return self.folder / "store"

    def fresh_store(self) -> Path:
        """The store as it was written, with nothing sealed."""
        shutil.rmtree(self.store, ignore_errors=True)
        shutil.copytree(self.folder / _WRITTEN, self.store)
        os.sync()
        return self.store

    def copy_of_store(self, folder: Path) -> Path:
        """One that may be written to; the files of the lake, which never change, are the same ones."""
        return Path(shutil.copytree(self.store, folder / "store", copy_function=_copied))

    def texts(self, form: str | None = None) -> list[str]:
        """The files of lines, a stream each; those of one ``form`` alone."""
        return [str(path) for path in self._paths("text", ".log", form)]

    def packed(self) -> list[str]:
        """The same in zstd."""
        return [str(path) for path in self._paths("zstd", ".log.zst", None)]

    def text_of(self, stream: str) -> Path:
        """The lines of one stream."""
        return self.folder / "text" / f"{_name(stream)}.log"

    def parquet(self) -> list[str]:
        """The files that the manifest names."""
        manifest = load(self.store)
        assert manifest is not None
        return [str(self.store / LAKE / file.name) for file in manifest.files]

    def stored_bytes(self) -> int:
        """Everything below the store."""
        return sum(path.stat().st_size for path in self.store.rglob("*") if path.is_file())

    def _paths(self, kind: str, ending: str, form: str | None) -> Iterator[Path]:
        for program in PROGRAMS:
            path = self.folder / kind / f"{_name(program.path)}{ending}"
            if form in (None, program.form) and path.exists():
                yield path


def make(folder: Path, lines: int) -> Made:
    """Make all of it in an empty folder, or take what was made there by an earlier run."""
    note = folder / NOTE
    if note.exists():
        said = json.loads(note.read_text())
        if said["lines"] == lines:
            return Made(folder, lines, said["raw_bytes"])
        raise SystemExit(f"{folder} has {said['lines']:,} lines of an earlier run with --keep: remove it")
    for name in ("text", "zstd"):
        (folder / name).mkdir(parents=True)
    made = Made(folder, lines, _write(folder, lines))
    for path in made.texts():
        packed = folder / "zstd" / f"{Path(path).name}.zst"
        subprocess.run(["zstd", "-q", "-1", "-T2", path, "-o", str(packed)], check=True)
    note.write_text(json.dumps({"lines": lines, "raw_bytes": made.raw_bytes}))
    os.sync()
    return made


def _write(folder: Path, lines: int) -> int:
    """Text and journal; how many bytes the lines have."""
    raw, state = 0, State()
    disk = Disk(folder / _WRITTEN, first_frame(state, 0, BORN_MS))
    now_ms = BORN_MS
    with contextlib.ExitStack() as stack:
        stack.callback(disk.close)
        files = {
            number: stack.enter_context((folder / "text" / f"{_name(program.path)}.log").open("wb"))
            for number, program in enumerate(PROGRAMS)
        }
        for now_ms, number, text in Fleet(lines):
            files[number].write(text)
            append(disk, state, PROGRAMS[number].path, text, now_ms)
            raw += len(text)
            if disk.end - disk.segments[-1].lsn > SEGMENT_BYTES:
                disk.rotate(first_frame(state, disk.end, now_ms))
        disk.rotate(first_frame(state, disk.end, now_ms))
    return raw


def forget_sealed(made: Made) -> None:
    """Delete the segments of the journal that are sealed, as collect does once it has loaded the manifest."""
    manifest = load(made.store)
    assert manifest is not None
    disk = Disk(made.store, b"")
    try:
        ends = [segment.lsn for segment in disk.segments[1:]]
        count = sum(1 for _ in itertools.takewhile(lambda end: end <= manifest.sealed_end, ends))
        disk.delete_oldest(count)
    finally:
        disk.close()


def forget_pages(folder: Path) -> None:
    """No page of these files in memory: the next reader waits for the disk."""
    for path in folder.rglob("*") if folder.is_dir() else [folder]:
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)


def _copied(one: str, other: str) -> None:
    if Path(one).parent.name.startswith("day="):
        os.link(one, other)
    else:
        shutil.copy2(one, other)


def _name(stream: str) -> str:
    return stream.replace("/", ".")
