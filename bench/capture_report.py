"""What the benchmark of capture concludes: its values, its tables, its targets. Measuring is ``capture``'s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.balancer import Stored
from bench.table import table

RATIO_MIN = 0.90
IDLE_MIB_MAX = 45.0
IDLE_CORE_MAX = 0.02


@dataclass
class Side:
    """One HAProxy and its rounds: requests a second, its CPU microseconds a request, and those of ours, by program."""

    name: str
    rates: list[float] = field(default_factory=list)
    haproxy: list[float] = field(default_factory=list)
    others: dict[str, list[float]] = field(default_factory=dict)

    @property
    def cost(self) -> float:
        """CPU microseconds a request, of HAProxy and, where it is ours, of all that follows."""
        return median(self.haproxy) + sum(map(median, self.others.values()))


@dataclass(frozen=True)
class Outcome:
    """What became of the lines of one HAProxy."""

    side: str
    threads: int
    requests: int
    dropped: int
    stored: Stored
    ledger: int | None = None
    """Lines that the ledger says HAProxy dropped, with a number or without; None: nobody audits this log."""

    @property
    def missing(self) -> int:
        """Requests that left neither a line nor a count."""
        return self.requests - self.dropped - self.stored.lines

    def row(self) -> list[str]:
        """For the table."""
        numbers = (self.requests, self.dropped, self.stored.lines, self.missing, self.stored.repeated, self.stored.torn)
        ledger = "" if self.ledger is None else f"{self.ledger:,}"
        return [f"{self.side}, {threads_told(self.threads)}", *(f"{number:,}" for number in numbers), ledger]


def threads_told(count: int) -> str:
    """In words."""
    return f"{count} thread{'s' if count > 1 else ''}"


@dataclass(frozen=True)
class Idle:
    """What spool and ship use while nothing happens: of a core, MiB of PSS, MiB of RSS at most."""

    core: float
    pss: float
    peak: float


def missed(pairs: dict[int, list[Side]], outcomes: list[Outcome], quiet: Idle) -> list[str]:
    """Each target that is not met, in a sentence."""
    told = []
    for threads, (file, ours) in pairs.items():
        ratio = median(a / b for a, b in zip(ours.rates, file.rates, strict=True))
        if ratio < RATIO_MIN:
            told.append(
                f"{threads_told(threads)}: {ratio:.2f} of the rate with a file, at least {RATIO_MIN} must be reached"
            )
    for each in outcomes:
        if each.side != "ours":
            continue
        where = threads_told(each.threads)
        if each.missing or each.stored.torn or each.stored.repeated:
            told.append(f"{where}: {each.missing} missing, {each.stored.torn} torn, {each.stored.repeated} twice")
        if each.ledger != each.dropped:
            told.append(f"{where}: HAProxy dropped {each.dropped} lines, and the ledger says {each.ledger}")
        if each.threads == 1 and each.dropped:
            told.append(f"{where}: HAProxy dropped {each.dropped} lines, and must drop none")
    if quiet.pss > IDLE_MIB_MAX:
        told.append(f"idle: spool and ship have {quiet.pss:.0f} MiB, {IDLE_MIB_MAX:.0f} at most are allowed")
    if quiet.core >= IDLE_CORE_MAX:
        told.append(f"idle: spool and ship use {quiet.core:.1%} of a core, it must be under {IDLE_CORE_MAX:.0%}")
    return told


def report(pairs: dict[int, list[Side]], outcomes: list[Outcome], quiet: Idle) -> None:
    """The tables."""
    rows, costs = [], []
    columns: Sequence[str] = ()
    for threads, (file, ours) in pairs.items():
        ratios = [a / b for a, b in zip(ours.rates, file.rates, strict=True)]
        told = [f"{median(ratios):.2f}", f"{min(ratios):.2f} .. {max(ratios):.2f}"]
        rows.append([threads_told(threads), f"{median(file.rates):,.0f}", f"{median(ours.rates):,.0f}", *told])
        columns = [*ours.others]
        shares = [f"{median(ours.others[name]):.1f}" for name in ours.others]
        alone, beside = f"{median(file.haproxy):.1f}", f"{median(ours.haproxy):.1f}"
        costs.append([threads_told(threads), alone, beside, *shares, f"{ours.cost - file.cost:+.1f}"])
    print(table(("HAProxy with", "to a file, requests/s", "ours", "ratio", "ratios"), rows))
    print()
    print(table(("CPU microseconds a request", "HAProxy to a file", "ours: HAProxy", *columns, "more in all"), costs))
    print("(the engine's are of all containers of this machine)\n")
    head = ("lines of", "requests", "DroppedLogs", "stored", "missing", "twice", "torn", "in the ledger")
    print(table(head, [each.row() for each in outcomes]))
    print(
        f"\nIdle: spool and ship use {quiet.core:.2%} of a core, {quiet.pss:.1f} MiB PSS (at most {quiet.peak:.1f} RSS)"
    )
