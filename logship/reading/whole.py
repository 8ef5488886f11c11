"""Edge: a file or a folder that has its name only when it is whole: whatever ends the work before leaves none of it.

What is being written lies beside it as ``.NAME.PID.part``, and is removed on any error and on Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from logship.errors import USAGE, Fault


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which replaces what is at ``path`` when the block ends well. Raises Fault."""
    with _faults(path):
        if path.exists() and not path.is_file() and not path.is_dir():  # /dev/null, a pipe: not to be renamed over
            with path.open("wb") as file:
                yield file
            return
        with whole_path(path) as fresh, fresh.open("xb") as file:
            yield file


@contextlib.contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """The same for who makes the file by its name: where to, until the block ends. Raises Fault."""
    with _faults(path):
        if path.is_dir():
            raise Fault("write", str(path), "it is a folder", "give the name of a file", USAGE)
        if path.exists() and not path.is_file():
            raise Fault("write", str(path), "it is no plain file", "give the name of one", USAGE)
        target = Path(os.path.realpath(path))
        fresh = _fresh(target)
        try:
            yield fresh
            _sync(fresh)
            fresh.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise
        _sync(target.parent)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which is called ``path`` when the block ends well; there must be none. Raises Fault."""
    with _faults(path):
        if path.exists() or path.is_symlink():
            raise Fault("write", str(path), "it is there already", "give the name of a new folder", USAGE)
        fresh = _fresh(path)
        try:
            fresh.mkdir()
            yield fresh
            _sync(fresh)
            fresh.rename(path)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        _sync(path.parent)


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A folder beside ``path`` for what is in the making; it is gone when the block ends."""
    folder = path.with_name(f"{path.name}s")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fresh(path: Path) -> Path:
    return path.with_name(f".{path.name[:200]}.{os.getpid()}.part")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _faults(path: Path) -> Iterator[None]:
    """What the disk refuses, as a person reads it."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        hint = "nothing is left under that name"
        raise Fault("write", str(path), error.strerror or str(error), hint) from None
