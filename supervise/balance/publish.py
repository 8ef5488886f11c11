"""Run: the file behind the running HAProxy: rendered, checked by HAProxy itself, published, recorded.

A configuration that does not pass leaves the last good file and the running process as they are; it is kept under
``rejected`` and not tried again until something in it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from logship.errors import Fault
from supervise.balance.generation import APPLIED, REJECTED, Generation, difference, folder_name, method
from supervise.balance.haproxy import HaproxyDown
from supervise.balance.log import Log, rfc3339
from supervise.balance.patience import Patience
from supervise.balance.reconcile import Action
from supervise.balance.render import BadTemplate, Rendered, render
from supervise.balance.server import Server
from supervise.balance.store import Store

RELOAD_PAUSE_SECONDS = 60.0
"""Shortest time between two reloads for the same reason."""


class Judge(Protocol):
    """Who checks and reloads: ``Haproxy``, or the tests' model of it."""

    def check(self, path: Path) -> str: ...
    def reload(self) -> str: ...


@dataclass(frozen=True)
class Variables:
    """What the template needs besides the servers."""

    threads: int
    maxconn: int


@dataclass
class Outcome:
    """What became of the file. ``is_news``: it is worth a generation by itself; ``error``: why it is not the rendered
    one, ``where`` all of that is told, as a sentence ends; ``rejected``: the text that did not pass, if new."""

    is_news: bool = False
    is_reloaded: bool = False
    error: str = ""
    where: str = ""
    rejected: str | None = None
    cause: str = ""
    milliseconds: dict[str, float] = field(default_factory=dict)


class Publisher:
    """Owns the published file and the numbers of the generations."""

    def __init__(
        self,
        store: Store,
        judge: Judge,
        variables: Variables,
        log: Log,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._store, self._judge, self._variables, self._log = store, judge, variables, log
        self._monotonic, self._wall = monotonic, wall
        self._patience = Patience()
        self._rendered: tuple[str, tuple[Server, ...], Rendered | str] | None = None
        self._render_milliseconds = 0.0
        self._refused: dict[str, tuple[str, int]] = {}  # what was said of a text, and in which generation
        self._reload_reason = ""
        kept = store.generation_numbers()
        self.number = kept[-1] if kept else 0
        self._last = store.generation_file(self.number, "haproxy.cfg") if kept else store.published()

    def rendered(self, servers: tuple[Server, ...]) -> Rendered | None:
        """The configuration for these servers; None where the template gives none."""
        found = self._render(servers)
        return found if isinstance(found, Rendered) else None

    def _render(self, servers: tuple[Server, ...]) -> Rendered | str:
        """The configuration, or what is wrong with the template. Rendered again only when something changed."""
        try:
            template = self._store.template()
        except Fault as fault:
            return str(fault)
        if self._rendered is None or self._rendered[:2] != (template, servers):
            started = self._monotonic()
            try:
                result: Rendered | str = render(template, servers, self._variables.threads, self._variables.maxconn)
            except BadTemplate as error:
                result = str(error)
            self._rendered = (template, servers, result)
            self._render_milliseconds = (self._monotonic() - started) * 1000
        return self._rendered[2]

    def may_reload(self, servers: tuple[Server, ...], reason: str) -> bool:
        """Whether a reload is worth a try: the file was not refused, and this is not the last reason so soon again."""
        rendered = self.rendered(servers)
        if rendered is None or rendered.text in self._refused:
            return False
        return reason != self._reload_reason or self._patience.allows("reload", self._monotonic())

    def bring_out(self, servers: tuple[Server, ...], reload_reason: str = "") -> Outcome:
        """Bring the published file up to date, and make HAProxy take it when there is a reason for a reload."""
        outcome = Outcome()
        rendered = self._render(servers)
        if isinstance(rendered, str):
            return self._refuse(outcome, rendered, rendered)
        published = self._store.published()
        if rendered.text in self._refused:
            self._refuse(outcome, rendered.text, self._refused[rendered.text][0])
        elif rendered.text != published or reload_reason:
            if self._patience.allows("publish", self._monotonic()):
                self._publish(outcome, rendered, published, reload_reason)
            else:
                outcome.error = "the last attempt to publish failed; it is tried again soon"
        elif rendered.text != self._last:
            outcome.is_news = True
            outcome.cause = f"the published file is not that of generation {self.number}"
        return outcome

    def _publish(self, outcome: Outcome, rendered: Rendered, published: str, reload_reason: str) -> None:
        outcome.milliseconds["render"] = self._render_milliseconds
        started = self._monotonic()
        try:
            candidate = self._store.propose(rendered.text)
            message = self._judge.check(candidate)
            outcome.milliseconds["check"] = (self._monotonic() - started) * 1000
            if message:
                self._refuse(outcome, rendered.text, message)
                return
            checked = self._monotonic()
            self._store.publish()
            outcome.milliseconds["publish"] = (self._monotonic() - checked) * 1000
            outcome.is_news = True
            outcome.cause = self._cause(rendered, published)
            if reload_reason:
                self._reload(outcome, rendered, published, reload_reason)
        except Fault as fault:
            outcome.error = str(fault)
            if self._patience.failed("publish", self._monotonic()) == 1:
                self._log.say("ERROR", "publish-failed", {"reason": str(fault)})
        else:
            self._patience.done("publish")

    def _reload(self, outcome: Outcome, rendered: Rendered, published: str, reason: str) -> None:
        """Reload; where HAProxy cannot start on the file, put the last good one back. Raises Fault."""
        started = self._monotonic()
        self._reload_reason = reason
        self._patience.wait("reload", RELOAD_PAUSE_SECONDS, started)
        try:
            message = self._judge.reload()
        except HaproxyDown as error:
            outcome.error = f"reload: {error}"
            return
        outcome.milliseconds["reload"] = (self._monotonic() - started) * 1000
        outcome.is_reloaded = not message
        if message:
            if published:
                self._store.propose(published)
                self._store.publish()
            self._refuse(outcome, rendered.text, message)

    def _refuse(self, outcome: Outcome, text: str, message: str) -> Outcome:
        """Note that a text did not pass; it is news the first time."""
        outcome.error = message
        if text not in self._refused:
            if len(self._refused) >= 100:
                self._refused.clear()
            self._refused[text] = message, self.number + 1
            outcome.is_news = True
            outcome.rejected = text
        outcome.where = f" (the last good one stays; all of it: supervise lb diff {self._refused[text][1]})"
        return outcome

    def _cause(self, rendered: Rendered, published: str) -> str:
        """Why a file is published that no change of the servers asked for."""
        if rendered.text == self._last:
            return "haproxy.cfg was changed by another hand"
        if f"description {rendered.fingerprint}\n" not in self._last:
            return "the template or a setting changed"
        return f"the published file is not that of generation {self.number}" if published else "there was no file"

    def record(
        self,
        outcome: Outcome,
        causes: Sequence[str],
        servers: tuple[Server, ...],
        actions: tuple[Action, ...],
        milliseconds: Mapping[str, float],
        problems: Sequence[str],
    ) -> None:
        """Give a change its number, keep it and say it."""
        self.number += 1
        text = self._store.published()
        generation = Generation(
            number=self.number,
            time=rfc3339(self._wall()),
            causes=tuple(causes),
            servers=servers,
            actions=actions,
            method=method(actions, outcome.is_reloaded),
            result=REJECTED if outcome.error else APPLIED,
            error="; ".join([outcome.error] * bool(outcome.error) + list(problems)),
            milliseconds=milliseconds,
        )
        diff = difference(self._last, text, folder_name(self.number - 1), folder_name(self.number))
        self._last = text
        try:
            if outcome.rejected is not None:
                self._store.reject(self.number, outcome.rejected, outcome.error)
            self._store.record(generation, text, diff)
        except Fault as fault:
            self._log.say("ERROR", "record-failed", {"reason": str(fault)})
        level = "ERROR" if outcome.error else "WARNING" if generation.error else "INFO"
        self._log.say(level, "generation", generation.record())
