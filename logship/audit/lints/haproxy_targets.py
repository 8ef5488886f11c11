"""Core: lints over where HAProxy's lines go, and how many of them arrive there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from logship.audit.lints.haproxy_cfg import (
    LOG_BACKEND,
    PIPE,
    RING,
    TCP,
    UDP,
    UNIX,
    UNKNOWN,
    Haproxy,
    Section,
    Target,
    indented,
)
from logship.audit.lints.haproxy_lines import format_of, length_max
from logship.audit.lints.lint import Conditions, Deed, Flaw, Lint, Place, Severity, lint, size, span

PIPE_BUF = 4096
RING_BYTES = 8 * 1024 * 1024
"""A ring of this size lost nothing while its receiver stood (36,000 lines a second); one of 64 KiB did."""
LINE_BYTES = 250
LOSSY = {UDP: "haproxy-udp", UNIX: "haproxy-unix-socket", RING: "haproxy-ring", TCP: "haproxy-ring",
         LOG_BACKEND: "haproxy-log-backend"}  # fmt: skip
"""The lint that replaces a target of this kind."""
GOOD = "log stdout len 4096 format raw local0 info"


def _to_stdout(conf: Haproxy, target: Target, what: str) -> Flaw:
    """Standard output in its place; nothing where all its lines go there anyway, or will when others are replaced."""
    users = conf.users_of(target)
    if users and all(any(_better(other, target) for other in conf.targets_of(user)) for user in users):
        return Flaw(target.line.place, f"{what}; another target takes them, too", Deed.REMOVE)
    return Flaw(target.line.place, what, Deed.REPLACE, indented(target.line, GOOD))


def _better(other: Target, target: Target) -> bool:
    earlier = other.line.place < target.line.place
    return other != target and not other.hides and (other.kind == PIPE or (earlier and other.kind in LOSSY))


def _of_kind(conf: Haproxy, *kinds: str) -> Iterator[Target]:
    return (target for target in conf.targets() if target.kind in kinds)


@lint(
    "haproxy-udp",
    Severity.LOSS,
    "lines go by UDP",
    "a full receive buffer drops datagrams and nobody counts them: of 20,000 sent without an error 166 arrived.",
)
def udp(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    for target in _of_kind(conf, UDP):
        yield _to_stdout(conf, target, f"lines go by UDP to {target.address}")


@lint(
    "haproxy-unix-socket",
    Severity.LOSS,
    "lines go to a datagram socket",
    "its queue holds 10 datagrams in a container: 32 % of the lines were dropped at 27,000 requests a second, and all "
    "of them, uncounted, while nobody listens.",
)
def unix_socket(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    for target in _of_kind(conf, UNIX):
        yield _to_stdout(conf, target, f"lines go to the datagram socket {target.address}")


@lint(
    "haproxy-ring",
    Severity.LOSS,
    "lines go through a ring in memory",
    "a ring drops its oldest lines when it is full and what it holds at a reload, and DroppedLogs stays 0.",
)
def ring(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    for target in _of_kind(conf, RING, TCP):
        how = "the ring" if target.kind == RING else "TCP, which has a ring before it,"
        yield _to_stdout(conf, target, f"lines go through {how} {target.address}")


@lint(
    "haproxy-log-backend",
    Severity.LOSS,
    "lines go to a log backend",
    "each of its servers has a ring of 16 KiB, microseconds of traffic, and what does not fit is gone.",
)
def log_backend(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    for target in _of_kind(conf, LOG_BACKEND):
        yield _to_stdout(conf, target, f"lines go to the log backend {target.address.partition('@')[2]}")


@lint(
    "haproxy-ring-size",
    Severity.LOSS,
    "a ring that is full in no time",
    "a ring overwrites the oldest lines in silence: 64 KiB lost lines at 29,000 a second; 8 MiB hold 1 s.",
)
def ring_size(conf: Haproxy, conditions: Conditions) -> Iterator[Flaw]:
    wanted = max(RING_BYTES, int((conditions.rate_bytes or 0) * conditions.outage_seconds))
    for section in conf.all("ring"):
        line = section.last("size")
        count = _bytes(line.words[1]) if line and len(line.words) > 1 else 16384
        if count < wanted:
            lasts = f", {span(count / conditions.rate_bytes)} at this rate" if conditions.rate_bytes else ""
            what = f"ring {section.name} holds {size(count)}{lasts}"
            yield _in(section, "size", what, str(wanted))


@lint(
    "haproxy-ring-maxlen",
    Severity.LOSS,
    "a ring that cuts lines",
    "maxlen (default 1024) cuts each line on its way into the ring, whatever len the log line allows.",
)
def ring_maxlen(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    for section in conf.all("ring"):
        line = section.last("maxlen")
        count = _bytes(line.words[1]) if line and len(line.words) > 1 else 1024
        feeders = [target for target in conf.targets() if target.address == f"ring@{section.name}"]
        longest = max((needed for target in feeders if (needed := _needed(conf, target))), default=0)
        if count < longest:
            yield _in(section, "maxlen", f"ring {section.name} cuts lines at {count} bytes", str(longest))


@lint(
    "haproxy-ring-file",
    Severity.RISK,
    "a ring with a backing file",
    "a backing file is made for looking at after a crash, not for shipping: HAProxy may crash when its disk is full.",
)
def ring_file(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    for section in conf.all("ring"):
        for line in section.find("backing-file"):
            yield Flaw(line.place, f"ring {section.name} is backed by a file", Deed.REMOVE)


@lint(
    "haproxy-short-len",
    Severity.LOSS,
    "long lines are cut",
    "a line is cut at len (default 1024 bytes, header and newline included), and a request alone may be longer.",
)
def short_len(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    for target in conf.targets():
        needed = _needed(conf, target)
        replaced = target.kind in LOSSY and not conf.source.allows(LOSSY[target.kind], target.line.place.line)
        if needed and target.len_max < needed and not replaced:
            said = "is" if "len" in target.line.words else "is not set, which means"
            whose = ", ".join(proxy.title for proxy in conf.users_of(target))
            what = f"len {said} {target.len_max}, and lines of {whose} may be longer"
            yield Flaw(target.line.place, what, Deed.REPLACE, target.with_option("len", str(needed)))


def _needed(conf: Haproxy, target: Target) -> int:
    """How long the lines may get that go there; 4096 where a request is part of them."""
    lengths = [length_max(format_of(proxy), proxy) for proxy in conf.users_of(target)]
    return min(PIPE_BUF, max(lengths, default=0))


@lint(
    "haproxy-long-len",
    Severity.LOSS,
    "lines that a pipe may tear",
    "a write beyond 4096 bytes may be taken in part (8192 of 20,000 were) and counts as success, torn.",
)
def long_len(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    for target in _of_kind(conf, PIPE):
        if target.len_max > PIPE_BUF:
            what = f"len is {target.len_max}, a pipe takes {PIPE_BUF} whole or not at all"
            yield Flaw(target.line.place, what, Deed.REPLACE, target.with_option("len", str(PIPE_BUF)))


@lint(
    "haproxy-contention",
    Severity.LOSS,
    "several threads write one pipe",
    "a thread gives a line up after 200 tries for the pipe: two threads lost 380 of 740,343 lines, one thread none of "
    "274,027.",
)
def contention(conf: Haproxy, conditions: Conditions) -> Iterator[Flaw]:
    section = conf.globals
    pipes = {target.address for target in _of_kind(conf, PIPE) if conf.users_of(target)}
    if section is None or not pipes:
        return
    line = conf.global_line("nbthread")
    if line is None and conditions.cpus == 1:
        return
    known = line.words[1] if line and len(line.words) > 1 else ""
    count = int(known) if known.isdigit() and len(known) < 5 else conditions.cpus
    if count is None or count > len(pipes):
        said = f"is {count}" if line else f"is not set, which means one a processor{f' ({count})' if count else ''}"
        what = f"nbthread {said}, and all threads write {' and '.join(sorted(pipes))}"
        yield _in(section, "nbthread", what, "1")


@lint(
    "haproxy-same-target",
    Severity.RISK,
    "every line is written twice",
    "the same target twice in one proxy doubles every line, and produced no longer equals stored.",
)
def same_target(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    told = set()
    for proxy in conf.all("frontend", "listen", "backend"):
        seen: set[str] = set()
        for target in conf.targets_of(proxy):
            if target.hides or target.kind == UNKNOWN:
                continue
            if target.address in seen and target.line.place not in told:
                told.add(target.line.place)
                what = f"lines of {proxy.title} go to {target.address} twice"
                yield Flaw(_second(proxy, target), what, Deed.REMOVE)
            seen.add(target.address)


def _second(proxy: Section, target: Target) -> Place:
    """The line to take away: a second ``log global``, else the target's own."""
    again = [line for section in proxy.chain() for line in section.find("log", "global")]
    return again[0].place if len(again) > 1 else target.line.place


@lint(
    "haproxy-daemon",
    Severity.LOSS,
    "lines to a standard output that is closed",
    "a daemon gives up its standard output, so `log stdout` writes nowhere; under a supervisor HAProxy stays in front.",
)
def daemon(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    line = conf.global_line("daemon")
    if line and any(_of_kind(conf, PIPE)):
        yield Flaw(line.place, "daemon, and lines go to standard output", Deed.REMOVE)


def _in(section: Section, word: str, what: str, value: str) -> Flaw:
    line = section.last(word)
    near = line or (section.lines[0] if section.lines else section.head)
    write = indented(near, f"{word} {value}")
    return Flaw(line.place if line else section.head.place, what, Deed.REPLACE if line else Deed.ADD, write)


def _bytes(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,15})([kmg]?)", text.lower())
    return int(found[1]) * 1024 ** ("kmg".find(found[2]) + 1 if found[2] else 0) if found else 0


LINTS: tuple[Lint[Haproxy], ...] = (
    udp, unix_socket, ring, log_backend, ring_size, ring_maxlen, ring_file, short_len, long_len, contention,
    same_target, daemon,
)  # fmt: skip
