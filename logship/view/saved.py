"""Core: queries that have names: what ``[query.NAME]`` in logship.toml says, and what ``@NAME`` in a query means.

    [query.errors]
    text = "kind:haproxy status:5xx"          @errors                       the lines
    description = "what went wrong"           @errors | count by server     and what is made of them
    since = "1h"                              @errors path:/api/*           lines that match both

A range of time counts where whoever asks says none. Left to others: the file (``declared``).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from logship.values import Invalid
from logship.view.language import parse_piped
from logship.view.when import parse_moment

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
NAME_SAID = "a name is a letter, and up to 63 letters, digits, - or _"
_USED = re.compile(r"@([A-Za-z0-9_-]*)(?=[\s()]|$)")
KEYS = ("text", "description", "since", "until")
DESCRIPTION_CHARACTERS_MAX = 500
NAMES_SAID_MAX = 20


@dataclass(frozen=True, slots=True)
class Saved:
    """A query that has a name. ``since`` and ``until`` are times in words; "" is none."""

    name: str
    text: str
    description: str = ""
    since: str = ""
    until: str = ""

    def record(self) -> dict[str, Any]:
        """For programs."""
        found = parse_piped(self.text)
        piped = not isinstance(found, Invalid) and found.pipe is not None
        times = {name: said for name, said in (("since", self.since), ("until", self.until)) if said}
        said = {"description": self.description} if self.description else {}
        return {"type": "query", "name": self.name, "text": self.text, **said, **times, "makes_table": piped}


def read_saved(record: Mapping[str, Any]) -> Saved:
    """The same back again."""
    return Saved(*(str(record.get(key, "")) for key in ("name", *KEYS)))


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with ``key`` of a table ("" is the table itself), and what to do."""

    key: str
    cause: str
    hint: str


def parse_saved(name: str, table: Mapping[str, Any]) -> Saved | Fault:
    """A table ``[query.NAME]``."""
    if not NAME.fullmatch(name):
        return Fault("", f"{name[:80]!r} is no name of a query", NAME_SAID)
    for key, value in table.items():
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, 1)
            return Fault(
                key,
                f"there is no {key[:80]} in [query.{name}]",
                f"did you mean {near[0]}?" if near else f"{', '.join(KEYS)} are",
            )
        if not isinstance(value, str):
            return Fault(key, f"{key} is no text", f'write {key} = "..."')
    if "text" not in table:
        return Fault("", f"[query.{name}] has no text", 'write what it asks, as text = "status:5xx"')
    if is_named(table["text"]):
        return Fault("text", "it begins with the name of another one", "write out what that one asks")
    found = parse_piped(table["text"])
    if isinstance(found, Invalid):
        return Fault("text", found.reason, "docs/query.md has the language; try it with: logship query")
    if found.node is None and found.pipe is None:
        return Fault("text", "the query is empty", 'write what it asks, as text = "status:5xx"')
    if len(table.get("description", "")) > DESCRIPTION_CHARACTERS_MAX:
        return Fault("description", f"it is longer than {DESCRIPTION_CHARACTERS_MAX} characters", "say it shorter")
    for key in ("since", "until"):
        moment = parse_moment(table.get(key, "now"), datetime(2000, 1, 1), _utc_ms)
        if isinstance(moment, Invalid):
            return Fault(key, moment.reason, 'as since = "1h"')
    return Saved(name, *(table.get(key, "") for key in KEYS))


def _utc_ms(moment: datetime) -> int:
    return round(moment.replace(tzinfo=UTC).timestamp() * 1000)


def is_named(query: str) -> bool:
    """Whether a query begins with ``@NAME``."""
    return _USED.match(query.strip()) is not None


def expanded(query: str, known: Mapping[str, Saved]) -> Saved | Invalid | None:
    """What a query means that begins with ``@NAME``, with the saved one's range; None for one that does not.

    What stands behind the name is added: more conditions, or a pipe where the saved one has none.
    """
    said = query.strip()
    match = _USED.match(said)
    if match is None:
        return None
    name, rest = match[1], said[match.end() :].strip()
    saved = known.get(name)
    if saved is None:
        return Invalid(unknown(name, known))
    if not rest:
        return saved
    found = parse_piped(saved.text)
    assert not isinstance(found, Invalid), "it was checked when it was read"
    if found.pipe is not None:
        return Invalid(f"@{name} has a pipe already, so nothing can stand behind it: {saved.text}")
    return Saved(name, f"({saved.text}) {rest}", saved.description, saved.since, saved.until)


def put(parameters: dict[str, list[str]], known: Mapping[str, Saved]) -> Invalid | None:
    """In the parameters of a request what a saved query means stands for its name; or why it cannot."""
    said = parameters.get("query", ())
    found = expanded(said[0], known) if len(said) == 1 else None
    if found is None or isinstance(found, Invalid):
        return found
    parameters["query"] = [found.text]
    if not parameters.keys() & {"since", "until"}:
        times = (("since", found.since), ("until", found.until))
        parameters.update({name: [text] for name, text in times if text})
    return None


def unknown(name: str, known: Mapping[str, Saved]) -> str:
    """What to say of a name that is not there."""
    if not known:
        hint = "`logship view --config FILE` reads them from it"
        return f'no query is saved as @{name}: none is; {hint} (the word itself wants quotes: "@{name}")'
    names = sorted(known)
    there = ", ".join(f"@{one}" for one in names[:NAMES_SAID_MAX])
    there += f" and {len(names) - NAMES_SAID_MAX} more" if len(names) > NAMES_SAID_MAX else ""
    near = difflib.get_close_matches(name, names, 1, 0.5)
    hint = f"did you mean @{near[0]}? " if near else ""
    return f'no query is saved as @{name}; {hint}there are: {there} (the word itself wants quotes: "@{name}")'
