"""What `make bench-search` concludes: a row a target, what was seen of it, and whether that is enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.search_live import Intake, Latencies
from bench.search_questions import AWK, PACKED, PLAIN, RAW, Question

STORED_MAX = 0.40
SEAL_MIN = 0.40
SEAL_MEMORY_MIB_MAX = 512
TAIL_MS_MAX = 25
TAIL_TIMES_MAX, TAIL_BESIDES_MS = 2, 20
FIRST_MS_MAX = 200
FOUND_MS_MAX = 500
INTAKE_TIMES_MAX = 3


@dataclass(frozen=True)
class Row:
    """A target: what, beside what, what is wanted and what was seen, in words; and whether it was missed."""

    what: str
    wanted: str
    seen: str
    missed: bool
    details: str = ""

    def cells(self) -> list[str]:
        """As the table shows it."""
        return [self.what, self.wanted, self.seen, "MISSED" if self.missed else "reached", self.details]


_ORDER = (RAW, PACKED, AWK, PLAIN)
HEAD = ("what", "wanted", "seen", "", "median ms")


@dataclass
class Times:
    """Seconds of a question by round: of ours, and of each of the others."""

    question: Question
    ours: list[float] = field(default_factory=list)
    others: dict[str, list[float]] = field(default_factory=dict)

    def take_round(self, ours: float, others: Mapping[str, float]) -> None:
        """All were asked once, one after the other."""
        self.ours.append(ours)
        for name, seconds in others.items():
            self.others.setdefault(name, []).append(seconds)

    def rows(self) -> Iterator[Row]:
        """A ratio is that of a round; their median is judged."""
        told = {"ours": self.ours, **{name: self.others[name] for name in _ORDER if name in self.others}}
        details = ", ".join(f"{name} {median(seconds) * 1000:.0f}" for name, seconds in told.items())
        for name, at_most in self.question.at_most.items():
            ratio = median(mine / theirs for mine, theirs in zip(self.ours, self.others[name], strict=True))
            seen = f"{ratio:.3f}" if ratio < 0.1 else f"{ratio:.2f}"
            yield Row(self.question.name, f"{at_most} of {name}", seen, ratio > at_most, details)
            details = ""


def stored(stored_bytes: int, raw_bytes: int, packed_bytes: int) -> Row:
    """How much of the disk it takes."""
    share = stored_bytes / raw_bytes
    beside = f"zstd -1 of the raw text {packed_bytes / raw_bytes:.3f}"
    return Row("bytes stored / raw bytes, everything", f"{STORED_MAX}", f"{share:.3f}", share > STORED_MAX, beside)


def sealed(mib: float, seconds: float, plain_seconds: float, peak_mib: float) -> Iterator[Row]:
    """How fast it was sealed, by CPU time, and with how much memory."""
    ratio = plain_seconds / seconds
    details = f"ours {mib / seconds:.1f} MiB/s a core, plain DuckDB {mib / plain_seconds:.1f}"
    yield Row(
        "seal, MiB/s of raw a core", f"at least {SEAL_MIN} of plain DuckDB", f"{ratio:.2f}", ratio < SEAL_MIN, details
    )
    is_missed = peak_mib >= SEAL_MEMORY_MIB_MAX
    yield Row("seal, memory", f"under {SEAL_MEMORY_MIB_MAX} MiB", f"{peak_mib:.0f}", is_missed)


def tail(ours: Sequence[float], theirs: Sequence[float]) -> Iterator[Row]:
    """The last lines of a stream, nothing of it in memory."""
    what, mine, other = "last 100 lines of a stream, cold", median(ours) * 1000, median(theirs) * 1000
    details = f"ours {mine:.1f}, tail(1) {other:.1f}, slowest {max(ours) * 1000:.1f}"
    yield Row(what, f"{TAIL_MS_MAX} ms", f"{mine:.1f}", mine > TAIL_MS_MAX, details)
    over = max(
        mine * 1000 - TAIL_TIMES_MAX * other * 1000 - TAIL_BESIDES_MS for mine, other in zip(ours, theirs, strict=True)
    )
    yield Row(what, f"never over {TAIL_TIMES_MAX} x tail(1) + {TAIL_BESIDES_MS} ms", f"{over:+.1f} ms", over > 0)


def first_rows(by_query: Mapping[str, Sequence[float]]) -> Row:
    """The slowest query counts."""
    medians = {query: median(seconds) * 1000 for query, seconds in by_query.items()}
    worst = max(medians.values())
    details = ", ".join(f"{query} {found:.0f}" for query, found in medians.items())
    return Row("first rows of any query", f"{FIRST_MS_MAX} ms", f"{worst:.0f}", worst > FIRST_MS_MAX, details)


def found(rounds: Sequence[Latencies]) -> Row:
    """From written to found."""
    p50, p99 = (median(one.share_ms(part) for one in rounds) for part in (0.5, 0.99))
    details = f"p50 {p50:.0f}, of {sum(len(one.sorted_seconds) for one in rounds)} lines"
    return Row(
        "line written to found by a query, p99",
        f"under {FOUND_MS_MAX} ms at 5 MiB/s",
        f"{p99:.0f}",
        p99 >= FOUND_MS_MAX,
        details,
    )


def intake(rounds: Sequence[Intake]) -> Row:
    """What the worst query costs those who write."""
    ratio = median(one.busy.share_ms(0.99) / one.idle.share_ms(0.99) for one in rounds)
    idle_ms, busy_ms = (median(each.share_ms(0.99) for each in way) for way in _ways(rounds))
    times = sum(one.answered for one in rounds)
    details = f"idle {idle_ms:.1f}, busy {busy_ms:.1f}; the query was answered {times} times"
    what = "intake p99 while the worst query runs"
    return Row(what, f"{INTAKE_TIMES_MAX} of idle", f"{ratio:.1f}", ratio > INTAKE_TIMES_MAX, details)


def _ways(rounds: Sequence[Intake]) -> tuple[list[Latencies], list[Latencies]]:
    return [one.idle for one in rounds], [one.busy for one in rounds]
