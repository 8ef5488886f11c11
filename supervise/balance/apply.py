"""Run: actions go to HAProxy, replies are judged, and what failed is tried again later, each server by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from supervise.balance.haproxy import HaproxyDown
from supervise.balance.log import Log
from supervise.balance.patience import Patience
from supervise.balance.reconcile import ADD, ADMIT, DELETE, LEAVE, REENTER, Action
from supervise.balance.runtime import DONE, FAILED, LATER, outcome

TRIES = 5
"""After so many failures in a row of one action a reload is asked for."""

DELETE_SECONDS = 1.0
"""How often the deletion of a server is tried whose last requests have not ended."""


class Hands(Protocol):
    """Who runs commands: ``Haproxy``, or the tests' model of it."""

    def run(self, commands: Sequence[str]) -> list[str]: ...


class Applier:
    """Applies actions; remembers what failed and when each server entered or left, for the log."""

    def __init__(
        self, proxy: Hands, log: Log, monotonic: Callable[[], float], chance: Callable[[], float] = lambda: 1.0
    ) -> None:
        self._proxy, self._log, self._monotonic = proxy, log, monotonic
        self._patience = Patience(chance=chance)
        self._since: dict[str, float] = {}
        self._failing: dict[str, str] = {}
        self.last_resort = ""
        """Why only a reload can help; "" while there is hope."""

    @property
    def is_waiting(self) -> bool:
        """Whether something failed and will be tried again."""
        return bool(self._failing)

    def apply(self, actions: Sequence[Action]) -> tuple[list[Action], list[str]]:
        """Apply what is not waiting for its next try. Return what was done, and what failed in words."""
        done: list[Action] = []
        problems: list[str] = []
        wanted = {_key(action) for action in actions}
        for key in [key for key in self._failing if key not in wanted]:
            self.succeeded(key)
        for action in actions:
            if not self._patience.allows(_key(action), self._monotonic()):
                continue
            try:
                replies = self._proxy.run(action.commands)
            except HaproxyDown as error:
                problems.append(str(error))
                break
            judged = [outcome(command, reply) for command, reply in zip(action.commands, replies, strict=True)]
            if FAILED in judged:
                place = judged.index(FAILED)
                problems.append(self.failed(action, f"{action.commands[place]!r} was answered {replies[place]!r}"))
            elif LATER in judged:
                self._patience.wait(_key(action), DELETE_SECONDS, self._monotonic())
            elif all(word == DONE for word in judged):
                self.succeeded(_key(action))
                done.append(action)
                self._note(action)
        return done, problems

    def failed(self, action: Action, reason: str) -> str:
        """Note that an action failed, or did not help; said when it is new. Return it in words."""
        key = _key(action)
        count = self._patience.failed(key, self._monotonic())
        if self._failing.get(key) != reason:
            self._log.say(
                "WARNING", "action-failed", {"action": action.kind, "server": action.server, "reason": reason}
            )
        self._failing[key] = reason
        if count >= TRIES:
            self.last_resort = f"{key} failed {count} times: {reason}"
        return f"{key}: {reason}"

    def succeeded(self, key: str) -> None:
        """Forget the failures of an action."""
        self._patience.done(key)
        self._failing.pop(key, None)
        if self.last_resort.startswith(f"{key} failed "):
            self.last_resort = ""

    def reloaded(self) -> None:
        """Forget all failures: HAProxy began anew."""
        for key in list(self._failing):
            self.succeeded(key)
        self.last_resort = ""

    def _note(self, action: Action) -> None:
        """Say the second half of a change, with the time it took since the first."""
        now = self._monotonic()
        if action.kind in (ADD, REENTER, LEAVE):
            self._since[action.server] = now
        elif action.kind in (ADMIT, DELETE):
            seconds = now - self._since.pop(action.server, now)
            event = "admitted" if action.kind == ADMIT else "deleted"
            self._log.say("INFO", event, {"server": action.server, "seconds": round(seconds, 3)})


def _key(action: Action) -> str:
    return f"{action.kind} {action.server}"
