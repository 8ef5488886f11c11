"""Core: the fields of lines by the names that users meet, and what each kind of line says of them.

Of a line only the fields are made that a query asks for by looking at it once (``of_line``). Left to others: queries
(``language``, ``where``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

JSON = "json."
"""Before the name of a key of JSON lines: json.user, json.request.path."""
Fields = Mapping[str, Any]


class Sort(Enum):
    """What the values of a field are."""

    TEXT = "text"
    NUMBER = "number"
    LEVEL = "level"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Field:
    """A field: what it says, and whether its stream alone decides it (``of_stream``)."""

    name: str
    sort: Sort
    means: str
    of_stream: bool = False


def _of(sort: Sort, names: str, means: str) -> list[Field]:
    return [Field(name, sort, means) for name in names.split()]


FIELDS = {
    field.name: field
    for field in [
        Field("src", Sort.TEXT, "the container, as webapp/2", True),
        Field("service", Sort.TEXT, "the service, as webapp", True),
        Field("instance", Sort.TEXT, "which of its containers", True),
        Field("program", Sort.TEXT, "the program, as serf", True),
        Field("kind", Sort.TEXT, "haproxy, serf, supervisord, events, json or plain", True),
        Field("stream", Sort.TEXT, "the stream's path", True),
        Field("level", Sort.LEVEL, "debug, info, notice, warning, error, critical"),
        Field("event", Sort.TEXT, "what happened, in our programs' own lines"),
        *_of(Sort.TEXT, "client_ip frontend backend server state method path version request_id", "of HAProxy's lines"),
        *_of(Sort.NUMBER, "client_port t_request t_queue t_connect t_response t_active t_total", "of HAProxy's lines"),
        *_of(Sort.NUMBER, "status bytes actconn feconn beconn srvconn retries redispatched", "of HAProxy's lines"),
        *_of(Sort.NUMBER, "srv_queue backend_queue pid line_count", "of HAProxy's lines"),
    ]
}

LEVELS = {
    **dict.fromkeys(("trace", "debug", "debg", "blat"), 10),
    "info": 20,
    "notice": 25,
    **dict.fromkeys(("warning", "warn"), 30),
    **dict.fromkeys(("error", "err", "erro"), 40),
    **dict.fromkeys(("critical", "crit", "fatal", "alert", "emerg", "panic"), 50),
}
LEVEL_NAMES = {10: "debug", 20: "info", 25: "notice", 30: "warning", 40: "error", 50: "critical"}
_UNITS = {"": 1, "ms": 1, "s": 1000, "m": 60_000}
_NUMBER = re.compile(r"([+-]?\d+(?:\.\d+)?)(ms|s|m)?")


def number(text: str) -> float | None:
    """The number a text says, of a time in milliseconds (1.5s is 1500); None where it says none."""
    match = _NUMBER.fullmatch(text)
    return float(match[1]) * _UNITS[match[2] or ""] if match else None


NUMBER_MAX = 1e30
"""What is farther from 0 is no number here: sums of any lines stay far from what a float can hold."""


def as_number(said: Any) -> int | float | None:
    """The number that the value of a field is, or says; a whole one is an int."""
    if isinstance(said, bool):
        return None
    if isinstance(said, int):
        return said if -NUMBER_MAX <= said <= NUMBER_MAX else None
    found = said if isinstance(said, float) else number(str(said))
    if found is None or not abs(found) <= NUMBER_MAX:
        return None
    return int(found) if found.is_integer() else found


def as_text(said: Any) -> str:
    """The text of a value; as it stands in JSON, where it is none."""
    if isinstance(said, bool):
        return "true" if said else "false"
    return said if isinstance(said, str) else str(said)


def is_level(text: str) -> bool:
    """Whether it is the name of a level."""
    return text.lower() in LEVELS


_HTTP = re.compile(
    r"(?P<client_ip>\S+):(?P<client_port>\d+) \[[^\]]*\] (?P<frontend>\S+) (?P<backend>[^\s/]+)/(?P<server>\S+) "
    r"(?P<t_request>-?\d+)/(?P<t_queue>-?\d+)/(?P<t_connect>-?\d+)/(?P<t_response>-?\d+)/(?P<t_active>\+?-?\d+) "
    r"(?P<status>-?\d+) (?P<bytes>\+?\d+) \S+ \S+ (?P<state>[A-Za-z-]{4}) "
    r"(?P<actconn>\d+)/(?P<feconn>\d+)/(?P<beconn>\d+)/(?P<srvconn>\d+)/(?P<redispatched>\+?)(?P<retries>\d+) "
    r"(?P<srv_queue>\d+)/(?P<backend_queue>\d+) "
    r'(?:(?:\{[^}]*\}|-) ){0,2}"(?P<method>\S+)(?: (?P<path>.*?)(?: (?P<version>HTTP/[\d.]+))?)?"(?P<rest>.*)',
    re.DOTALL,
)
_TCP = re.compile(
    r"(?P<client_ip>\S+):(?P<client_port>\d+) \[[^\]]*\] (?P<frontend>\S+) (?P<backend>[^\s/]+)/(?P<server>\S+) "
    r"(?P<t_queue>-?\d+)/(?P<t_connect>-?\d+)/(?P<t_total>\+?-?\d+) (?P<bytes>\+?\d+) (?P<state>[A-Za-z-]{2}) "
    r"(?P<actconn>\d+)/(?P<feconn>\d+)/(?P<beconn>\d+)/(?P<srvconn>\d+)/(?P<redispatched>\+?)(?P<retries>\d+) "
    r"(?P<srv_queue>\d+)/(?P<backend_queue>\d+)"
)
_BEGIN = re.compile(r"(?<!\S)\S+:\d+ \[[^\]]*\] ")
"""How both begin. A line is not tried from each of its characters on: of a long one that would take hours."""
HEADER_CHARACTERS_MAX, BEGINS_MAX = 1024, 8
"""What may stand before it: a header of syslog, or other words."""
_NOTICE = re.compile(r"\[(NOTICE|WARNING|ALERT)\] ")
_REST = re.compile(r"\b(id|pid|lc|tt)=(\S+)")
_RESTS = {"id": "request_id", "pid": "pid", "lc": "line_count", "tt": "t_total"}
_REST_NAMES = frozenset(_RESTS.values())
_HTTP_NAMES, _TCP_NAMES = frozenset(_HTTP.groupindex) - {"rest"}, frozenset(_TCP.groupindex)
_SERF = re.compile(r"\s*\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[([A-Z]+)\] ")
_SUPERVISORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ([A-Z]+) ")
_PRIORITY = re.compile(r"<(\d{1,3})>")
_PRIORITIES = (*("critical",) * 3, "error", "warning", "notice", "info", "debug")
_DIGITS = frozenset(field.name for field in FIELDS.values() if field.sort is Sort.NUMBER)


def of_line(kind: str, text: str) -> Fields:
    """The fields of a line of this kind; a value is a text, or a number where the field is one. Empty: none."""
    if text.startswith("{"):
        return _json(text)
    return _KINDS.get(kind, _plain)(text)


def _haproxy(text: str) -> Fields:
    for tries, begin in enumerate(_BEGIN.finditer(text, 0, HEADER_CHARACTERS_MAX)):
        match = _HTTP.match(text, begin.start()) or _TCP.match(text, begin.start())
        if match is not None:
            return _Matched(match)
        if tries == BEGINS_MAX:
            break
    notice = _NOTICE.match(text)
    return {"level": notice[1].lower()} if notice else {}


class _Matched(Mapping[str, Any]):
    """Fields of a line that a pattern took apart; each is made when it is asked for, most never are."""

    __slots__ = ("_match", "_names", "_rest", "level")

    def __init__(self, match: re.Match[str]) -> None:
        self.level: str | None = None
        self._match = match
        self._names = _HTTP_NAMES if match.re is _HTTP else _TCP_NAMES
        self._rest: dict[str, str] | None = None

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a field, or ``default``."""
        if name in self._names:
            value = self._match[name]
        elif name in _REST_NAMES and self._names is _HTTP_NAMES:
            if self._rest is None:
                self._rest = {_RESTS[key]: said for key, said in _REST.findall(self._match["rest"])}
            value = self._rest.get(name)
        else:
            value = self.level if name == "level" else None
        if value is None:
            return default
        if name == "redispatched":
            return 1 if value else 0
        return _int(value) if name in _DIGITS else value

    def __getitem__(self, name: str) -> Any:
        found = self.get(name, self)
        if found is self:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return (
            name for name in (*self._match.re.groupindex, *_RESTS.values(), "level") if self.get(name, self) is not self
        )

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _int(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _serf(text: str) -> Fields:
    match = _SERF.match(text)
    return {"level": match[1].lower()} if match else {}


def _supervisord(text: str) -> Fields:
    match = _SUPERVISORD.match(text)
    return {"level": match[1].lower()} if match else {}


def _plain(text: str) -> Fields:
    """Of a kind that nobody knows: HAProxy's lines are known by their form, and a priority of syslog by its place."""
    priority = _PRIORITY.match(text)
    found = _haproxy(text)
    if priority is not None and "level" not in found:
        level = _PRIORITIES[int(priority[1]) % 8]
        if isinstance(found, _Matched):
            found.level = level
        else:
            found = {**found, "level": level}
    return found


def _json(text: str) -> Fields:
    """The keys of a JSON object: by the names of ours that they have, and all of them with ``json.`` before."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    found: dict[str, Any] = {}
    for key, value in said.items():
        _put(found, f"{JSON}{key}", value)
        if key in FIELDS and not FIELDS[key].of_stream and not isinstance(value, dict | list):
            found[key] = value
    return found


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _put(found, f"{name}.{key}", inner)
    elif not isinstance(value, list):
        found[name] = value


_KINDS: Mapping[str, Callable[[str], Fields]] = {
    "haproxy": _haproxy,
    "serf": _serf,
    "supervisord": _supervisord,
}
