"""Ours beside rsyslog and syslog-ng, in interleaved rounds: delivery by 1 and 8 shippers, catching up, latency.

A ratio is that of one round: our number in the best number that any peer had in it, whatever that peer promises. The
median of the rounds is judged.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TypeVar

from bench import latency
from bench.delivery import OUTAGE_SECONDS, Delivered, catch_up, deliver
from bench.latency import Ages
from bench.ours import Logship
from bench.peer import Failed, Peer
from bench.peers_rsyslog import Rsyslog
from bench.peers_syslogng import KINDS, SyslogNg
from bench.report import Options, Report

SHIPPERS = 8
RATE_RATIO_MIN = {1: 4.0, SHIPPERS: 3.0}
CPU_RATIO_MAX = 0.35
CATCH_UP_RATIO_MIN = 4.0
P99_MS_MAX = 100.0
P99_RATIO_MAX = 2.0
LATENCY_SECONDS = 15
QUICK_LATENCY_SECONDS = 4

Found = TypeVar("Found", Delivered, Ages)
Rounds = Sequence[Mapping[str, Found]]
"""What each one had in each round, by name; one that failed in a round is not in it."""

HEAD = (
    "median of the rounds", "MiB/s", "ours / this", "CPU s/GiB collector", "shippers", "peak MiB collector",
    "a shipper",
)  # fmt: skip


def ours(*, spool: bool) -> list[Peer]:
    """Our own ways."""
    return [Logship(), *([Logship(spool=True)] if spool else [])]


def rsyslog(options: Options) -> list[Peer]:
    """The peer with acknowledgements. Raises Unavailable."""
    return [Rsyslog(options.cache)]


def peers(options: Options) -> list[Peer]:
    """All peers. Raises Unavailable."""
    return [*rsyslog(options), *(SyslogNg(kind, options.cache) for kind in KINDS)]


def delivery(options: Options, shippers: int) -> Report:
    """Files that grow at once."""
    mib = options.mib or (64 if options.quick else 512)
    rounds = _rounds(options, [*ours(spool=True), *peers(options)], lambda peer, own: deliver(peer, own, shippers, mib))
    least = RATE_RATIO_MIN[shippers]
    count = "1 shipper" if shippers == 1 else f"{shippers} shippers"
    missed = [*rate_missed(rounds, least), *cpu_missed(rounds)]
    reached = f"at least {least:g} times the fastest peer, at most {CPU_RATIO_MAX} of the CPU of the thriftiest"
    title = f"File to durable, {count}: {mib} MiB a round, {len(rounds)} rounds"
    return Report(title, HEAD, _rows(rounds), missed, reached)


def catching_up(options: Options) -> Report:
    """The file grew while there was no collector."""
    mib = options.mib or (64 if options.quick else 512)
    rounds = _rounds(options, [*ours(spool=False), *peers(options)], lambda peer, own: catch_up(peer, own, 1, mib))
    title = f"Catching up after an outage of {OUTAGE_SECONDS} s and {mib} MiB, {len(rounds)} rounds"
    reached = f"at least {CATCH_UP_RATIO_MIN:g} times the fastest peer, from when the collector accepts again"
    return Report(title, HEAD, _rows(rounds), rate_missed(rounds, CATCH_UP_RATIO_MIN), reached)


def latencies(options: Options) -> Report:
    """How old a line is when it is seen."""
    seconds = QUICK_LATENCY_SECONDS if options.quick else LATENCY_SECONDS
    rounds = _rounds(
        options, [*ours(spool=False), *rsyslog(options)], lambda peer, own: latency.ages(peer, own, seconds)
    )
    head = ("median of the rounds", "p50 ms", "p99 ms", "max ms", "cores collector", "cores shipper", "lines a round")
    rows = []
    for name in _names(rounds):
        found = [each[name] for each in rounds if name in each]
        numbers = [median(each.share(part) for each in found) for part in (0.5, 0.99, 1.0)]
        cores = [median(each.collect_cores for each in found), median(each.ship_cores for each in found)]
        lines = f"{median(len(each.sorted_ages) for each in found):.0f}"
        rows.append([name, *(f"{number:.1f}" for number in numbers), *(f"{core:.2f}" for core in cores), lines])
    title = f"Line to visible at 5 MiB/s: {seconds} s a round, {len(rounds)} rounds"
    reached = f"p99 under {P99_MS_MAX:g} ms and at most {P99_RATIO_MAX:g} times rsyslog's"
    return Report(title, head, rows, latency_missed(rounds), reached)


def rate_missed(rounds: Rounds[Delivered], least: float) -> list[str]:
    """Each way of ours that is not so many times as fast as the fastest peer of the same round."""
    told = []
    for name in _ours(rounds):
        ratios = [each[name].rate / max(_rivals(each, "rate")) for each in rounds]
        if median(ratios) < least:
            told.append(f"{name}: {median(ratios):.2f} times the fastest peer, at least {least:g} must be reached")
    return told


def cpu_missed(rounds: Rounds[Delivered]) -> list[str]:
    """Each side of each way of ours that needs too much of what the thriftiest peer of the same round needs there."""
    told = []
    for name in _ours(rounds):
        for side, word in (("collect_cpu", "collector"), ("ship_cpu", "shippers")):
            ratios = [getattr(each[name], side) / min(_rivals(each, side)) for each in rounds]
            if median(ratios) > CPU_RATIO_MAX:
                sentence = f"{name}, {word}: {median(ratios):.2f} of the CPU of the thriftiest peer"
                told.append(f"{sentence}, at most {CPU_RATIO_MAX} must be reached")
    return told


def latency_missed(rounds: Rounds[Ages]) -> list[str]:
    """Each way of ours whose slowest hundredth waits too long."""
    told = []
    for name in _ours(rounds):
        slowest = median(each[name].share(0.99) for each in rounds)
        if slowest >= P99_MS_MAX:
            told.append(f"{name}: p99 {slowest:.1f} ms, it must be under {P99_MS_MAX:g}")
        ratios = [
            each[name].share(0.99) / min(found.share(0.99) for rival, found in each.items() if not _is_ours(rival))
            for each in rounds
        ]
        if median(ratios) > P99_RATIO_MAX:
            told.append(
                f"{name}: p99 is {median(ratios):.2f} times rsyslog's, at most {P99_RATIO_MAX:g} must be reached"
            )
    return told


def _rounds(options: Options, all_peers: Sequence[Peer], measure: Callable[[Peer, Path], Found]) -> Rounds[Found]:
    """Each peer once a round, one after the other, each with a folder of its own that is gone before the next."""
    rounds = []
    for number in range(options.rounds or (1 if options.quick else 3)):
        options.begin_round()
        found: dict[str, Found] = {}
        for peer in all_peers:
            own = options.folder / "run"
            own.mkdir()
            try:
                found[peer.name] = measure(peer, own)
            except Failed as failure:
                if _is_ours(peer.name):
                    raise
                options.say(f"round {number + 1}: {peer.name} has no number: {failure}")
                continue
            finally:
                shutil.rmtree(own, ignore_errors=True)
            options.say(f"round {number + 1}: {peer.name}: {found[peer.name].told}")
        if all(_is_ours(name) for name in found):
            raise Failed("no peer came through a round")
        rounds.append(found)
    return rounds


def _rows(rounds: Rounds[Delivered]) -> list[list[str]]:
    rows = []
    first = _ours(rounds)[0]
    for name in _names(rounds):
        having = [each for each in rounds if name in each]
        found = [each[name] for each in having]
        cost = [median(getattr(each, side) * 1024 / each.mib for each in found) for side in ("collect_cpu", "ship_cpu")]
        peaks = [max(each.collect_peak for each in found), max(each.ship_peak for each in found)]
        ratio = "" if _is_ours(name) else f"{median(each[first].rate / each[name].rate for each in having):.1f}"
        rate = f"{median(each.rate for each in found):.1f}"
        rows.append([name, rate, ratio, *(f"{each:.1f}" for each in cost), *(f"{each:.0f}" for each in peaks)])
    return rows


def _names(rounds: Rounds[Found]) -> list[str]:
    return [*dict.fromkeys(name for each in rounds for name in each)]


def _ours(rounds: Rounds[Found]) -> list[str]:
    return [name for name in _names(rounds) if _is_ours(name)]


def _rivals(found: Mapping[str, Delivered], field: str) -> list[float]:
    return [getattr(each, field) for name, each in found.items() if not _is_ours(name)]


def _is_ours(name: str) -> bool:
    return name.startswith("logship")
