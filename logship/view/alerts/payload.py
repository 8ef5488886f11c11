"""Core: what an alert looks like to others: a line of the event stream, and the body that a webhook gets.

The body is that of a webhook of Prometheus' Alertmanager (its version 4), with ``notification`` beside it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from logship.view.alerts.counts import Group
from logship.view.alerts.evaluation import Change
from logship.view.alerts.notices import Notice
from logship.view.alerts.rule import Rule
from logship.view.alerts.standing import FIRING
from logship.view.records import stamp

ENTRIES_MAX = 50
"""Groups in one body; how many there are more is said there."""
LATE_MS = 30_000
"""What is told later than this says so."""
NEVER = "0001-01-01T00:00:00Z"
CONTEXT_MS = 60_000
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ODD = re.compile(r"[^A-Za-z0-9_]")


def group_record(rule: Rule, group: Group) -> dict[str, str]:
    """``{"server": "web-1"}``; of a group of lines that have not the field ``-``."""
    return {key.name: value for key, value in zip(rule.by, group, strict=True)}


def event_record(rule: Rule, change: Change, number: int, now_ms: int) -> dict[str, Any]:
    """The line of the event stream that says what changed."""
    said: dict[str, Any] = {
        "time": stamp(now_ms), "level": "warning" if change.status == FIRING else "info", "event": "alert",
        "number": number, "alert": rule.name, "status": change.status, "firing": change.firing,
    }  # fmt: skip
    if rule.by:
        said["group"] = group_record(rule, change.group)
    said |= {"value": change.value, "condition": rule.condition, "at": stamp(change.at_ms)}
    if change.status != FIRING:
        said["since"] = stamp(change.fired_ms)
    if now_ms - change.at_ms > LATE_MS:
        said["late_seconds"] = (now_ms - change.at_ms) // 1000
    if change.why:
        said["why"] = change.why
    return said | {"query": rule.query, **({"labels": dict(rule.labels)} if rule.labels else {})}


def body(rule: Rule, notices: Sequence[Notice], number: int, url: str, now_ms: int) -> dict[str, Any]:
    """The body of the POST of notification ``number``."""
    in_order = sorted(notices, key=lambda one: (one.change.status != FIRING, one.change.group))
    entries = [_entry(rule, one, url, now_ms) for one in in_order[:ENTRIES_MAX]]
    fires = any(one.change.status == FIRING for one in notices)
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{rule.name}"}}',
        "truncatedAlerts": max(0, len(in_order) - ENTRIES_MAX),
        "status": "firing" if fires else "resolved",
        "receiver": "logship",
        "groupLabels": {"alertname": rule.name},
        "commonLabels": _common([one["labels"] for one in entries]),
        "commonAnnotations": _common([one["annotations"] for one in entries]),
        "externalURL": url,
        "alerts": entries,
        "notification": number,
    }


def _entry(rule: Rule, notice: Notice, url: str, now_ms: int) -> dict[str, Any]:
    change = notice.change
    fires = change.status == FIRING
    labels = dict(rule.labels)
    labels |= {_ODD.sub("_", key.name): value for key, value in zip(rule.by, change.group, strict=True)}
    labels["alertname"] = rule.name
    of = "".join(f" {name}={value}" for name, value in group_record(rule, change.group).items())
    annotations = {
        "summary": rule.summary or f"{rule.name}{of}: {rule.condition}" + ("" if fires else " is over"),
        "condition": rule.condition, "query": rule.query, "value": str(change.value), "firing": _numbers(notice),
    }  # fmt: skip
    if notice.fresh and now_ms - change.at_ms > LATE_MS + rule.group_wait_ms + rule.quiet_ms:
        annotations["late_seconds"] = str((now_ms - change.at_ms) // 1000)
    if change.why:
        annotations["why"] = change.why
    since = stamp(change.fired_ms - rule.window_ms - CONTEXT_MS)
    until = "" if fires else f"&until={quoted(stamp(change.at_ms + CONTEXT_MS))}"
    return {
        "status": change.status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": stamp(change.fired_ms),
        "endsAt": NEVER if fires else stamp(change.at_ms),
        "generatorURL": f"{url}/logs?query={quoted(rule.query)}&since={quoted(since)}{until}",
        "fingerprint": _fingerprint(labels),
    }


def quoted(text: str) -> str:
    """As a value in the query of a URL."""
    return "".join(chr(one) if chr(one) in _PLAIN else f"%{one:02X}" for one in text.encode("utf-8", "surrogatepass"))


def _numbers(notice: Notice) -> str:
    """The firings that are told with it for the first time; else the one that was told before."""
    told = [*map(str, notice.untold)] or [str(notice.change.firing)]
    return (f"{notice.more} more, " if notice.more else "") + ", ".join(told)


def _common(said: Sequence[dict[str, str]]) -> dict[str, str]:
    first, *others = said
    return {name: value for name, value in first.items() if all(one.get(name) == value for one in others)}


def _fingerprint(labels: dict[str, str]) -> str:
    text = "\0".join(f"{name}\0{value}" for name, value in sorted(labels.items()))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
