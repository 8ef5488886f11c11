"""Edge: what came through supervisord's own pipe of a program, kept by supervisord in ``<run_dir>/said/<program>``.

That is little: `supervise exec` saying why it could not start the program, and all of a program without capture. The
file is cut to nothing when it reaches 64 KiB.
"""

from __future__ import annotations

from pathlib import Path

from supervise.init.folders import SAID

TEXT_BYTES_MAX = 2000


def said_size(run_dir: Path, name: str) -> int:
    """Bytes in the file now; 0 without one."""
    try:
        return (run_dir / SAID / name).stat().st_size
    except OSError:
        return 0


def said_since(run_dir: Path, name: str, begin: int) -> str:
    """The last 2000 bytes of what was said since the file had ``begin`` bytes. Raises OSError."""
    size = said_size(run_dir, name)
    if size < begin:
        begin = 0  # it was cut
    if size == begin:
        return ""
    with (run_dir / SAID / name).open("rb") as file:
        file.seek(max(begin, size - TEXT_BYTES_MAX))
        return file.read(TEXT_BYTES_MAX).decode("utf-8", "replace").strip()
