"""Core: what a reader wants: TARGETs -> streams, patterns -> lines.

    all   webapp   webapp/2   webapp:serf   webapp/2:serf   'web*:*'   webapp/2/serf/20261123T201501Z-9f2c51aa

A TARGET is SERVICE[/INSTANCE][:PROGRAM], ``*`` stands for any characters in each part; or the path of a stream, where
``*`` stays inside a segment. A stream whose path has not the four segments of our shipper is reached by its path, and
by ``all``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from logship.values import Invalid
from logship.view.shown import harmless

TARGETS_MAX = 64
TARGET_CHARACTERS_MAX = 600
PATTERN_CHARACTERS_MAX = 1024
MATCH_SECONDS_MAX = 0.5
"""For one line. A pattern that takes longer would take for ever on the next one."""

_TARGET = re.compile(
    r"(?P<service>[A-Za-z0-9_.~*-]+)(?:/(?P<instance>[A-Za-z0-9_.~*-]+))?(?::(?P<program>[A-Za-z0-9_.~*-]+))?"
)
_PATH = re.compile(r"[A-Za-z0-9_.~*-]+(?:/[A-Za-z0-9_.~*-]+){2,7}")
_SHIPPED_SEGMENTS = 4
SNAPSHOT_PROGRAMS = frozenset({"supervise", "ship"})
"""Programs that say how things are by the clock, each 15 or 30 s: in an idle fleet nearly all there is."""
_SNAPSHOT = re.compile(rb'\{"time": ?"[^"]{1,40}", ?(?:"level": ?"[a-z]{1,10}", ?)?"event": ?"snapshot"')
_LITERAL = re.compile(r"[^\\.^$*+?{}\[\]|()]*")
GRAMMAR = "a TARGET is SERVICE[/INSTANCE][:PROGRAM] or the path of a stream, as in: all  webapp  webapp/2  ha:haproxy"


ID_DIGITS, SHOWN_DIGITS = 64, 12
"""Of a container's id, and as much of it as the engine shows."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose a stream is, for people. Of a foreign stream only ``path`` is known for sure."""

    path: str
    service: str | None
    instance: str | None
    program: str | None
    kind: str

    @property
    def label(self) -> str:
        """``webapp/2:serf``, else the path."""
        if self.program is None:
            return self.path
        return f"{self.place}:{self.program}"

    @property
    def place(self) -> str:
        """Its container: ``webapp/2``; of a foreign stream the first segment of its path."""
        if self.service is None:
            return self.path.partition("/")[0]
        return f"{self.service}/{self.shown}"

    @property
    def shown(self) -> str | None:
        """The instance for people: of a container's full id as much as the engine itself shows."""
        instance = self.instance
        if instance is not None and len(instance) == ID_DIGITS and not instance.strip("0123456789abcdef"):
            return instance[:SHOWN_DIGITS]
        return instance


_KINDS = {"haproxy": "haproxy", "serf": "serf", "supervisord": "supervisord", "supervise": "events"}


def identify(path: str, source: Mapping[str, Any]) -> Identity:
    """Whose the stream ``path`` is, with what its source says of it."""
    segments = path.split("/")
    if len(segments) != _SHIPPED_SEGMENTS:
        return Identity(path, None, None, None, str(source.get("kind") or "plain"))
    service, instance, program, _ = segments
    return Identity(path, service, instance, program, str(source.get("kind") or _KINDS.get(program, "plain")))


@dataclass(frozen=True, slots=True)
class Target:
    """One TARGET: a test of the path, or of service, instance and program (None: any).

    ``named`` is the program it names in full, without ``*``.
    """

    text: str
    named: str | None
    path: re.Pattern[str] | None
    service: re.Pattern[str] | None = None
    instance: re.Pattern[str] | None = None
    program: re.Pattern[str] | None = None

    def takes(self, identity: Identity) -> bool:
        """Whether the stream is meant."""
        if identity.path == self.text or self.text == "all":
            return True
        if self.path is not None:
            return bool(self.path.fullmatch(identity.path))
        tests = (
            (self.service, (identity.service,)),
            (self.instance, (identity.instance, identity.shown)),
            (self.program, (identity.program,)),
        )
        return all(
            pattern is None or any(said is not None and pattern.fullmatch(said) for said in names)
            for pattern, names in tests
        )


def parse_target(text: str) -> Target | Invalid:
    """One TARGET."""
    if len(text) <= TARGET_CHARACTERS_MAX:
        match = _TARGET.fullmatch(text)
        if match is not None:
            parts = (None if part is None else _globbed(part, ".*") for part in match.group(1, 2, 3))
            return Target(text, match["program"], None, *parts)
        if _PATH.fullmatch(text):
            segments = text.split("/")
            named = segments[2] if len(segments) == _SHIPPED_SEGMENTS else None
            return Target(text, named, _globbed(text, "[^/]*"))
    return Invalid(f"{harmless(text[:80])!r} is no TARGET: {GRAMMAR}")


def parse_targets(texts: Sequence[str]) -> list[Target] | Invalid:
    """Several TARGETs; none means ``all``. Each text may hold more than one, with spaces or commas between."""
    words = [word for text in texts for word in re.split(r"[\s,]+", text) if word] or ["all"]
    if len(words) > TARGETS_MAX:
        return Invalid(f"more than {TARGETS_MAX} TARGETs")
    found = []
    for word in words:
        target = parse_target(word)
        if isinstance(target, Invalid):
            return target
        found.append(target)
    return found


def unknown(targets: Sequence[Target], identities: Iterable[Identity]) -> str | None:
    """What to say of TARGETs that mean no stream there is, with near ones; None when all mean one."""
    there = list(identities)
    missing = [target for target in targets if target.text != "all" and not any(map(target.takes, there))]
    if not missing:
        return None
    names = {identity.label for identity in there} | {identity.place for identity in there}
    names |= {f"{identity.service}:{identity.program}" for identity in there if identity.service}
    names |= {identity.service for identity in there if identity.service}
    said = []
    for target in missing:
        near = difflib.get_close_matches(target.text, sorted(names), n=3, cutoff=0.6)
        said.append(f"{target.text}" + (f" (did you mean {' or '.join(near)}?)" if near else ""))
    services = sorted({identity.place for identity in there})
    known = ", ".join(services[:20]) + (f" and {len(services) - 20} more" if len(services) > 20 else "")
    return f"no stream is meant by {', '.join(said)}; there is: {known or 'nothing yet'}"


def _globbed(text: str, any_characters: str) -> re.Pattern[str]:
    return re.compile(any_characters.join(re.escape(part) for part in re.split(r"\*+", text)))


def is_snapshot(line: bytes) -> bool:
    """Whether a line of a program in SNAPSHOT_PROGRAMS is one that comes by the clock, not because of an event."""
    return _SNAPSHOT.match(line) is not None


class Slow(Exception):
    """A pattern took more than MATCH_SECONDS_MAX on one line."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A text to look for in lines. A plain one is looked for in the bytes as they are."""

    text: str
    literal: bytes | None
    compiled: Any

    def finds(self, line: bytes) -> bool:
        """Whether it is in the line. Raises Slow."""
        if self.literal is not None:
            return self.literal in line
        return self._asked(self.compiled.search, line.decode("utf-8", "replace"))

    def is_all(self, text: str) -> bool:
        """Whether a text is this and nothing else; not for a plain one. Raises Slow."""
        return self._asked(self.compiled.fullmatch, text)

    def _asked(self, match: Callable[..., Any], text: str) -> bool:
        try:
            return match(text, timeout=MATCH_SECONDS_MAX) is not None
        except TimeoutError:
            raise Slow(
                f"the pattern {self.text!r} takes too long: more than {MATCH_SECONDS_MAX} s on one line"
            ) from None


def parse_pattern(text: str, ignore_case: bool) -> Pattern | Invalid:
    """A regular expression (of Python, by the `regex` module: only that one can be stopped)."""
    if len(text) > PATTERN_CHARACTERS_MAX:
        return Invalid(f"the pattern is longer than {PATTERN_CHARACTERS_MAX} characters")
    if _LITERAL.fullmatch(text) and not ignore_case:
        return Pattern(text, text.encode("utf-8", "surrogateescape"), None)
    try:
        return Pattern(text, None, regex.compile(text, regex.IGNORECASE if ignore_case else 0))
    except (regex.error, OverflowError, RecursionError, ValueError) as error:
        return Invalid(f"{harmless(text[:80])!r} is no pattern: {error}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines are wanted: from ``since_ms`` on, before ``until_ms``, with ``grep`` and without ``exclude``.

    ``where`` tells the test of a stream's lines, or decides them all (``where.Where.of``); ``node`` is its tree, for
    who asks in another way (``lake.sql``). ``snapshots``: also those that say, again and again, how things are.
    ``events``: a line that is wanted brings all lines of its event.
    """

    targets: tuple[Target, ...]
    grep: Pattern | None = None
    exclude: Pattern | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    snapshots: bool = False
    where: Callable[[Identity], Callable[[bytes], bool] | bool] | None = None
    events: bool = False
    node: Any = None

    def stream(self, identity: Identity) -> bool:
        """Whether a stream is meant, and may have lines that are wanted."""
        meant = any(target.takes(identity) for target in self.targets)
        return meant and (self.where is None or self.where(identity) is not False)

    def hides_snapshots(self, identity: Identity) -> bool:
        """Whether snapshots of the stream are hidden: unless they are asked for, or its program is, by name."""
        if self.snapshots or identity.program not in SNAPSHOT_PROGRAMS:
            return False
        return not any(target.named == identity.program and target.takes(identity) for target in self.targets)

    def time(self, time_ms: int) -> bool:
        """Whether a time is in the range."""
        return (self.since_ms is None or time_ms >= self.since_ms) and (
            self.until_ms is None or time_ms < self.until_ms
        )

    def text(self, line: bytes) -> bool:
        """Whether a line's text is wanted. Raises Slow."""
        return (self.grep is None or self.grep.finds(line)) and (self.exclude is None or not self.exclude.finds(line))
