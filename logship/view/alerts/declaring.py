"""Core: ``[alert.NAME]`` and ``[alerts]`` of logship.toml as values; what is wrong with them as values, too.

Left to others: the file (``declared``).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from logship.values import Invalid
from logship.view import saved
from logship.view.alerts.rule import OF_ALL, OfAll, Rule, duration_ms, said_duration, sure_ms
from logship.view.language import Node, parse_piped
from logship.view.pipes import KEYS_MAX, Key, forms_of, unknown_field
from logship.view.saved import NAME, NAME_SAID, Fault, Saved

ALERTS_MAX = 100
SLOTS_MAX = 360
"""So often a window is looked at while it passes, at most: what is held of a group is bounded by it."""
COUNT_MAX = 10**12
LABELS_MAX = 20
TEXT_CHARACTERS_MAX = 1000
URL_CHARACTERS_MAX = 2000
EVERY_MS = (15_000, 10_000, 5_000, 1_000, 30_000, 60_000, 300_000, 900_000, 3_600_000, 6 * 3_600_000)
"""How often an alert is evaluated where nobody says: the first of these that divides its window."""
KEYS = ("query", "above", "below", "absent", "clear", "window", "every", "for", "resolve_after", "by", "snapshots",
        "forget", "webhook", "group_wait", "quiet", "repeat", "labels", "summary")  # fmt: skip
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_URL = re.compile(r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?(?:[/?][^\s#]*)?", re.ASCII)


def parse_of_all(table: Mapping[str, Any]) -> OfAll | Fault:
    """The table ``[alerts]``."""
    for key, value in table.items():
        if key not in OF_ALL:
            return _strange(key, "[alerts]", tuple(OF_ALL))
        wrong = _wrong_text(key, value) or (
            _wrong_url(key, value) if key in ("webhook", "url") else _wrong_duration(key, value)
        )
        if wrong is not None:
            return wrong
    return OfAll({**OF_ALL, **table})


def parse_rule(name: str, table: Mapping[str, Any], of_all: OfAll, queries: Mapping[str, Saved]) -> Rule | Fault:
    """A table ``[alert.NAME]``, with the queries that have names."""
    if not NAME.fullmatch(name):
        return Fault("", f"{name[:80]!r} is no name of an alert", NAME_SAID)
    for key in table:
        if key not in KEYS:
            return _strange(key, f"[alert.{name}]", KEYS)
    said = {key: of_all.said[key] for key in ("webhook", "group_wait", "quiet", "repeat")} | dict(table)
    for check in (_wrong_texts, _wrong_threshold, _wrong_times, _wrong_labels):
        if (wrong := check(said)) is not None:
            return wrong
    query = _query(said["query"], queries)
    if isinstance(query, Fault):
        return query
    by = _by(said.get("by", []))
    if isinstance(by, Fault):
        return by
    text, node = query
    above, below = said.get("above"), said.get("below")
    clear: int = said.get("clear", below if above is None else above) or 0
    return Rule(
        name, text, node, sure_ms(said["window"]), _every(said), above, below, said.get("absent", False),
        clear, sure_ms(said.get("for", "0s")),
        sure_ms(said.get("resolve_after", "1m")), by, said.get("snapshots", False), sure_ms(said.get("forget", "1d")),
        said["webhook"], sure_ms(said["group_wait"]), sure_ms(said["quiet"]), sure_ms(said["repeat"]),
        tuple(sorted(said.get("labels", {}).items())), said.get("summary", ""),
    )  # fmt: skip


def _strange(key: str, where: str, known: tuple[str, ...]) -> Fault:
    near = difflib.get_close_matches(key, known, 1)
    return Fault(
        key, f"there is no {key[:80]} in {where}", f"did you mean {near[0]}?" if near else f"{', '.join(known)} are"
    )


def _wrong_text(key: str, value: Any) -> Fault | None:
    return None if isinstance(value, str) else Fault(key, f"{key} is no text", f'write {key} = "..."')


def _wrong_duration(key: str, value: str) -> Fault | None:
    found = duration_ms(value)
    return Fault(key, found.reason, f'say it as {key} = "90s", "5m" or "1h30m"') if isinstance(found, Invalid) else None


def _wrong_url(key: str, value: str) -> Fault | None:
    match = _URL.fullmatch(value) if value.isascii() and len(value) <= URL_CHARACTERS_MAX else None
    if not value or (match is not None and 0 < int(match[1] or 80) <= 65_535):
        return None
    return Fault(
        key, f"{key} is no plain URL", 'give one like "http://127.0.0.1:9095/hook" (no user or password in it)'
    )


def _wrong_texts(said: Mapping[str, Any]) -> Fault | None:
    for key in ("query", "window"):
        if key not in said:
            return Fault("", f"it has no {key}", 'write query = "status:5xx" and window = "5m"')
    for key in ("query", "window", "every", "for", "resolve_after", "forget", "webhook", "group_wait", "quiet",
                "repeat", "summary"):  # fmt: skip
        if key in said and (wrong := _wrong_text(key, said[key])) is not None:
            return wrong
    if len(said.get("summary", "")) > TEXT_CHARACTERS_MAX:
        return Fault("summary", f"it is longer than {TEXT_CHARACTERS_MAX} characters", "say it shorter")
    return _wrong_url("webhook", said["webhook"])


def _wrong_threshold(said: Mapping[str, Any]) -> Fault | None:
    there = [key for key in ("above", "below", "absent") if key in said]
    if len(there) != 1:
        cause = "it has no threshold" if not there else f"it has {' and '.join(there)}"
        return Fault(there[-1] if there else "", cause, "write one of above = 10, below = 1 and absent = true")
    for key in ("absent", "snapshots"):
        if not isinstance(said.get(key, True), bool):
            return Fault(key, f"{key} is not true or false", f"write {key} = true")
    if said.get("absent") is False:
        return Fault("absent", "it has no threshold", "write one of above = 10, below = 1 and absent = true")
    for key in ("above", "below", "clear"):
        value = said.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= COUNT_MAX:
            return Fault(key, f"{key} is no number of lines", f"write {key} = 10")
    if said.get("below") == 0:
        return Fault("below", "there are never fewer than 0 lines", "write absent = true for none at all")
    if "clear" not in said:
        return None
    if "absent" in said:
        return Fault("clear", "absent has no clear: it is over with the first line", "leave it out")
    if said["clear"] > said.get("above", COUNT_MAX):
        return Fault("clear", "clear is above the threshold: it would be over at once", "give one that is not above it")
    if said["clear"] < said.get("below", 0):
        return Fault("clear", "clear is below the threshold: it would be over at once", "give one that is not below it")
    return None


def _wrong_times(said: Mapping[str, Any]) -> Fault | None:
    for key in ("window", "every", "for", "resolve_after", "forget", "group_wait", "quiet", "repeat"):
        if key in said and (wrong := _wrong_duration(key, said[key])) is not None:
            return wrong
    for key in ("window", "every", "repeat", "forget"):
        if key in said and sure_ms(said[key]) == 0:
            return Fault(key, f"{key} is no time at all", f'say it as {key} = "1m"')
    window, every = sure_ms(said["window"]), _every(said)
    if window % every or window // every > SLOTS_MAX:
        hint = f"give every so that the window is a multiple of it, {SLOTS_MAX} times at most"
        return Fault(
            "every" if "every" in said else "window",
            f"{said_duration(window)} is not so many times {said_duration(every)}",
            hint,
        )
    return None


def _every(said: Mapping[str, Any]) -> int:
    if "every" in said:
        return sure_ms(said["every"])
    window = sure_ms(said["window"])
    return next((every for every in EVERY_MS if window % every == 0 and window // every <= SLOTS_MAX), EVERY_MS[0])


def _wrong_labels(said: Mapping[str, Any]) -> Fault | None:
    labels = said.get("labels", {})
    hint = 'as labels = { severity = "page" }'
    if not isinstance(labels, dict) or len(labels) > LABELS_MAX:
        return Fault("labels", f"labels is no table of at most {LABELS_MAX} texts", hint)
    for name, value in labels.items():
        if not _LABEL.fullmatch(name) or name == "alertname":
            return Fault("labels", f"{name[:80]!r} is no name of a label", hint)
        if not isinstance(value, str) or len(value) > TEXT_CHARACTERS_MAX:
            return Fault("labels", f"the label {name} is no text of at most {TEXT_CHARACTERS_MAX} characters", hint)
    return None


def _query(said: str, queries: Mapping[str, Saved]) -> tuple[str, Node | None] | Fault:
    """The query written out, and its tree; None: every line."""
    named = saved.expanded(said, queries)
    if isinstance(named, Invalid):
        return Fault("query", named.reason, "queries that have names are [query.NAME] of this file")
    text = said if named is None else named.text
    found = parse_piped(text)
    if isinstance(found, Invalid):
        return Fault("query", found.reason, "docs/query.md has the language; try it with: logship query")
    if found.pipe is not None:
        return Fault("query", "it has a pipe; an alert counts lines", 'leave it out; groups are by = ["server"]')
    if found.node is None:
        return Fault("query", "the query is empty", 'write which lines are counted, as query = "status:5xx"')
    return text, found.node


def _by(said: Any) -> tuple[Key, ...] | Fault:
    names = [said] if isinstance(said, str) else said
    hint = 'as by = ["server", "status:class"]'
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names) or len(names) > KEYS_MAX:
        return Fault("by", f"by is no list of at most {KEYS_MAX} fields", hint)
    found = []
    for text in names:
        name, _, form = text.partition(":")
        key = Key(name, form)
        try:
            known = parse_piped(f"| count by {text}")
        except ValueError:
            known = Invalid(unknown_field(name))
        if isinstance(known, Invalid) or known.pipe is None or known.pipe.by != (key,):
            reason = known.reason if isinstance(known, Invalid) else f"{text!r} is no field"
            forms = ", ".join(f"{name}:{one}" for one in forms_of(name))
            return Fault("by", reason.partition("; at character")[0], hint + (f" ({forms})" if forms else ""))
        if key in found:
            return Fault("by", f"{text} stands there twice", hint)
        found.append(key)
    return tuple(found)
