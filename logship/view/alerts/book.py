"""Core: all alerts together: how far the journal is read, how each stands, what is to be told. Its state is one value.

Whoever runs it feeds lines and time, keeps ``fields()`` on disk before anything is told, and tells. Killed at any
instant it goes on from what was kept: what was not kept follows from the same lines once more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from logship.view.alerts.counts import Group
from logship.view.alerts.evaluation import Change, Evaluation, read_evaluation
from logship.view.alerts.notices import Notices, read_notices
from logship.view.alerts.outbox import GivenUp, Outbox, Post, read_outbox
from logship.view.alerts.payload import body, event_record
from logship.view.alerts.rule import OF_ALL, OfAll, Rule
from logship.view.alerts.standing import FIRING, RESOLVED
from logship.view.records import stamp

VERSION = 1
GRACE_MS = 2000
"""A line is received, synced and then seen: a look waits so long for what was received before it."""
BACK_MS = 5000
"""A clock that is farther behind the last look than this was set back."""
SLOW_MAX = 20
"""Lines on which a pattern may take too long, before its alert is stopped."""


@dataclass(frozen=True, slots=True)
class Match:
    """A line that an alert counts, and when it was received."""

    received_ms: int
    alert: str
    group: Group


class Book:
    """``id`` is that of this book, and part of every number that is told. ``changes`` grows with what must be kept."""

    def __init__(self, identity: str) -> None:
        self.id = identity
        self.of_all = OfAll(OF_ALL)
        self.rules: dict[str, Rule] = {}
        self.evaluations: dict[str, Evaluation] = {}
        self.notices = Notices()
        self.outbox = Outbox()
        self.cursor: int | None = None
        self.read_ms = 0
        self.lines_number = self.posts_number = 0
        self.stream, self.stream_end = "", 0
        self.slow: dict[str, int] = {}
        self.changes = 0
        self._kept: dict[str, Any] = {}

    # What is asked for.

    def declare(self, rules: Mapping[str, Rule], of_all: OfAll, now_ms: int) -> None:
        """These alerts are there now."""
        before, self.of_all = self.rules, of_all
        known = {**self._kept, **{name: one.fields() for name, one in self.evaluations.items()}}
        for name, rule in before.items():
            if name not in rules:
                self._tell(rule, self.evaluations[name].end("the alert is not there any more"), now_ms)
        for name in self._kept.keys() - rules.keys():
            self._forgotten(name, now_ms)
        if gone := before.keys() - rules.keys():
            self._post(before, now_ms, at_once=gone)
        self.rules, self.evaluations, self._kept, self.slow = dict(rules), {}, {}, {}
        for name, rule in self.rules.items():
            changes: list[Change] = []
            if name in known:
                self.evaluations[name], changes = read_evaluation(rule, known[name])
            else:
                self.evaluations[name] = Evaluation(rule, now_ms)
            self._tell(rule, changes, now_ms)
        self.outbox.clean([rule.webhook for rule in rules.values()])
        self.changes += 1

    # What happens.

    def take(self, matches: Iterable[Match], read_ms: int, cursor: int, now_ms: int) -> None:
        """Lines in the order of their receipt, with all before ``cursor``, and when its last frame was received."""
        for match in matches:
            rule = self.rules[match.alert]
            received_ms = min(match.received_ms, now_ms)  # a clock that was set back since
            self._tell(rule, self.evaluations[match.alert].line(received_ms, match.group), now_ms)
        self.cursor, self.read_ms = cursor, max(read_ms, self.read_ms)
        self._advance(min(read_ms, now_ms) - 1, now_ms)

    def caught_up(self, now_ms: int) -> None:
        """All there is was read: looks go on by the clock."""
        for one in self.evaluations.values():
            if one.at_ms > now_ms + BACK_MS:
                one.shift(now_ms - one.at_ms)
        self._advance(now_ms - GRACE_MS, now_ms)

    def shift(self, delta_ms: int) -> None:
        """The clock was set by so much, while this went on."""
        for one in self.evaluations.values():
            one.shift(delta_ms)

    def missed(self, why: str, cursor: int, now_ms: int) -> None:
        """What lies before ``cursor`` cannot be read."""
        self._line({"event": "alerts-missed", "level": "error", "from": self.cursor, "to": cursor, "why": why}, now_ms)
        self.cursor = cursor
        for one in self.evaluations.values():
            one.unseen()

    def too_slow(self, alert: str, why: str, now_ms: int) -> None:
        """A pattern of an alert takes too long on a line, which is not counted."""
        self.slow[alert] = self.slow.get(alert, 0) + 1
        if self.slow[alert] == SLOW_MAX:
            self._line({"event": "alert-stopped", "level": "error", "alert": alert, "why": why}, now_ms)

    def is_stopped(self, alert: str) -> bool:
        """Whether its lines are not looked at any more, until it is declared anew."""
        return self.slow.get(alert, 0) >= SLOW_MAX

    def post_due(self, now_ms: int) -> None:
        """Make what is to be told now."""
        self._post(self.rules, now_ms)

    def answered(self, url: str, post: Post, result: str, why: str, now_ms: int) -> None:
        """What came of a notification."""
        self._given_up(self.outbox.answered(url, post, result, why, now_ms, self.of_all.give_up_ms), url, now_ms)
        self.changes += 1

    def stored(self, stream: str, end: int, number: int) -> None:
        """The lines up to ``number`` are in ``stream``, which ends at ``end``."""
        self.stream, self.stream_end = stream, end
        self.outbox.stored(number)
        self.changes += 1

    # What follows.

    def _forgotten(self, name: str, now_ms: int) -> None:
        """An alert that was there before this process, and is not any more: of what it asked nothing is known."""
        for group, state, *_, firing, _ in self._kept[name]["standings"]:
            if state == FIRING:
                said = {"event": "alert", "level": "info", "alert": name, "status": RESOLVED, "firing": firing}
                group_said = {"group": dict(zip(self._kept[name]["by"], group, strict=True))} if group else {}
                self._line({**said, **group_said, "why": "the alert is not there any more"}, now_ms)

    def _advance(self, to_ms: int, now_ms: int) -> None:
        for name, one in self.evaluations.items():
            self._tell(self.rules[name], one.advance(to_ms), now_ms)

    def _tell(self, rule: Rule, changes: Iterable[Change], now_ms: int) -> None:
        for change in changes:
            self._line(event_record(rule, change, self.lines_number + 1, now_ms), now_ms)
            if rule.webhook:
                self.notices.change(rule, change, now_ms)

    def _post(self, rules: Mapping[str, Rule], now_ms: int, at_once: Iterable[str] = ()) -> None:
        for name in at_once:
            if (one := self.notices.waiting.get(name)) is not None and one.due_ms is not None:
                one.due_ms = now_ms
        for told in self.notices.due(rules, now_ms):
            self.posts_number += 1
            said = body(told.rule, told.notices, self.posts_number, self.of_all.url, now_ms)
            post = Post(self.posts_number, told.rule.name, _json(said), now_ms)
            self._given_up(self.outbox.post(told.rule.webhook, post), told.rule.webhook, now_ms)
            self.changes += 1

    def _given_up(self, gone: Iterable[GivenUp], url: str, now_ms: int) -> None:
        for one in gone:
            said: dict[str, Any] = {"event": "alert-not-told", "level": "error", "alert": one.post.alert}
            said |= {"notification": one.post.number, "webhook": place(url), "why": one.why}
            self._line(said, now_ms)

    def _line(self, said: Mapping[str, Any], now_ms: int) -> None:
        self.lines_number += 1
        head = {"time": stamp(now_ms), "number": self.lines_number}
        self.outbox.line(self.lines_number, _json({**head, **said}))
        self.changes += 1

    # What is kept.

    def fields(self) -> dict[str, Any]:
        """All of it."""
        return {
            "v": VERSION, "id": self.id, "cursor": self.cursor, "read": self.read_ms,
            "lines": self.lines_number, "posts": self.posts_number, "stream": [self.stream, self.stream_end],
            "alerts": {**self._kept, **{name: one.fields() for name, one in self.evaluations.items()}},
            "notices": self.notices.fields(), "outbox": self.outbox.fields(),
        }  # fmt: skip


def read_book(said: Mapping[str, Any]) -> Book:
    """The same back again; which alerts there are is yet to be declared. Raises ValueError and the like."""
    if said["v"] != VERSION:
        raise ValueError(f"its version is {said['v']}, not {VERSION}")
    found = Book(str(said["id"]))
    found.cursor = None if said["cursor"] is None else int(said["cursor"])
    found.read_ms, found.lines_number, found.posts_number = int(said["read"]), int(said["lines"]), int(said["posts"])
    found.stream, found.stream_end = str(said["stream"][0]), int(said["stream"][1])
    found._kept = dict(said["alerts"])
    found.notices, found.outbox = read_notices(said["notices"]), read_outbox(said["outbox"])
    return found


def place(url: str) -> str:
    """As much of a webhook's URL as may be shown: what is behind the host may be a secret."""
    return "/".join(url.split("/", 3)[:3])


def _json(said: Mapping[str, Any]) -> str:
    return json.dumps(said, ensure_ascii=True, separators=(",", ":"))
