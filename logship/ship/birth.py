"""Edge: when a file was born: statx(2), which Python has from 3.15 on.

ext4, XFS, btrfs and, since Linux 6.5, tmpfs know it; overlayfs says what the file system below says. Elsewhere, and on
kernels before 4.11, it is None, and files are told apart by device and inode alone.
"""

from __future__ import annotations

import ctypes
import struct

_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800
_BUFFER_BYTES = 256
_MASK_AT, _BTIME_AT = 0, 80

_statx = getattr(ctypes.CDLL(None, use_errno=True), "statx", None)


def birth_ns(descriptor: int) -> int | None:
    """The time of birth of an open file in nanoseconds since 1970; None where nobody knows it."""
    if _statx is None:
        return None
    buffer = ctypes.create_string_buffer(_BUFFER_BYTES)
    if _statx(descriptor, b"", _AT_EMPTY_PATH, _STATX_BTIME, buffer) != 0:
        return None
    (mask,) = struct.unpack_from("=I", buffer, _MASK_AT)
    seconds, nanoseconds = struct.unpack_from("=qI", buffer, _BTIME_AT)
    born = int(seconds) * 10**9 + int(nanoseconds)
    return born if mask & _STATX_BTIME and born > 0 else None
