"""Edge: the program's descriptors, and the note of where in its stream this start begins.

Left to others: making the FIFO and holding it open (PID 1), emptying it (``logship spool``).
"""

# ruff: noqa: PTH102, PTH105, PTH208
# pathlib costs 5 ms at each start of a program.

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import termios
import time

from logship.errors import Fault
from logship.spool.layout import FOLDER_MODE, STARTS, stamp, stream_end

STARTS_KEPT = 1000
STARTS_BYTES_MAX = 256 * 1024
EMPTY_PIPE_SECONDS_MAX = 0.05


def keep_stderr() -> int | None:
    """A copy of the present standard error that ends with the exec; None when there is none."""
    try:
        return fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, 3)
    except OSError:
        return None


def take_output(fifo: str) -> None:
    """Make ``fifo`` standard output and error. Raises Fault.

    Each is an open of its own: O_NONBLOCK belongs to the open file, HAProxy sets it on its log descriptor, and neither
    its standard error nor the program's next start may inherit that. Opened without waiting, so that a FIFO nobody
    holds is a fault and no hang, then made to block: a program that writes faster than spool reads waits and loses
    nothing.
    """
    for number in (1, 2):
        try:
            descriptor = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            cause = "nobody holds it open for reading" if error.errno == errno.ENXIO else str(error.strerror)
            hint = "PID 1 makes it and holds it open: look at its events" if error.errno == errno.ENXIO else ""
            raise Fault("write to the FIFO", fifo, cause, hint) from None
        os.set_blocking(descriptor, True)
        if descriptor == number:  # it was closed, and the lowest free number is given
            os.set_inheritable(descriptor, True)
        else:
            os.dup2(descriptor, number)
            os.close(descriptor)


def take_no_input() -> None:
    """Make /dev/null standard input."""
    descriptor = os.open("/dev/null", os.O_RDONLY)
    if descriptor != 0:
        os.dup2(descriptor, 0)
        os.close(descriptor)
    else:
        os.set_inheritable(0, True)


def close_others(kept: int | None) -> None:
    """Close every descriptor above 2 but ``kept``, which ends with the exec."""
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        if number > 2 and number != kept:
            with contextlib.suppress(OSError):  # the listing's own is closed already
                os.close(number)


def note_start(folder: str) -> None:
    """Add {offset, pid, time} of this start to the stream's ``starts.jsonl``. Raises OSError.

    The offset is where the next byte written to descriptor 1 will stand. The file keeps at least the last 1000 starts
    and never grows beyond 256 KiB by more than one line.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, FOLDER_MODE)
    line = (
        json.dumps({"offset": stream_position(1, folder), "pid": os.getpid(), "time": stamp(time.time())}).encode()
        + b"\n"
    )
    path = f"{folder}/{STARTS}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line  # a line torn by a full disk
        if size <= STARTS_BYTES_MAX:
            os.write(descriptor, line)
            return
        kept = os.pread(descriptor, size, 0).splitlines(keepends=True)[-(STARTS_KEPT - 1) :]
    finally:
        os.close(descriptor)
    _replace(path, b"".join(kept) + line)


def _replace(path: str, content: bytes) -> None:
    """Replace a file at once: a reader sees the old or the new one. Not synced: the notes are hints."""
    fresh = f"{path}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)
    os.replace(fresh, path)


def stream_position(pipe: int, folder: str) -> int:
    """The offset in the stream of the next byte written to ``pipe``: the stream's end plus what waits in the pipe.

    The two cannot be read at one instant, and splice makes the file longer a moment before the pipe gets shorter. An
    empty pipe makes the sum exact: nothing waits, so the end read after that is all there is. Where the pipe does not
    become empty within 50 ms nobody reads it, and both numbers stand still. A program's child that outlived it and
    goes on writing can make this off by what it writes meanwhile.
    """
    deadline = time.monotonic() + EMPTY_PIPE_SECONDS_MAX
    while True:
        waiting = int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), "little")
        with os.scandir(folder) as entries:
            end = stream_end((entry.name, entry.stat().st_size) for entry in entries)
        if waiting == 0 or time.monotonic() > deadline:
            return end + waiting
        time.sleep(0.001)
