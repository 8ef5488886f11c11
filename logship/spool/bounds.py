"""Core: the bounds of spool's settings, for spool itself and for PID 1, which will not start with a faulty one."""

from __future__ import annotations

from logship.config import Settings
from logship.errors import USAGE, Fault

SEGMENT_BYTES_MIN = 4096
SEGMENT_BYTES_MAX = 1024**3
BUDGETS = ("spool_bytes_max", "spool_container_bytes_max", "spool_volume_bytes_max")


def check(settings: Settings) -> None:
    """Raises Fault (status 2) for a size that spool cannot work with."""
    if not SEGMENT_BYTES_MIN <= settings.segment_bytes <= SEGMENT_BYTES_MAX:
        _refuse("segment_bytes", settings.segment_bytes, f"from {SEGMENT_BYTES_MIN} to {SEGMENT_BYTES_MAX}")
    for name in BUDGETS:
        value, unbound = getattr(settings, name), name != BUDGETS[0]
        if value < 2 * settings.segment_bytes and not (unbound and value == 0):
            wanted = f"at least two segments ({2 * settings.segment_bytes})"
            _refuse(name, value, wanted + (", or 0 for no bound" if unbound else ""))


def _refuse(name: str, value: int, wanted: str) -> None:
    place = f"--{name.replace('_', '-')} (LOGSHIP_{name.upper()})"
    raise Fault("take the setting", place, f"{value} is out of range", f"give bytes, {wanted}", USAGE)
