"""How fast what is stored is found, beside ripgrep, awk and plain DuckDB over the same lines; what storing it costs.

    python -m bench.search [--lines 10000000] [--parts seal,search,tail,live] [--rounds 5] [--dir build/bench] [--keep]

All questions go to a warm `logship view` over HTTP, on a store made by `logship seal`; before one is timed every answer
is compared with ripgrep's or awk's and with plain DuckDB's. A ratio is that of one round, in which all are asked one
after the other; the median of the rounds is judged. Exit status: 1 when a target is missed or two answers differ.
docs/performance.md has the targets and what came out.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import lake, search_judge, search_live
from bench.given import a_folder, a_time, at_least, ended_by_signals, some_time
from bench.intake import TREE
from bench.machine import MIB, WAIT_HELP, Neighbours, described, own_cpu_seconds, wait_for_quiet
from bench.packages import Unavailable
from bench.search_ask import Plain, Viewer, WrongAnswer, ripgrep, timed, versions, viewer
from bench.search_judge import HEAD, Row, Times
from bench.search_lines import PROGRAMS, Fleet
from bench.search_questions import DEADLOCK, ERRORS, compare, questions
from bench.search_store import Made, forget_pages, forget_sealed, make
from bench.table import table
from logship.lake.folder import load

LINES = 10_000_000
LIVE_SECONDS = 15.0
LIVE_ROUNDS = 2
TAIL_LINES = 100
TAILED = PROGRAMS[0].path


@dataclass(frozen=True)
class Options:
    """``patience``: seconds to wait for a quiet machine before each round; ``live_seconds``: of each live part."""

    lines: int
    rounds: int
    patience: float
    live_seconds: float

    def begin_round(self) -> None:
        """Wait for a quiet machine, as long as was said."""
        wait_for_quiet(self.patience)


def sealing(made: Made, options: Options) -> Iterator[Row]:
    """How fast it is sealed, with how much memory, and how much room it takes."""
    store = made.fresh_store()
    options.begin_round()
    seconds, peak_mib = lake.seal(store)
    plain_seconds = lake.plain(store, made.folder / "plain.parquet")
    (made.folder / "plain.parquet").unlink()
    forget_sealed(made)
    yield from search_judge.sealed(made.raw_bytes / MIB, seconds, plain_seconds, peak_mib)
    packed = sum(Path(path).stat().st_size for path in made.packed())
    yield search_judge.stored(made.stored_bytes(), made.raw_bytes, packed)


def searching(made: Made, options: Options) -> Iterator[Row]:
    """Every question, beside those that can answer it."""
    rg, fleet, plain = ripgrep(), Fleet(made.lines), Plain(made.parquet())
    with viewer(made.store) as view:
        asked = [Times(question) for question in questions(made, fleet, plain, rg)]
        for one in asked:
            compare(one.question, view)
            say(f"{one.question.name}: all say the same")
        for _ in range(options.rounds):
            options.begin_round()
            for one in asked:
                ours = one.question.ours(view)[1]
                one.take_round(ours, {name: ask()[1] for name, ask in one.question.others.items()})
        for one in asked:
            yield from one.rows()
        yield first_rows(view, fleet, options)


def first_rows(view: Viewer, fleet: Fleet, options: Options) -> Row:
    """Of queries that find much, little, far back, and of a table."""
    start = fleet.minute()
    asked: dict[str, tuple[str, dict[str, str]]] = {
        "needle": ("/api/logs", {"query": f'"{fleet.needle()}"', "n": "all"}),
        "rare word": ("/api/logs", {"query": "deadlock", "n": "all"}),
        "last errors": ("/api/logs", {"query": "status:5xx", "n": "200"}),
        "all slow errors": ("/api/logs", {"query": "status:5xx t_total>1000", "n": "all"}),
        "regex": ("/api/logs", {"query": f"/{ERRORS}/", "n": "200"}),
        "hours": ("/api/logs", {"since": f"{start:%FT%TZ}", "n": "200"}),
        "count": ("/api/query", {"query": "| count by program"}),
        "regex count": ("/api/query", {"query": f"/{DEADLOCK}/ | count"}),
    }
    seen: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for name, (path, parameters) in asked.items():
            first = view.ask(path, **parameters).first_seconds
            if first is None:
                raise WrongAnswer(f"{path} {parameters}: no row")
            seen.setdefault(name, []).append(first)
    return search_judge.first_rows(seen)


def tailing(made: Made, options: Options) -> Iterator[Row]:
    """The last lines of a stream, by turns, neither having a page of it in memory."""
    text = made.text_of(TAILED)
    ours, theirs = [], []
    with viewer(made.store) as view:
        for number in range(options.rounds + 1):
            for folder in (made.store, text):
                forget_pages(folder)
            wanted, seconds = timed(["tail", "-n", str(TAIL_LINES), str(text)])
            answer = view.ask("/api/logs", q=TAILED, n=str(TAIL_LINES), bytes="all")
            if answer.texts() != wanted.splitlines():
                raise WrongAnswer(f"the last {TAIL_LINES} lines of {TAILED} are not tail's")
            if number:  # the first one loads programs
                ours.append(answer.seconds)
                theirs.append(seconds)
    yield from search_judge.tail(ours, theirs)


def living(made: Made, options: Options) -> Iterator[Row]:
    """While lines are written."""
    rounds, shares = [], []
    for _ in range(LIVE_ROUNDS if options.live_seconds >= LIVE_SECONDS else 1):
        options.begin_round()
        with tempfile.TemporaryDirectory(dir=made.folder) as scratch:
            store = made.copy_of_store(Path(scratch))
            rounds.append(search_live.until_found(store, Path(scratch), options.live_seconds))
            shares.append(search_live.intake(store, options.live_seconds / 2, f"/{ERRORS}/ | count"))
    yield search_judge.found(rounds)
    yield search_judge.intake(shares)


PARTS: dict[str, Callable[[Made, Options], Iterator[Row]]] = {
    "seal": sealing,
    "search": searching,
    "tail": tailing,
    "live": living,
}


def main() -> int:
    """Make, measure, print, judge; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.search", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=at_least(1000), default=LINES, help="how many are made (default %(default)s)")
    parser.add_argument("--parts", default=",".join(PARTS), help="which of them (default: all, %(default)s)")
    parser.add_argument("--rounds", type=at_least(), default=5, help="how many rounds (default %(default)s)")
    parser.add_argument("--live-seconds", type=some_time, default=LIVE_SECONDS, help="of each live part (%(default)s)")
    parser.add_argument("--dir", type=a_folder, default=TREE / "build" / "bench", help="where all of it is made")
    parser.add_argument("--keep", action="store_true", help="leave lines and store there, for the next run to take")
    parser.add_argument("--wait", type=a_time, default=0, help=WAIT_HELP)
    given = parser.parse_args()
    parts = given.parts.split(",")
    if not set(parts) <= PARTS.keys():
        parser.error(f"--parts are of {', '.join(PARTS)}")
    options = Options(given.lines, given.rounds, given.wait, given.live_seconds)
    folder = given.dir / "search"
    try:
        rg = ripgrep()
    except Unavailable as error:
        print(f"nothing is reported: {error}")
        return 1
    print(described("duckdb", "nanoarrow", "zstandard", "starlette"), versions(rg), sep="\n", flush=True)
    with ended_by_signals():
        try:
            return measure(folder, parts, options)
        except WrongAnswer as error:
            print(f"\nnothing more is reported: {error}")
            return 1
        finally:
            if not given.keep:
                shutil.rmtree(folder, ignore_errors=True)


def measure(folder: Path, parts: list[str], options: Options) -> int:
    """All parts; 1 when a target is missed, which is said. Raises WrongAnswer."""
    made = make(folder, options.lines)
    print(
        f"{made.lines:,} lines, {made.raw_bytes / MIB:,.0f} MiB of {len(PROGRAMS)} streams, a day of them", flush=True
    )
    manifest = load(made.store) if made.store.exists() else None
    if "seal" not in parts and (manifest is None or not manifest.files):
        say("sealing what is not sealed yet")
        lake.seal(made.fresh_store())
        forget_sealed(made)
    rows: list[Row] = []
    neighbours, before = Neighbours(), own_cpu_seconds()
    for part in parts:
        say(f"part {part}")
        for row in PARTS[part](made, options):
            rows.append(row)
            say(f"{row.what}: {row.seen}, wanted {row.wanted}")
    print(f"\n{table(HEAD, [row.cells() for row in rows])}\n")
    print(neighbours.told(own_cpu_seconds() - before))
    missed = sum(row.missed for row in rows)
    print(f"{missed} of {len(rows)} missed." if missed else "All targets are reached.")
    return 1 if missed else 0


def say(text: str) -> None:
    """How far it is, for people who wait."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
