"""Edge: fallocate(2), which the standard library offers in part only: room kept for a file, memory given back.

Room is kept beyond the end of the file (FALLOC_FL_KEEP_SIZE): its size and what a reader sees do not change, and later
writes need no new block, so they succeed on a disk that is full. Tried on tmpfs, ext4 and overlayfs on ext4 (a test
does it again); xfs and btrfs document the same. A file of ballast, deleted when the disk is full, would work on any
file system, but whoever else fills the disk may take that room first; where there is no fallocate (NFS before 4.2),
the records wait in memory instead.
"""

from __future__ import annotations

import ctypes
import os

_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def reserve(descriptor: int, offset: int, size: int) -> None:
    """Keep room for ``size`` bytes from ``offset`` on. Raises OSError: no such room, or no such file system."""
    _fallocate(descriptor, _KEEP_SIZE, offset, size)


def punch(descriptor: int, offset: int, size: int) -> None:
    """Give back what these bytes take, whole pages alone; the file keeps its size. Raises OSError."""
    _fallocate(descriptor, _KEEP_SIZE | _PUNCH_HOLE, offset, size)


def _fallocate(descriptor: int, mode: int, offset: int, size: int) -> None:
    if _libc.fallocate(descriptor, mode, offset, size) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
