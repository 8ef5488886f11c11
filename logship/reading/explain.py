"""Core: HAProxy's termination states, timers and fields in words, of a word or of a whole log line.

The words stand in haproxy.toml beside this. Left to others: where lines come from (``explain_cli``).
"""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from logship.values import Invalid

WIDTH = 110
ALARMS = {"none": "", "few": "Some of these are normal; many are not.", "any": "Each of these is worth a look."}
PLACES = ("cause", "phase", "cookie_sent", "cookie_set")
"""What the letters of a state say, in their order; a state in TCP mode has the first two alone."""

LINE = re.compile(
    r"(?P<frontend>\S+) (?P<backend>[^\s/]+)/(?P<server>\S+) "
    r"(?P<t_request>-?\d+)/(?P<t_queue>-?\d+)/(?P<t_connect>-?\d+)/(?P<t_response>-?\d+)/(?P<t_active>\+?-?\d+) "
    r"(?P<status>-?\d+) (?P<bytes>\+?\d+) \S+ \S+ (?P<state>[A-Za-z-]{4}) "
    r"(?P<actconn>\d+)/(?P<feconn>\d+)/(?P<beconn>\d+)/(?P<srvconn>\d+)/(?P<retries>\+?\d+) "
    r"(?P<srv_queue>\d+)/(?P<backend_queue>\d+)"
)
"""The middle of an HTTP line (option httplog): it stands the same in our own format."""


@dataclass(frozen=True)
class Pair:
    """What the first two letters of a state mean together."""

    letters: str
    alarm: str
    means: str
    likely: str
    check: tuple[str, ...]


@dataclass(frozen=True)
class Field:
    """A field of a line: our name, HAProxy's tag, what it says, and what -1 in it means (empty: never -1)."""

    name: str
    tag: str
    means: str
    minus: str = ""


class Knowledge:
    """Everything that haproxy.toml says."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.letters: dict[str, Mapping[str, str]] = {place: data[place] for place in PLACES}
        self.pairs = {each["letters"]: Pair(**{**each, "check": tuple(each["check"])}) for each in data["pair"]}
        self.fields = {each["name"]: Field(**each) for each in data["field"]}

    def explain(self, word: str) -> list[str] | Invalid:
        """The lines that tell what a state, a field's name or tag, or a whole log line says; Invalid for another."""
        line = LINE.search(word)
        if line is not None:
            return [*self._line(line.groupdict())]
        fields = [each for each in self.fields.values() if word in (each.name, each.tag, each.tag[1:])]
        if fields:
            return [text for each in fields for text in self._field(each)]
        if self._is_state(word):
            return [*self._state(word)]
        return Invalid(f"it is no state, field or line of HAProxy that is known{self._near(word)}")

    def meaning(self, state: str) -> str:
        """What a state's first two letters mean, in a sentence; nothing for what is none."""
        pair = self.pairs.get(state[:2])
        if pair is not None:
            return pair.means
        return " ".join(self._told(state, None)) if len(state) >= 2 and self._is_state(state[:2]) else ""

    def _is_state(self, word: str) -> bool:
        known = all(letter in self.letters[place] for place, letter in zip(PLACES, word, strict=False))
        return len(word) in (2, 4) and known

    def _near(self, word: str) -> str:
        names = difflib.get_close_matches(word, [*self.fields], 1)
        if names:
            return f"; did you mean {names[0]}?"
        if len(word) in (2, 4):
            wrong = next(
                (at for at, (place, letter) in enumerate(zip(PLACES, word, strict=False))
                 if letter not in self.letters[place]), None
            )  # fmt: skip
            if wrong is not None:
                return f": letter {wrong + 1} is one of {' '.join(sorted(self.letters[PLACES[wrong]]))}"
        return ""

    def _state(self, word: str) -> Iterator[str]:
        pair = self.pairs.get(word[:2])
        told = self._told(word, pair)
        yield f"{word}  {told[0]}"
        yield from (f"{'':{len(word)}}  {each}" for each in told[1:])
        if pair is not None:
            yield from _wrapped("likely", pair.likely)
            for at, each in enumerate(pair.check):
                yield from _wrapped("" if at else "check", each)
        letters = word[:2] if word.endswith("--") and len(word) == 4 else word
        for place, letter in zip(PLACES, letters, strict=False):
            yield from _wrapped(letter, self._letter(place, letter))
        if letters != word:
            yield from _wrapped("--", self.letters["cookie_sent"]["-"])

    def _told(self, word: str, pair: Pair | None) -> list[str]:
        """The sentence that says it all, and how alarming it is."""
        if pair is None:
            cause, phase = self.letters["cause"][word[0]], self.letters["phase"][word[1]]
            return textwrap.wrap(f"{cause.rstrip('.')}, {phase}.", WIDTH)
        return [*textwrap.wrap(pair.means, WIDTH), *filter(None, [ALARMS[pair.alarm]])]

    def _letter(self, place: str, letter: str) -> str:
        text = self.letters[place][letter]
        return f"{text[0].upper()}{text[1:]}." if place == "phase" else text

    def _field(self, field: Field) -> Iterator[str]:
        yield f"{field.name}  ({field.tag})"
        yield from _wrapped("", field.means)
        if field.minus:
            yield from _wrapped("-1", f"{field.minus}.")

    def _line(self, found: Mapping[str, str]) -> Iterator[str]:
        """First what happened, then where the time went."""
        yield f"{found['status']} from {found['backend']}/{found['server']}, {found['t_active'].lstrip('+')} ms"
        yield from self._state(found["state"])
        yield ""
        for name in ("t_request", "t_queue", "t_connect", "t_response"):
            value = found[name]
            field = self.fields[name]
            text = f"{field.minus[0].upper()}{field.minus[1:]}." if value == "-1" else field.means
            yield from _wrapped(f"{name} {value}", text, 18)
        if found["retries"] != "0":
            yield from _wrapped(f"retries {found['retries']}", self.fields["retries"].means, 18)
        for name in ("srv_queue", "backend_queue"):
            if found[name] != "0":
                yield from _wrapped(f"{name} {found[name]}", self.fields[name].means, 18)


def _wrapped(head: str, text: str, width: int = 8) -> Iterator[str]:
    for at, each in enumerate(textwrap.wrap(text, WIDTH - width)):
        yield f"  {'' if at else head:<{width}} {each}"
