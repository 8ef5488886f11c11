"""`logship ship` that waits 2 ms at most between two tries where it would wait 0.5 s: hours of an outage in minutes.

Run as ``python -m bench.impatient ship ...``. Nothing else of it is different, but that it counts its tries in a file.
"""

from __future__ import annotations

import os
from pathlib import Path

from logship.__main__ import main
from logship.ship import backoff, run
from logship.ship.log import Log

WAIT_SECONDS_MAX = 0.002
TRIES_AN_HOUR = 3600 / (backoff.ABSENT_SECONDS_MAX / 2)
"""A wait is of any length up to the longest, so half of it on the average."""
COUNT_IN = "BENCH_TRIES"
_NOTED_EACH = 100


class CountingLog(Log):
    """Notes how often nobody answered."""

    _tries = 0

    def failed(self, cause: str, now: float) -> None:
        """As ever."""
        super().failed(cause, now)
        self._tries += 1
        if self._tries % _NOTED_EACH == 0:
            Path(os.environ[COUNT_IN]).write_text(str(self._tries))


if __name__ == "__main__":
    backoff.ABSENT_SECONDS_MAX = WAIT_SECONDS_MAX
    setattr(run, "Log", CountingLog)  # noqa: B010  # a name of the module, not a constant of its
    main()
