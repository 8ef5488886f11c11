"""Edge: what PID 1 makes and holds on disk: the run folder, this incarnation's spool folder with its lock, the FIFOs.

Whatever it holds open lies at or above supervisord's minfds and is closed on exec. Formats are ARCHITECTURE.md 2 and
4; who drains a FIFO is no concern of this module: PID 1 holds both ends, so neither side ever sees the other leave.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from logship.errors import Fault
from logship.spool import layout

STATE = "state.json"
PLAN = "plan.json"
CONFIGURATION = "supervisord.conf"
SOCKET = "supervisor.sock"
FIFOS = "fifo"
SAID = "said"
SPOOL = "spool"
SPOOLS = "spools"
"""Below the run folder: where a spool folder lies when the volume refuses it."""
OWN_STREAMS = ("supervise", "supervisord")
"""What PID 1 writes itself: events, and the log of supervisord."""

F_SETPIPE_SZ = 1031
SOCKET_PATH_MAX = 107
"""sun_path, less its NUL; supervisord binds at the name with ``.<pid>`` behind it and renames."""


def prepare_run_dir(run_dir: Path) -> None:
    """Make the run folder and what must be in it before supervisord reads its configuration. Raises Fault."""
    if len(os.fsencode(run_dir / SOCKET)) + len(".4194304") > SOCKET_PATH_MAX:
        raise Fault("use the run folder", str(run_dir), "a socket's path cannot be that long", "choose a shorter path")
    made = ((run_dir, 0o755), (run_dir / FIFOS, 0o711), (run_dir / SAID, 0o700), (run_dir / SPOOLS, 0o755))
    try:
        for folder, mode in made:
            folder.mkdir(mode=mode, parents=True, exist_ok=True)
            folder.chmod(mode)
        for stale in (run_dir / STATE, run_dir / SOCKET):
            stale.unlink(missing_ok=True)  # of an earlier life: `docker restart` keeps the files
    except OSError as error:
        raise Fault("make the run folder", str(run_dir), str(error), "make it writable for PID 1") from error


def replace_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace ``path`` so that a reader sees the old or the new text, never a part. Raises OSError.

    No fsync: these files describe this life of PID 1 alone, and nobody reads them after a crash of the machine.
    """
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)
    fresh.replace(path)


def move_up(descriptor: int, least: int) -> int:
    """The same open file at a number from ``least`` on, closed on exec; the old number is closed."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, least)
    finally:
        os.close(descriptor)


def begin_spool(
    run_dir: Path,
    spool_dir: Path,
    service: str,
    host: str,
    programs: Sequence[str],
    least: int,
    files: Sequence[str] = (),
    named: Mapping[str, str] | None = None,
) -> tuple[Path, int, str]:
    """As ``make_spool``, on the volume; where that refuses it, in the run folder, and why, else "". Raises Fault.

    Logging never keeps a program from running: a volume that an outage of the collector filled, or that is broken,
    costs no start. What lies in the run folder is shipped, and adopted by the container's next life, like any other
    spool folder, but goes with the container.
    """
    try:
        return (*make_spool(spool_dir, service, host, programs, least, files, named), "")
    except Fault as refused:
        beside = run_dir / SPOOLS
        try:
            path, lock = make_spool(beside, service, host, programs, least, files, named)
        except Fault as fault:
            causes = f"{refused.cause}; {fault.cause}"
            raise Fault(refused.operation, f"{spool_dir} or {beside}", causes, refused.hint) from fault
        risk = "what the collector does not hold yet goes with the container"
        return path, lock, f"{spool_dir} takes no spool folder ({refused.cause}): it is {path}, and {risk}"


def make_spool(
    spool_dir: Path,
    service: str,
    host: str,
    programs: Sequence[str],
    least: int,
    files: Sequence[str] = (),
    named: Mapping[str, str] | None = None,
) -> tuple[Path, int]:
    """The spool folder of this incarnation and the descriptor that holds its ``alive`` lock. Raises Fault.

    ``files`` are the patterns of what the programs write themselves: ship reads them there. ``named`` is what its
    streams are called by whoever ships them when this container is gone.

    Made under another name, locked, its identity made durable, then renamed: whoever finds a folder under its final
    name finds it locked by a living PID 1, or whole and left behind.
    """
    now = datetime.now(UTC)
    name = layout.incarnation_name(now, os.urandom(4))
    fresh, final, lock = spool_dir / f".new-{name}", spool_dir / name, -1
    try:
        fresh.mkdir(mode=0o755, parents=True)
        lock = move_up(os.open(fresh / layout.ALIVE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640), least)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for stream in (*programs, *OWN_STREAMS):
            (fresh / stream).mkdir(mode=0o755)
        identity: dict[str, Any] = {
            "v": layout.FORMAT_VERSION,
            "incarnation": name,
            "service": service,
            "host": host,
            "created": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "programs": list(programs),
            "files": list(files),
        }
        replace_file(fresh / layout.IDENTITY, (json.dumps(identity) + "\n").encode())
        _sync(fresh / layout.IDENTITY)
        if named:
            with contextlib.suppress(OSError):  # no room for it: ship notes it when there is
                replace_file(fresh / layout.INSTANCE, (json.dumps(named) + "\n").encode())
        _sync(fresh)
        fresh.rename(final)
        _sync(spool_dir)
    except OSError as error:
        for path in (fresh, final):
            _remove(path)
        if lock >= 0:
            os.close(lock)
        hint = "mount a writable volume there, or set SUPERVISE_SPOOL_DIR"
        raise Fault("make the spool folder in", str(spool_dir), str(error), hint) from error
    return final, lock


def _remove(folder: Path) -> None:
    """Remove a spool folder in which nobody has written; what stays is cleared away by whoever adopts there."""
    with contextlib.suppress(OSError):
        for path in [*folder.iterdir()]:
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
        folder.rmdir()


def link_spool(run_dir: Path, spool: Path) -> None:
    """Point ``<run_dir>/spool`` at the spool folder, atomically. Raises OSError."""
    fresh = run_dir / f".{SPOOL}.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(spool)
    fresh.replace(run_dir / SPOOL)


def make_fifo(path: Path, owner: tuple[int, int] | None, pipe_bytes: int, least: int) -> tuple[int, int]:
    """A FIFO only ``owner`` may write to, opened at both ends: its descriptor and the size it got. Raises OSError.

    The size is smaller than asked for when the user's pipes are at their limit (pipe-user-pages-soft).
    """
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    descriptor = move_up(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC), least)
    if owner and os.geteuid() == 0:
        os.fchown(descriptor, *owner)
    os.fchmod(descriptor, 0o200)
    with contextlib.suppress(PermissionError):
        fcntl.fcntl(descriptor, F_SETPIPE_SZ, pipe_bytes)
    return descriptor, fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)


def make_sink(fifo: Path, least: int) -> int:
    """The file in memory for what of the FIFO cannot be stored, with its link beside the FIFO; its descriptor.

    PID 1 only holds it: so what spool threw away is counted though spool is killed (``logship.spool.sink``). The link
    goes through /proc, which lets in root alone. Raises OSError.
    """
    link = fifo.with_name(layout.sink_name(fifo.name))
    descriptor = move_up(os.memfd_create(link.name, os.MFD_CLOEXEC), least)
    link.unlink(missing_ok=True)
    link.symlink_to(f"/proc/{os.getpid()}/fd/{descriptor}")
    return descriptor


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
