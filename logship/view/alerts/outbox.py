"""Core: what is on its way: notifications by webhook, lines for the event stream. Bounded; what is given up is counted.

A notification is tried until it is taken, refused for good, or too old; between two tries of a webhook lie 1, 2, 4 ...
60 s. Nothing is given out before it is kept (``kept``): a number that was seen outside is never used again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

QUEUE_MAX = 50
"""Notifications that wait for one webhook."""
LINES_MAX = 10_000
RETRY_MS = (1000, 60_000)
TAKEN, AGAIN, REFUSED = "taken", "again", "refused"


@dataclass(frozen=True, slots=True)
class Post:
    """A notification for a webhook, made at ``made_ms``."""

    number: int
    alert: str
    body: str
    made_ms: int


@dataclass(slots=True)
class Hook:
    """One webhook: what waits for it, in order, and how the last tries went."""

    posts: list[Post] = field(default_factory=list)
    tries: int = 0
    next_ms: int = 0
    trouble: str = ""
    told_ms: int | None = None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A notification that nobody got, and why."""

    post: Post
    why: str


class Outbox:
    """``taken`` and ``given_up`` count notifications, ``failed`` tries, ``lines_given_up`` lines of events."""

    def __init__(self) -> None:
        self.hooks: dict[str, Hook] = {}
        self.lines: list[tuple[int, str]] = []
        self.kept_post = self.kept_line = 0
        self.taken = self.given_up = self.failed = self.lines_given_up = 0

    def post(self, url: str, post: Post) -> list[GivenUp]:
        """One more notification; the oldest that waits is given up where there are too many."""
        hook = self.hooks.setdefault(url, Hook())
        hook.posts.append(post)
        if len(hook.posts) <= QUEUE_MAX:
            return []
        self.given_up += 1
        return [GivenUp(hook.posts.pop(0), f"more than {QUEUE_MAX} notifications wait for the webhook")]

    def line(self, number: int, text: str) -> None:
        """One more line for the event stream."""
        self.lines.append((number, text))
        if len(self.lines) > LINES_MAX:
            self.lines.pop(0)
            self.lines_given_up += 1

    def kept(self, post: int, line: int) -> None:
        """What is numbered up to here is kept, so it may go out."""
        self.kept_post, self.kept_line = post, line

    def next_post(self, url: str, now_ms: int) -> Post | None:
        """What is to be sent to a webhook now."""
        hook = self.hooks.get(url)
        if hook is None or not hook.posts or hook.posts[0].number > self.kept_post:
            return None
        if hook.next_ms - now_ms > RETRY_MS[1]:  # the clock was set back
            hook.next_ms = now_ms
        return hook.posts[0] if now_ms >= hook.next_ms else None

    def answered(self, url: str, post: Post, result: str, why: str, now_ms: int, give_up_ms: int) -> list[GivenUp]:
        """What came of a try."""
        hook = self.hooks[url]
        if not hook.posts or hook.posts[0].number != post.number:
            return []  # given up meanwhile
        if result == TAKEN:
            hook.posts.pop(0)
            hook.tries, hook.next_ms, hook.trouble, hook.told_ms = 0, 0, "", now_ms
            self.taken += 1
            return []
        self.failed += 1
        hook.trouble = why
        hook.next_ms = now_ms + min(RETRY_MS[0] << min(hook.tries, 10), RETRY_MS[1])
        hook.tries += 1
        if result == REFUSED or now_ms - post.made_ms >= give_up_ms:
            hook.posts.pop(0)
            hook.tries, hook.next_ms = (0, 0) if result == REFUSED else (hook.tries, hook.next_ms)
            self.given_up += 1
            return [GivenUp(post, why)]
        return []

    def next_lines(self, most: int) -> list[tuple[int, str]]:
        """Lines that may go to the event stream now, in order."""
        return [one for one in self.lines[:most] if one[0] <= self.kept_line]

    def stored(self, number: int) -> None:
        """The lines up to this one are in the event stream."""
        self.lines = [one for one in self.lines if one[0] > number]

    def clean(self, urls: Sequence[str]) -> None:
        """Webhooks that nobody uses and nothing waits for are forgotten."""
        self.hooks = {url: hook for url, hook in self.hooks.items() if hook.posts or url in urls}

    def fields(self) -> dict[str, Any]:
        """For the file."""
        return {
            "hooks": {
                url: [[one.number, one.alert, one.body, one.made_ms] for one in hook.posts]
                for url, hook in self.hooks.items()
            },
            "lines": self.lines,
            "counted": [self.taken, self.given_up, self.failed, self.lines_given_up],
        }


def read_outbox(said: Mapping[str, Any]) -> Outbox:
    """The same back again."""
    found = Outbox()
    for url, posts in said["hooks"].items():
        found.hooks[str(url)] = Hook([Post(int(n), str(alert), str(text), int(ms)) for n, alert, text, ms in posts])
    found.lines = [(int(number), str(text)) for number, text in said["lines"]]
    found.taken, found.given_up, found.failed, found.lines_given_up = map(int, said["counted"])
    return found
