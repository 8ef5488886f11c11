"""Entry of ``python3 -m supervise.up``: the one place that reads the environment."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

if sys.version_info < (3, 11):  # noqa: UP036 - people run this with whatever python3 their machine has
    sys.exit(
        "needs Python 3.11 or newer, but {} is {}.{}: install it and say PYTHON=python3.11".format(
            sys.executable, *sys.version_info[:2]
        )
    )

from supervise.up.cli import main as run


def leave(number: int, _frame: FrameType | None) -> None:
    """End by way of every ``finally``: programs that run are killed, what the tests made is removed."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def main() -> None:
    """Run the command line and leave with its exit status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    sys.exit(run(sys.argv[1:], dict(os.environ)))


if __name__ == "__main__":
    main()
