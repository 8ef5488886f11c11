"""Entry of the ``supervise`` command."""

from __future__ import annotations

import os
import sys

from supervise.cli import main as run


def main() -> None:
    """Run the command line and leave with its exit status."""
    sys.exit(run(sys.argv[1:], dict(os.environ)))


if __name__ == "__main__":
    main()
