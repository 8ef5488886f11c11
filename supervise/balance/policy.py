"""Core: what members, operators and HAProxy's checks say together about who takes traffic.

The rules, in the order of their weight (docs/balancer.md has the reasons)

1. Who says that it leaves gets no new request from the next poll on. That is never delayed or limited.
2. Who is alive is in; HAProxy's checks decide when it is admitted, and from then on whether it gets requests.
3. Bad news from others alone evicts nobody: a member that Serf calls failed, or no longer lists, goes only when
   HAProxy's own check has failed, too, and at most half of the servers go that way within GUARD_SECONDS.
4. No news is no news: an agent that does not answer, lists nobody, or lists a record that cannot be read, changes
   nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from supervise.balance.membership import (
    ALIVE,
    FAILED,
    LEAVING,
    LEFT,
    TRAFFIC_ROLE,
    WEIGHT_DEFAULT,
    Membership,
    endpoint,
    is_name,
)
from supervise.balance.runtime import Actual
from supervise.balance.server import APP, PANIC, Server, cookie_value
from supervise.balance.wishes import Wishes

GUARD_SECONDS = 60.0
"""Within this time at most half of the servers are removed for having failed."""

IN, KEPT, OUT = "in", "kept", "out"


@dataclass(frozen=True)
class Known:
    """The last good record of a server."""

    address: str
    port: int
    weight: int

    @property
    def endpoint(self) -> str:
        return endpoint(self.address, self.port)


@dataclass(frozen=True)
class Memory:
    """What has to be remembered from poll to poll: the servers; when (monotonic seconds) some were removed for having
    failed; which names lost which address to a newer member."""

    servers: Mapping[str, Known] = field(default_factory=dict)
    failures: tuple[float, ...] = ()
    beaten: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True)
class Seen:
    """What HAProxy says of servers, by name: ``dead`` are those whose check fails, ``admitted`` those that passed one.
    Both are empty where it cannot be asked."""

    dead: frozenset[str] = frozenset()
    admitted: frozenset[str] = frozenset()


def seen_in(actual: Actual) -> Seen:
    """What a look at HAProxy says."""
    entries = actual.entries.values()
    return Seen(
        frozenset(entry.name for entry in entries if entry.has_failed),
        frozenset(entry.name for entry in entries if entry.backend == PANIC and not entry.in_maintenance),
    )


@dataclass(frozen=True)
class Verdict:
    """What was decided for one server (IN, KEPT or OUT) and why, in a few words."""

    word: str
    reason: str


@dataclass(frozen=True)
class Decision:
    """The servers that should be there, by name; a verdict for each, and for each that was removed just now."""

    servers: tuple[Server, ...]
    verdicts: Mapping[str, Verdict]
    memory: Memory


def first_memory(actual: Actual) -> Memory:
    """What to start from: the servers that HAProxy has, so that an agent that knows nobody yet empties nothing."""
    return Memory(
        {
            entry.name: Known(entry.address, entry.port, entry.weight or WEIGHT_DEFAULT)
            for entry in actual.entries.values()
            if entry.backend == APP and is_name(entry.name) and not entry.in_maintenance
        }
    )


def decide(
    memory: Memory,
    membership: Membership | None,
    seen: Seen,
    wishes: Wishes,
    key: bytes,
    now: float,
) -> Decision:
    """Who takes traffic. ``membership`` is None when the agent did not answer; ``now`` is monotonic seconds."""
    if membership is None or membership.is_empty:
        reason = "Serf does not answer" if membership is None else "Serf lists nobody"
        return _decision(memory, {name: Verdict(KEPT, reason) for name in memory.servers}, wishes, key)
    alive = {
        member.name: Known(member.address, member.port, member.weight)
        for member in membership.members
        if member.status == ALIVE and member.role == TRAFFIC_ROLE
    }
    known = {**memory.servers, **alive}
    verdicts = {name: Verdict(IN, "alive") for name in alive}
    heirs = _heirs(alive, memory)
    suspects = dict.fromkeys(alive.keys() - heirs.values(), "Serf says alive")
    for name in sorted(known.keys() - alive.keys()):
        word, reason = _judge(name, membership)
        if word:
            verdicts[name] = Verdict(word, reason)
        else:
            suspects[name] = reason
    recent = tuple(time for time in memory.failures if now - time < GUARD_SECONDS)
    failures = _evict(suspects, known, heirs, seen, verdicts, recent, now)
    staying = {name: record for name, record in known.items() if verdicts[name].word != OUT}
    beaten = frozenset((name, known[name].endpoint) for name in alive.keys() - heirs.values())
    return _decision(Memory(staying, failures, beaten), verdicts, wishes, key)


def _heirs(alive: Mapping[str, Known], memory: Memory) -> dict[str, str]:
    """Who has each address. Of several living members with one address the newest has it: engines give the address of
    a killed container to the next one while Serf still calls the dead one alive. Who lost it once does not win it back
    while the winner is there."""
    found: dict[str, str] = {}
    for name in sorted(alive, key=lambda name: (_age(name, alive[name], memory), name)):
        found.setdefault(alive[name].endpoint, name)
    return found


def _age(name: str, known: Known, memory: Memory) -> int:
    """0 for a newcomer, 1 for a server, 2 for who lost the address to a newer one."""
    if (name, known.endpoint) in memory.beaten:
        return 2
    before = memory.servers.get(name)
    return 1 if before and before.endpoint == known.endpoint else 0


def _judge(name: str, membership: Membership) -> tuple[str, str]:
    """Word and reason for a server that is not alive; no word where it takes a second witness."""
    for member in membership.members:
        if member.name == name:
            if member.status in (LEAVING, LEFT):
                return OUT, member.status
            return (OUT, f"its role is {member.role}") if member.status != FAILED else ("", "Serf says failed")
    for refusal in membership.refusals:
        if refusal.name == name:
            if refusal.status in (LEAVING, LEFT):
                return OUT, refusal.status
            return KEPT, f"its new record is refused: {refusal.reason}"
    return "", "Serf lists it no more"


def _evict(
    suspects: Mapping[str, str],
    known: Mapping[str, Known],
    heirs: Mapping[str, str],
    seen: Seen,
    verdicts: dict[str, Verdict],
    recent: tuple[float, ...],
    now: float,
) -> tuple[float, ...]:
    """Judge the suspects into ``verdicts``; return the times of all recent removals, these included."""
    room = (len(known) + len(recent)) // 2 - len(recent)
    removed: list[float] = []
    for name, reason in sorted(suspects.items()):
        heir = heirs.get(known[name].endpoint)
        if heir and (heir in seen.admitted or name not in seen.admitted):
            verdicts[name] = Verdict(OUT, f"{reason}, but {heir} has its address now")
        elif heir:
            verdicts[name] = Verdict(KEPT, f"{reason}; {heir} has its address now, but is not admitted yet")
        elif name not in seen.dead:
            verdicts[name] = Verdict(KEPT, f"{reason}, but HAProxy's check has not failed")
        elif len(removed) >= room:
            verdicts[name] = Verdict(KEPT, f"{reason}, but half of the servers went that way within a minute")
        else:
            verdicts[name] = Verdict(OUT, f"{reason}, and so does HAProxy's check")
            removed.append(now)
    return recent + tuple(removed)


def _decision(memory: Memory, verdicts: Mapping[str, Verdict], wishes: Wishes, key: bytes) -> Decision:
    servers = tuple(
        Server(name, known.address, known.port, wishes.weight(name, known.weight), cookie_value(key, name))
        for name, known in sorted(memory.servers.items())
    )
    return Decision(servers, verdicts, memory)


def causes(before: Collection[Server], decision: Decision, wishes: Wishes) -> list[str]:
    """Why the servers are no longer those of ``before``, a few words each, sorted by name."""
    old, new = {server.name: server for server in before}, {server.name: server for server in decision.servers}
    found = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            verdict = decision.verdicts.get(name)
            found.append(f"leave {name} ({verdict.reason if verdict else 'unknown'})")
        elif name not in old:
            verdict = decision.verdicts.get(name)
            found.append(f"join {name} ({verdict.reason if verdict else 'unknown'})")
        else:
            found += _alterations(old[name], new[name], wishes)
    return found


def _alterations(old: Server, new: Server, wishes: Wishes) -> list[str]:
    found = []
    if old.endpoint != new.endpoint:
        found.append(f"address of {new.name}: {old.endpoint} -> {new.endpoint}")
    if old.cookie != new.cookie:
        found.append(f"cookie of {new.name}")
    if old.weight != new.weight:
        if new.name in wishes.drained:
            found.append(f"operator drain {new.name}")
        elif new.name in wishes.weights:
            found.append(f"operator weight {new.name} {new.weight}")
        elif old.weight == 0:
            found.append(f"operator ready {new.name}")
        else:
            found.append(f"weight of {new.name}: {old.weight} -> {new.weight}")
    return found
