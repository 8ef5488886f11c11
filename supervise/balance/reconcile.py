"""Core: the servers that should be there, against those that are, become actions with reasons.

Level-triggered: it looks at two states, never at what changed, so whatever came between (a missed event, a restart of
HAProxy, a hand on its socket) is repaired by the same rules.

The life of a server, each step one action
    add     into ``app``: weight 0, health down, checks on. No request reaches it.
    admit   after its first good check: its weight, and its twin in ``app_panic`` (the mark that it was admitted)
    leave   maintenance in both: no new request, sticky or not; requests under way end in peace
    delete  once none is left, tried again and again, never waited for
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from supervise.balance.runtime import Actual, Entry
from supervise.balance.server import APP, PANIC, Server

LEAVE, REENTER, ADD, CORRECT, ADMIT, DELETE = "leave", "reenter", "add", "correct", "admit", "delete"
_ORDER = (LEAVE, REENTER, ADD, CORRECT, ADMIT, DELETE)

_FOLLOW_UPS = frozenset({ADMIT, DELETE})


@dataclass(frozen=True)
class Action:
    """Commands that belong together, sent on one line. ``reason`` says what was found."""

    kind: str
    server: str
    commands: tuple[str, ...]
    reason: str

    @property
    def is_follow_up(self) -> bool:
        """The second half of an earlier change (an admission, a deletion), not a change of its own."""
        return self.kind in _FOLLOW_UPS


def reconcile(desired: Collection[Server], actual: Actual) -> tuple[Action, ...]:
    """The actions that bring HAProxy nearer to ``desired``, leaves first. Nothing to do: none.

    A server that should be there is never taken out of traffic, but for one whose address is not its own.
    """
    wanted = {server.name: server for server in desired}
    names = wanted.keys() | {name for _, name in actual.entries}
    found: list[Action] = []
    for name in sorted(names):
        checked, twin = actual.entries.get((APP, name)), actual.entries.get((PANIC, name))
        if name in wanted:
            found += _keep(wanted[name], checked, twin)
        else:
            found += _remove(name, checked, twin)
    return tuple(sorted(found, key=lambda action: (_ORDER.index(action.kind), action.server)))


def reload_reason(desired: Collection[Server], actual: Actual, fingerprint: str) -> str:
    """Why only a reload brings HAProxy to the file with this fingerprint; "" where it takes none."""
    if actual.fingerprint != fingerprint:
        return f"HAProxy runs on a file with fingerprint {actual.fingerprint or 'none'}, not {fingerprint}"
    cookies = {server.name: server.cookie for server in desired}
    # No command sets a cookie, and deleting and adding would leave the server without traffic until its next check.
    strange = {
        entry.name
        for entry in actual.entries.values()
        if entry.backend in (APP, PANIC) and entry.cookie != cookies.get(entry.name, entry.cookie)
    }
    return f"the cookies of {', '.join(sorted(strange))} are not those of our key" if strange else ""


def is_settled(desired: Collection[Server], actual: Actual) -> bool:
    """Whether every server is admitted and nothing waits for its end: no look is needed until something changes."""
    wanted = {(backend, server.name) for server in desired for backend in (APP, PANIC)}
    return wanted == set(actual.entries) and not any(entry.in_maintenance for entry in actual.entries.values())


def _remove(name: str, checked: Entry | None, twin: Entry | None) -> Iterator[Action]:
    entries = [entry for entry in (twin, checked) if entry]
    taking = [entry for entry in entries if not entry.in_maintenance]
    if taking:
        yield Action(LEAVE, name, tuple(_set(entry, "state maint") for entry in taking), "it should not be there")
    else:
        commands = tuple(f"del server {entry.backend}/{entry.name}" for entry in entries)
        yield Action(DELETE, name, commands, f"{sum(entry.sessions for entry in entries)} requests were under way")


def _keep(server: Server, checked: Entry | None, twin: Entry | None) -> Iterator[Action]:
    if checked is None:
        yield from _add(server, twin)
    elif checked.in_maintenance or _is_elsewhere(server, checked):
        yield _reenter(server, checked, twin)
    elif twin is None or twin.in_maintenance:
        if checked.in_drain or not checked.is_checked:
            yield from _correct(server, checked, None)
        elif checked.has_passed:
            yield _admit(server, checked, twin)
    else:
        yield from _correct(server, checked, twin)


def _is_elsewhere(server: Server, entry: Entry) -> bool:
    return (entry.address, entry.port) != (server.address, server.port)


def _add(server: Server, twin: Entry | None) -> Iterator[Action]:
    name = f"{APP}/{server.name}"
    options = server.checked.replace(f"weight {server.weight} ", "weight 0 ", 1)
    commands = (
        *_hidden(twin),
        f"add server {name} {server.endpoint} {options}",
        f"enable health {name}",
        f"enable server {name}",
        f"set server {name} health down",
    )
    yield Action(ADD, server.name, commands, "it is not in app")


def _reenter(server: Server, checked: Entry, twin: Entry | None) -> Action:
    """Begin again, like a newcomer, with a server that HAProxy still knows: elsewhere, or in maintenance."""
    commands = list(_hidden(twin))
    if _is_elsewhere(server, checked):
        reason = f"it is in app with the address {checked.address}:{checked.port}"
        commands += [_set(checked, "state maint"), _set(checked, f"addr {server.address} port {server.port}")]
    else:
        reason = "it is in maintenance in app"
    commands += [_set(checked, "weight 0"), _set(checked, "state ready"), _set(checked, "health down")]
    if not checked.is_checked:
        commands.append(f"enable health {APP}/{server.name}")
    return Action(REENTER, server.name, tuple(commands), reason)


def _hidden(twin: Entry | None) -> list[str]:
    """No twin without an admitted server: it would take traffic in a panic."""
    return [_set(twin, "state maint")] if twin and not twin.in_maintenance else []


def _admit(server: Server, checked: Entry, twin: Entry | None) -> Action:
    name = f"{PANIC}/{server.name}"
    if twin is None:
        commands = [f"add server {name} {server.endpoint} {server.unchecked}", f"enable server {name}"]
    else:
        commands = [_set(twin, f"addr {server.address} port {server.port}")] if _is_elsewhere(server, twin) else []
        commands += [_set(twin, f"weight {server.weight}"), _set(twin, "state ready")]
    return Action(ADMIT, server.name, (_set(checked, f"weight {server.weight}"), *commands), "its check has passed")


def _correct(server: Server, checked: Entry, twin: Entry | None) -> Iterator[Action]:
    """A server whose details are not as they should be; without its twin it keeps the weight of a newcomer."""
    commands, reasons = [], []
    for entry in (checked, twin) if twin else (checked,):
        if _is_elsewhere(server, entry):  # only the twin's can be: for the other one it means to enter again
            commands.append(_set(entry, f"addr {server.address} port {server.port}"))
            reasons.append(f"it is in {entry.backend} with the address {entry.address}:{entry.port}")
        if twin and entry.weight != server.weight:
            commands.append(_set(entry, f"weight {server.weight}"))
            reasons.append(f"its weight in {entry.backend} is {entry.weight}")
        if entry.in_drain:
            commands.append(_set(entry, "state ready"))
            reasons.append(f"it is in drain in {entry.backend}")
    if not checked.is_checked:
        commands.append(f"enable health {APP}/{server.name}")
        reasons.append("its checks are off")
    if commands:
        yield Action(CORRECT, server.name, tuple(commands), ", ".join(reasons))


def _set(entry: Entry, what: str) -> str:
    return f"set server {entry.backend}/{entry.name} {what}"
