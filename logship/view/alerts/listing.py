"""Core: alerts as programs read them: a record an alert and group, one of the evaluation as a whole; numbers of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from logship.metrics import COUNTER, GAUGE, Family, gauges
from logship.view.alerts.book import Book, place
from logship.view.alerts.counts import Group
from logship.view.alerts.evaluation import Evaluation
from logship.view.alerts.payload import group_record
from logship.view.alerts.rule import Rule
from logship.view.alerts.standing import FIRING, PENDING, QUIET, Standing
from logship.view.records import stamp

Records = list[dict[str, Any]]
GROUPS_MAX = 1000
"""Groups of an alert that are listed, those that fire first."""
STATES = (FIRING, PENDING, QUIET)


def records(
    book: Book | None, rules: Mapping[str, Rule], troubles: Mapping[str, str], end: int, now_ms: int
) -> Records:
    """By name; of an alert in groups that are known. At last how the evaluation is."""
    found: Records = []
    for name in sorted(rules):
        evaluation = None if book is None else book.evaluations.get(name)
        found += _alert(rules[name], evaluation, book)
    looked = [one.at_ms for one in book.evaluations.values()] if book is not None else []
    whole: dict[str, Any] = {
        "type": "evaluation", "evaluates": book is not None, "alerts": len(rules),
        "firing": sum(one.get("state") == FIRING for one in found),
        "cursor": None if book is None or book.cursor is None else str(book.cursor),
        "behind_bytes": None if book is None or book.cursor is None else max(0, end - book.cursor),
        "looked": stamp(min(looked)) if looked else None,
    }  # fmt: skip
    if book is not None:
        whole |= _outbox(book)
    return [*found, {**whole, "troubles": [*troubles.values()], "time": stamp(now_ms)}]


def _alert(rule: Rule, evaluation: Evaluation | None, book: Book | None) -> Records:
    said: dict[str, Any] = {"type": "alert", "alert": rule.name, "query": rule.query, "condition": rule.condition}
    if rule.summary:
        said["summary"] = rule.summary
    if rule.labels:
        said["labels"] = dict(rule.labels)
    if rule.webhook:
        said["webhook"] = place(rule.webhook)
    if evaluation is None:
        return [{**said, "state": "unknown", "value": None, "since": None}]
    if book is not None and book.is_stopped(rule.name):
        said["stopped"] = "its pattern takes too long on a line"
    said["seen_whole"] = evaluation.settled
    standings = sorted(evaluation.standings.items(), key=lambda one: (STATES.index(one[1].state), one[0]))
    if not standings:
        return [{**said, "state": QUIET, "groups": 0, "value": 0, "since": None}]
    return [_group(rule, evaluation, said, *one) for one in standings[:GROUPS_MAX]]


def _group(
    rule: Rule, evaluation: Evaluation, said: Mapping[str, Any], group: Group, standing: Standing
) -> dict[str, Any]:
    since_ms = {FIRING: standing.fired_ms, PENDING: standing.since_ms}.get(standing.state)
    found = {**said, "state": standing.state, "value": evaluation.value(group)}
    found["since"] = None if since_ms is None else stamp(since_ms)
    if rule.by:
        found["group"] = group_record(rule, group)
    if standing.firing:
        found["firing"] = standing.firing
    return found


def _outbox(book: Book) -> dict[str, Any]:
    outbox = book.outbox
    return {
        "told": outbox.taken, "given_up": outbox.given_up, "tries_failed": outbox.failed,
        "lines_waiting": len(outbox.lines), "lines_given_up": outbox.lines_given_up, "stream": book.stream or None,
        "webhooks": [
            {
                "webhook": place(url), "waiting": len(hook.posts), "trouble": hook.trouble or None,
                "told": None if hook.told_ms is None else stamp(hook.told_ms),
            }
            for url, hook in sorted(outbox.hooks.items())
        ],
    }  # fmt: skip


def families(book: Book | None, end: int) -> list[Family]:
    """What ``/metrics`` tells: groups by alert and state, and counts; nothing where this viewer evaluates none."""
    if book is None:
        return []
    states = Family("logship_alerts", GAUGE, "Groups of an alert, by state; one without groups counts as one.")
    firings = Family("logship_alert_firings_total", COUNTER, "How often an alert has begun to fire.")
    for name, evaluation in book.evaluations.items():
        firings.add(evaluation.firings, alert=name)
        for state in STATES:
            count = sum(one.state == state for one in evaluation.standings.values())
            states.add(count, alert=name, state=state)
    outbox = book.outbox
    waiting = sum(len(hook.posts) for hook in outbox.hooks.values())
    behind = 0 if book.cursor is None else max(0, end - book.cursor)
    return [
        states,
        firings,
        *gauges(
            "logship_",
            {
                "alert_notifications_told_total": (outbox.taken, "Notifications that a webhook took."),
                "alert_notifications_given_up_total": (outbox.given_up, "Notifications that no webhook took."),
                "alert_notification_failures_total": (outbox.failed, "Tries of webhooks that failed."),
                "alert_notifications_waiting": (waiting, "Notifications that wait for a webhook."),
                "alert_lines_given_up_total": (outbox.lines_given_up, "Lines of alerts that no collector took."),
                "alert_lines_waiting": (len(outbox.lines), "Lines of alerts that wait for the collector."),
                "alerts_behind_bytes": (behind, "Journal that the alerts have not read yet."),
            },
        ),
    ]
