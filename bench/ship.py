"""How fast logs are delivered, beside a plain copy and beside rsyslog and syslog-ng, and what that costs.

    python -m bench.ship [--quick] [--parts taking-in,one,eight,catch-up,latency,backlog] [--rounds 3] [--mib 128]

Ratios are those of one round, in which all that are compared run one after the other; their median is judged. Before a
number counts, what arrived is compared with what was written. Exit status: 1 when a target is missed, a byte is wrong,
or a peer cannot be had, 2 for usage; docs/performance.md has the targets and what came out.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import backlog, rivals, taking_in
from bench.given import a_folder, a_time, at_least, ended_by_signals
from bench.intake import TREE, WrongBytes
from bench.machine import WAIT_HELP, Neighbours, described, own_cpu_seconds
from bench.packages import Unavailable
from bench.peer import Failed
from bench.report import Options, Report

PARTS: dict[str, Callable[[Options], Report]] = {
    "taking-in": taking_in.report,
    "one": partial(rivals.delivery, shippers=1),
    "eight": partial(rivals.delivery, shippers=rivals.SHIPPERS),
    "catch-up": rivals.catching_up,
    "latency": rivals.latencies,
    "backlog": backlog.report,
}


def main() -> int:
    """Measure, print, judge; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.ship", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few rounds of little: does it work, not how fast")
    parser.add_argument("--parts", default=",".join(PARTS), help="which of them (default: all, %(default)s)")
    parser.add_argument("--mib", type=at_least(), help="how much each way moves in a round")
    parser.add_argument("--rounds", type=at_least(), help="how many rounds")
    parser.add_argument("--backlog-mib", type=at_least(), help="how much waits in the part backlog")
    parser.add_argument(
        "--dir", type=a_folder, default=TREE / "build" / "bench", help="where stores are made and removed"
    )
    parser.add_argument("--wait", type=a_time, default=0, help=WAIT_HELP)
    options = parser.parse_args()
    parts = options.parts.split(",")
    if not set(parts) <= PARTS.keys():
        parser.error(f"--parts are of {', '.join(PARTS)}")
    options.dir.mkdir(parents=True, exist_ok=True)
    cache = TREE / "build" / "peers"
    cache.mkdir(parents=True, exist_ok=True)
    print(described("zstandard", "uvicorn", "httptools", "uvloop", "starlette", "msgpack"), flush=True)
    missed: list[str] = []
    for part in parts:
        neighbours, before = Neighbours(), own_cpu_seconds()
        with ended_by_signals(), tempfile.TemporaryDirectory(dir=options.dir) as place:
            given = Options(
                Path(place), cache, options.quick, options.rounds or 0, options.mib or 0, options.backlog_mib or 0,
                options.wait,
            )  # fmt: skip
            try:
                report = PARTS[part](given)
            except (Failed, WrongBytes, Unavailable) as error:
                print(f"\n### {part}: nothing is reported: {error}", flush=True)
                missed.append(part)
                continue
        print(f"\n{report.text()}{neighbours.told(own_cpu_seconds() - before)}", flush=True)
        missed.extend(report.missed)
    print(f"\n{len(missed)} missed." if missed else "\nAll targets are reached.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
