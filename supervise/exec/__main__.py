"""``python -I -m supervise.exec --plan PATH NAME``: without argparse, since each start of a program pays for it."""

from __future__ import annotations

import os
import sys

from supervise.exec.run import CANNOT_RUN, run


def main() -> int:
    """Start the program, or say why not and return 126 or 127."""
    words = sys.argv[1:]
    if len(words) != 3 or words[0] != "--plan":
        os.write(2, b"usage: python3 -I -m supervise.exec --plan PATH NAME\n")
        return CANNOT_RUN
    return run(words[1], words[2], dict(os.environ))


if __name__ == "__main__":
    sys.exit(main())
