"""Core: what is told to webhooks, and when: several groups of an alert in one notification, and none too often.

A change waits for `group_wait`, and until `quiet` has passed since the alert's last notification; what changes until
then goes with it, so no firing is left out: one that is over by then is told as over. What fires is told again after
`repeat`. Left to others: what it looks like (``payload``), how it gets there (``outbox``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from logship.view.alerts.counts import Group
from logship.view.alerts.evaluation import Change
from logship.view.alerts.rule import Rule
from logship.view.alerts.standing import FIRING

FIRINGS_MAX = 100
"""Numbers of firings that one notification lists of a group; how many there are more is said."""


@dataclass(slots=True)
class Notice:
    """A group that fires, or has stopped and that is not told yet. ``untold``: the firings that are not told yet.

    ``more``: so many besides; ``fresh``: something of it is not told yet.
    """

    change: Change
    untold: list[int] = field(default_factory=list)
    more: int = 0
    fresh: bool = True


@dataclass(slots=True)
class Waiting:
    """One alert's notices by group. ``due_ms`` None: nothing is to be told. ``sent_ms``: when something was."""

    notices: dict[Group, Notice] = field(default_factory=dict)
    due_ms: int | None = None
    sent_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """One notification: of which alert, with which groups."""

    rule: Rule
    notices: list[Notice]


class Notices:
    """What waits to be told. Its times are those of the wall."""

    def __init__(self) -> None:
        self.waiting: dict[str, Waiting] = {}

    def change(self, rule: Rule, change: Change, now_ms: int) -> None:
        """A group of an alert has changed."""
        one = self.waiting.setdefault(rule.name, Waiting())
        known = one.notices.get(change.group)
        if known is None:
            known = one.notices[change.group] = Notice(change)
        known.change, known.fresh = change, True
        if change.status == FIRING:
            known.untold.append(change.firing)
            if len(known.untold) > FIRINGS_MAX:
                known.untold.pop(0)
                known.more += 1
        if one.due_ms is None:
            one.due_ms = max(now_ms + rule.group_wait_ms, 0 if one.sent_ms is None else one.sent_ms + rule.quiet_ms)

    def due(self, rules: Mapping[str, Rule], now_ms: int) -> list[Told]:
        """What is to be told now; it is taken as told. An alert that has no webhook is forgotten here."""
        found = []
        for name, one in [*self.waiting.items()]:
            rule = rules.get(name)
            if rule is None or not rule.webhook:
                del self.waiting[name]
                continue
            self._mend(rule, one, now_ms)
            fires = any(each.change.status == FIRING for each in one.notices.values())
            if fires and one.due_ms is None and one.sent_ms is not None and now_ms - one.sent_ms >= rule.repeat_ms:
                one.due_ms = now_ms
            if one.due_ms is None or now_ms < one.due_ms:
                continue
            told = [Notice(each.change, each.untold, each.more, each.fresh) for each in one.notices.values()]
            found.append(Told(rule, told))
            one.due_ms, one.sent_ms = None, now_ms
            one.notices = {
                group: Notice(each.change, fresh=False)
                for group, each in one.notices.items()
                if each.change.status == FIRING
            }
        return found

    def _mend(self, rule: Rule, one: Waiting, now_ms: int) -> None:
        """The wall's clock may have been set back: nothing waits longer for it than it would have."""
        if one.sent_ms is not None and one.sent_ms > now_ms:
            one.sent_ms = now_ms
        if one.due_ms is not None:
            one.due_ms = min(one.due_ms, now_ms + max(rule.group_wait_ms, rule.quiet_ms))

    def fields(self) -> dict[str, Any]:
        """For the file."""
        return {
            name: {
                "due": waiting.due_ms, "sent": waiting.sent_ms,
                "notices": [*map(_fields, waiting.notices.values())],
            }
            for name, waiting in self.waiting.items()
        }  # fmt: skip


def read_notices(said: Mapping[str, Any]) -> Notices:
    """The same back again."""
    found = Notices()
    for name, one in said.items():
        waiting = found.waiting[str(name)] = Waiting({}, one["due"], one["sent"])
        for *fields, untold, more, fresh in one["notices"]:
            change = _change(str(name), fields)
            waiting.notices[change.group] = Notice(change, [int(each) for each in untold], int(more), bool(fresh))
    return found


def _fields(notice: Notice) -> list[Any]:
    one = notice.change
    said = [list(one.group), one.status, one.at_ms, one.value, one.firing, one.fired_ms, one.why]
    return [*said, notice.untold, notice.more, notice.fresh]


def _change(name: str, said: list[Any]) -> Change:
    group, status, *numbers, why = said
    at_ms, value, firing, fired_ms = map(int, numbers)
    return Change(name, tuple(map(str, group)), str(status), at_ms, value, firing, fired_ms, str(why))
