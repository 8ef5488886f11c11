"""Run: the balancer's loop. Asks Serf and HAProxy, lets the cores decide, has the edges act, keeps the record.

One step: listing -> membership -> policy -> (reload | actions through the Runtime API) -> read back -> check and
publish the file -> record the generation. The order is what makes ``kill -9`` harmless after any of them: HAProxy
first, the file behind it, the record last; the next start finds the difference and repairs it. Nothing here waits for
anything but the edges' own bounded answers.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Protocol

from logship.errors import Fault
from supervise.balance import picture
from supervise.balance.apply import Applier, Hands
from supervise.balance.generation import headline
from supervise.balance.haproxy import HaproxyDown
from supervise.balance.log import Log
from supervise.balance.membership import BadListing, Membership, read_listing
from supervise.balance.patience import Patience
from supervise.balance.policy import KEPT, Decision, Memory, Seen, causes, decide, first_memory, seen_in
from supervise.balance.publish import Judge, Publisher
from supervise.balance.reconcile import Action, is_settled, reconcile, reload_reason
from supervise.balance.runtime import Actual
from supervise.balance.serf import SerfDown
from supervise.balance.server import Server
from supervise.balance.store import Store
from supervise.balance.wishes import Wishes

LOOK_SECONDS = 1.0
"""How often HAProxy, the file and the template are looked at when the members are the same and nothing is under way."""

SERF_SECONDS_MAX = 5.0
"""Longest wait before the agent is asked again."""


class Listing(Protocol):
    """Who lists the members: ``Serf``, or a test."""

    def members(self) -> object: ...


class Proxy(Hands, Judge, Protocol):
    """What is balanced with: ``Haproxy``, or the tests' model of it."""

    def look(self) -> Actual: ...


class Balancer:
    """One balancer; ``step`` does one round and may be called as often as one likes.

    ``monotonic`` gives seconds; ``chance`` numbers from 0 to 1, for the back-off.
    """

    def __init__(
        self,
        serf: Listing,
        proxy: Proxy,
        store: Store,
        publisher: Publisher,
        log: Log,
        key: bytes,
        monotonic: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self._serf, self._proxy, self._store, self._publisher = serf, proxy, store, publisher
        self._log, self._key, self._monotonic = log, key, monotonic
        self._applier = Applier(proxy, log, monotonic, chance)
        self._serf_patience = Patience(SERF_SECONDS_MAX, chance)
        self._troubles: dict[str, str] = {}
        self._said: dict[str, str] = {}
        self._memory: Memory | None = None
        self._servers: tuple[Server, ...] = ()
        self._listing: tuple[object, Membership] | None = None
        self._membership: Membership | None = None
        self._wishes = Wishes()
        self._actual: Actual | None = None
        self._look_at = 0.0

    def step(self) -> None:
        """One round: nothing more than the listing where that is the old one and HAProxy was looked at just now."""
        began = self._monotonic()
        membership = self._listen(began)
        wishes = self._read_wishes()
        is_news = membership != self._membership or wishes != self._wishes
        if membership is not None:
            self._membership = membership
        self._wishes = wishes
        if not is_news and began < self._look_at:
            return
        self._look(began)
        if self._memory is None and self._actual is not None:
            self._memory = first_memory(self._actual)
            self._servers = _servers_of(self._actual, self._memory)
        if self._memory is None:
            return  # what runs is not known yet, so nothing can be said about changes
        seen = seen_in(self._actual) if self._actual else Seen()
        decision = decide(self._memory, membership, seen, wishes, self._key, began)
        self._memory = decision.memory
        self._tell(decision, membership)
        self._bring_about(decision, wishes, began)
        self._show(decision, membership)

    def _listen(self, now: float) -> Membership | None:
        """The membership; None where the agent has no answer, or it is too early to ask again."""
        if not self._serf_patience.allows("serf", now):
            return None
        try:
            listing = self._serf.members()
            if self._listing is None or listing != self._listing[0]:
                self._listing = (listing, read_listing(listing))
        except (SerfDown, BadListing) as error:
            self._serf_patience.failed("serf", self._monotonic())
            self._trouble("serf", str(error))
            return None
        self._serf_patience.done("serf")
        self._trouble("serf", "")
        return self._listing[1]

    def _read_wishes(self) -> Wishes:
        """What operators ask for; the last good file where the present one is damaged."""
        try:
            wishes = self._store.wishes()
        except (ValueError, Fault) as error:
            self._trouble("wishes", str(error))
            return self._wishes
        self._trouble("wishes", "")
        return wishes

    def _look(self, now: float) -> None:
        before = self._actual
        try:
            self._actual = self._proxy.look()
        except HaproxyDown as error:
            self._actual = None
            self._look_at = now
            self._trouble("haproxy", str(error))
            return
        self._look_at = now + LOOK_SECONDS
        self._trouble("haproxy", "")
        if before and before.pid != self._actual.pid:
            self._log.say("WARNING", "haproxy-changed", {"from_pid": before.pid, "to_pid": self._actual.pid})

    def _bring_about(self, decision: Decision, wishes: Wishes, began: float) -> None:
        """Make HAProxy and the file agree with the decision, and record it if that took a change."""
        servers = decision.servers
        milliseconds = {"detect": (self._monotonic() - began) * 1000}
        why = causes(self._servers, decision, wishes)
        self._servers = servers
        reason = self._reload_reason(servers)
        if reason:
            outcome = self._publisher.bring_out(servers, reason)
            if outcome.is_reloaded:
                why.append(f"reload: {reason}")
                self._applier.reloaded()
                self._look(self._monotonic())
        done, problems = self._apply(servers, milliseconds)
        if not reason:
            outcome = self._publisher.bring_out(servers)
        self._trouble("configuration", f"{headline(outcome.error)}{outcome.where}" if outcome.error else "")
        changes = tuple(action for action in done if not action.is_follow_up)
        if not why:  # the servers are the same: it was HAProxy or the file that was not as they ask
            why = [f"repair {action.server}: {action.reason}" for action in changes]
            why += [outcome.cause or headline(outcome.error)] if outcome.is_news else []
        if why:
            self._publisher.record(outcome, why, servers, changes, milliseconds | outcome.milliseconds, problems)
        if self._actual is not None and (self._applier.is_waiting or not is_settled(servers, self._actual)):
            self._look_at = self._monotonic()

    def _reload_reason(self, servers: tuple[Server, ...]) -> str:
        """Why HAProxy has to take the file anew; "" where it need not, or where it refused that very file."""
        rendered = self._publisher.rendered(servers)
        if self._actual is None or rendered is None:
            return ""
        reason = reload_reason(servers, self._actual, rendered.fingerprint) or self._applier.last_resort
        return reason if reason and self._publisher.may_reload(servers, reason) else ""

    def _apply(self, servers: tuple[Server, ...], milliseconds: dict[str, float]) -> tuple[list[Action], list[str]]:
        """Bring HAProxy nearer to the servers and read back what came of it: what was done, what failed in words."""
        if self._actual is None:
            return [], ["HAProxy does not answer"]
        started = self._monotonic()
        done, problems = self._applier.apply(reconcile(servers, self._actual))
        if not done and not problems:
            return [], []
        applied = self._monotonic()
        self._look(applied)
        milliseconds["apply"] = (applied - started) * 1000
        milliseconds["verify"] = (self._monotonic() - applied) * 1000
        if self._actual is None:
            return done, [*problems, "HAProxy does not answer any more"]
        still = {(action.kind, action.server) for action in reconcile(servers, self._actual)}
        for action in done:
            if (action.kind, action.server) in still:
                problems.append(self._applier.failed(action, "HAProxy said done, but it is not"))
        return done, problems

    # Telling.

    def _trouble(self, what: str, reason: str) -> None:
        """Say once that something does not work (or why it now fails otherwise), and once that it works again."""
        before = self._troubles.get(what, "")
        if reason and reason != before:
            self._log.say("WARNING", f"{what}-failing", {"reason": reason})
        elif before and not reason:
            self._log.say("INFO", f"{what}-back")
        self._troubles[what] = reason

    def _tell(self, decision: Decision, membership: Membership | None) -> None:
        """Say what is kept against the news, and what is refused, once each time it changes."""
        notes = {f"kept {name}": v.reason for name, v in decision.verdicts.items() if v.word == KEPT}
        for refusal in membership.refusals if membership else ():
            if not refusal.is_over:
                notes[f"refused {refusal.shown}"] = refusal.reason
        for note, reason in notes.items():
            if self._said.get(note) != reason:
                word, _, name = note.partition(" ")
                self._log.say("WARNING", word, {"member": name, "reason": reason})
        if membership is None:  # no news: what was refused before still is
            notes = {**self._said, **notes}
        self._said = notes

    def _show(self, decision: Decision, membership: Membership | None) -> None:
        """``/nodes`` and status.json; their trouble is no reason to stop balancing."""
        try:
            if membership is not None:
                self._store.nodes(picture.node_files(membership, decision))
            self._store.status(
                picture.status(decision, self._membership, self._wishes, self._troubles, self._publisher.number)
            )
        except (Fault, OSError) as error:
            self._trouble("files", str(error))
        else:
            self._trouble("files", "")


def _servers_of(actual: Actual, memory: Memory) -> tuple[Server, ...]:
    """The servers that HAProxy has at the start, in our words."""
    entries = {entry.name: entry for entry in actual.entries.values() if entry.name in memory.servers}
    return tuple(
        Server(name, entry.address, entry.port, entry.weight, entry.cookie) for name, entry in sorted(entries.items())
    )


def keep_balancing(balancer: Balancer, poll_seconds: float, stop: Event) -> None:
    """Step every ``poll_seconds`` until ``stop`` is set."""
    while not stop.is_set():
        balancer.step()
        stop.wait(poll_seconds)
