"""Core: lints over which of HAProxy's lines are written at all, what they say, and who may change what is counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from logship.audit.lints.haproxy_cfg import ACCESS_LEVEL, PROXIES, Haproxy, Line, Section, indented
from logship.audit.lints.lint import Conditions, Deed, Flaw, Lint, Place, Severity, lint

HTTPLOG = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"
TCPLOG = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq"
"""What `option httplog` and `option tcplog` write (configuration manual 8.2)."""

UNBOUNDED = 65535
FIELD_BYTES = 40
_FIELD = re.compile(
    r"%%|%(?:\((?P<label>[^)]*)\))?(?:\{[^}]*\})?(?:(?P<name>[A-Za-z]+)|\[(?P<expression>(?:[^][]|\[[^]]*\])*)\])"
)
_LONG = frozenset({"r", "HU", "HP", "HPO", "HQ", "hr", "hrl", "hs", "hsl", "CC", "CS"})
AUDIT = ("pid", "lc")


def format_line(proxy: Section) -> Line | None:
    """The line that says what a proxy's lines look like: the nearest section's last one."""
    for section in proxy.chain():
        said = [
            line
            for line in section.lines
            if line.starts("log-format")
            or any(line.starts("option", name) for name in ("httplog", "tcplog", "httpslog"))
        ]
        if said:
            return said[-1]
    return None


def format_of(proxy: Section) -> str:
    """The log-format of a proxy as text, of an option what it stands for; "" for HAProxy's short default."""
    line = format_line(proxy)
    if line is None:
        return ""
    if line.words[0] == "log-format":
        return " ".join(line.words[1:])
    return TCPLOG if line.words[1] == "tcplog" else HTTPLOG


def fields(text: str) -> set[str]:
    """The names of a log-format's fields; of expressions their text."""
    names = (found["name"] or found["expression"] for found in _FIELD.finditer(text))
    return {name for name in names if name}


def length_max(text: str, proxy: Section) -> int:
    """How long a line of this format may get: without bound where it carries what a client sent."""
    found = fields(text)
    http = proxy.mode == "http"
    if (found & _LONG and http) or any(not name.isalpha() or len(name) > 3 for name in found if name not in _LONG):
        return UNBOUNDED
    return len(_FIELD.sub("", text)) + FIELD_BYTES * len(found) + 100


def _logging(conf: Haproxy) -> list[Section]:
    return [proxy for proxy in conf.all(*PROXIES) if conf.targets_of(proxy)]


@lint(
    "haproxy-level",
    Severity.LOSS,
    "a level that hides requests",
    "a request's line has level info: a target that takes notice and above gets only HAProxy's own news.",
)
def level(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    for target in conf.targets():
        blind = [user for user in conf.users_of(target) if all(other.hides for other in conf.targets_of(user))]
        if target.hides and (blind or not conf.all(*PROXIES)):
            words = list(target.line.words)
            words[words.index(target.level, 2)] = ACCESS_LEVEL
            what = f"{target.address} takes {target.level} and above, so no request"
            yield Flaw(target.line.place, what, Deed.REPLACE, indented(target.line, " ".join(words)))


@lint(
    "haproxy-sample",
    Severity.LOSS,
    "only a sample is written",
    "lines outside the sampled ranges are never written, and no counter knows of them.",
)
def sample(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    for target in conf.targets():
        if target.sample and not _all_of(target.sample):
            words = list(target.line.words)
            at = words.index("sample", 2)
            del words[at : at + 2]
            what = f"{target.address} gets the sample {target.sample}"
            yield Flaw(target.line.place, what, Deed.REPLACE, indented(target.line, " ".join(words)))


def _all_of(text: str) -> bool:
    """Whether a sample's ranges are everything: ``1:1``, ``1-4,5:5``."""
    ranges, _, count = text.partition(":")
    taken: set[int] = set()
    for part in ranges.split(","):
        low, _, high = part.partition("-")
        if not low.isdigit() or not (high or low).isdigit() or len(low) > 4 or len(high) > 4:
            return False
        taken |= set(range(int(low), int(high or low) + 1))
    return count.isdigit() and len(count) < 5 and set(range(1, int(count) + 1)) <= taken


@lint(
    "haproxy-dontlog-normal",
    Severity.LOSS,
    "good requests leave no line",
    "option dontlog-normal writes only what failed, so nothing can be counted or looked up but errors.",
)
def dontlog_normal(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    told: set[Place] = set()
    for proxy in conf.all(*PROXIES):
        line = proxy.option("dontlog-normal")
        if line and line.place not in told:
            told.add(line.place)
            yield Flaw(line.place, f"{proxy.title} writes only what failed", Deed.REMOVE)


@lint(
    "haproxy-silent",
    Severity.LOSS,
    "a rule takes lines away",
    "set-log-level silent, or drop in a log-profile, writes no line, and %lc does not count it.",
)
def silent(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    for section in conf.sections:
        for line in section.lines:
            rule = {"set-log-level", "silent"} <= set(line.words)
            if rule or (section.kind == "log-profile" and line.starts("on") and "drop" in line.words):
                what = f"{section.title} leaves lines out: {' '.join(line.words)}"
                yield Flaw(line.place, what, Deed.REMOVE)


@lint(
    "haproxy-no-log",
    Severity.LOSS,
    "a frontend whose requests leave no line",
    "without a log target a request is served and never heard of.",
)
def no_log(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    if not conf.whole:
        return
    for proxy in conf.all(*PROXIES):
        if proxy.mode != "log" and not conf.targets_of(proxy):
            off = next((line for section in proxy.chain() for line in section.find("no", "log")), None)
            if off and any(line for section in proxy.chain() for line in section.find("log")):
                yield Flaw(off.place, f"{proxy.title} says no log", Deed.REMOVE)
            elif off:
                yield Flaw(off.place, f"{proxy.title} says no log", Deed.REPLACE, indented(off, "log global"))
            else:
                write = indented(proxy.lines[0] if proxy.lines else proxy.head, "log global")
                missing = " (and global has no target)" if not conf.global_line("log") else ""
                yield Flaw(proxy.head.place, f"{proxy.title} has no log target{missing}", Deed.ADD, write)


@lint(
    "haproxy-no-audit",
    Severity.RISK,
    "lines that cannot be counted",
    "without %pid and %lc (the count of lines of that process and frontend) nobody can show that what was produced is "
    "what is stored.",
)
def no_audit(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    told: set[Place] = set()
    for proxy in _logging(conf):
        missing = [name for name in AUDIT if name not in fields(format_of(proxy))]
        line = format_line(proxy)
        place = line.place if line else proxy.head.place
        if missing and place not in told:
            told.add(place)
            what = f"lines of {proxy.title} lack {' and '.join(f'%{name}' for name in missing)}"
            yield _format(proxy, what, " ".join(f"{name}=%{name}" for name in missing))


@lint(
    "haproxy-no-request-id",
    Severity.RISK,
    "lines that cannot be matched",
    "without an id a request cannot be followed from here to the server's own lines, nor a missing line be named.",
)
def no_request_id(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    told: set[Place] = set()
    for proxy in _logging(conf):
        if proxy.mode != "http":
            continue
        line = format_line(proxy)
        place = line.place if line else proxy.head.place
        if not proxy.inherited("unique-id-format"):
            what = f"{proxy.title} gives requests no id"
            write = indented(proxy.lines[0] if proxy.lines else proxy.head, "unique-id-format %[uuid()]")
            yield Flaw(proxy.head.place, what, Deed.ADD, write)
        elif not fields(format_of(proxy)) & {"ID", "unique-id"} and place not in told:
            told.add(place)
            yield _format(proxy, f"lines of {proxy.title} do not say the request's id", "id=%ID")


def _format(proxy: Section, what: str, more: str) -> Flaw:
    """The log-format with more fields, in the place of the format that counts."""
    line = format_line(proxy)
    text = format_of(proxy) or (HTTPLOG if proxy.mode == "http" else TCPLOG)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    near = line or (proxy.lines[0] if proxy.lines else proxy.head)
    write = indented(near, f'log-format "{escaped} {more}"')
    return Flaw(line.place if line else proxy.head.place, what, Deed.REPLACE if line else Deed.ADD, write)


@lint(
    "haproxy-open-admin",
    Severity.RISK,
    "the admin socket is open to others",
    "a TCP stats socket asks for no password: at level admin whoever reaches it changes servers and clears the "
    "counters that the audit compares.",
)
def open_admin(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    for section in conf.all("global"):
        for line in section.find("stats", "socket"):
            address = line.words[2] if len(line.words) > 2 else ""
            host = address.rpartition("@")[2].rpartition(":")[0].strip("[]")
            local = address.startswith(("/", "unix@", "abns@", "fd@")) or host in ("127.0.0.1", "::1", "localhost")
            if not local and ("level", "admin") in pairwise(line.words):
                words = " ".join("operator" if word == "admin" else word for word in line.words)
                what = f"{address} takes commands of level admin from the network"
                yield Flaw(line.place, what, Deed.REPLACE, indented(line, words))


@lint(
    "haproxy-idle-close",
    Severity.RISK,
    "a reload that fails requests",
    "20 reloads failed 51 to 73 requests that reused a connection to the old process, and none with "
    "option idle-close-on-response.",
)
def idle_close(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    told: set[Place] = set()
    for proxy in conf.all(*PROXIES):
        section = list(proxy.chain())[-1]
        if proxy.mode != "http" or not conf.whole or proxy.option("idle-close-on-response"):
            continue
        if section.head.place not in told:
            told.add(section.head.place)
            write = indented(section.lines[0] if section.lines else section.head, "option idle-close-on-response")
            yield Flaw(section.head.place, f"{proxy.title} resets idle connections at a reload", Deed.ADD, write)


@lint(
    "haproxy-last-line",
    Severity.RISK,
    "the last line has no end",
    'HAProxy refuses such a file ("Missing LF on last line"), so its next start or reload fails.',
)
def last_line(conf: Haproxy, _: Conditions) -> Iterator[Flaw]:
    text = conf.source.text
    if text and not text.endswith("\n"):
        number = len(conf.source.lines())
        what = "the file does not end with a newline"
        yield Flaw(conf.source.place(number), what, Deed.REPLACE, conf.source.line(number))


LINTS: tuple[Lint[Haproxy], ...] = (
    level, sample, dontlog_normal, silent, no_log, no_audit, no_request_id, open_admin, idle_close, last_line,
)  # fmt: skip
