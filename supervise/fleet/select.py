"""Core: TARGETs of the command line -> containers and their programs.

    all   webapp   webapp/2   webapp:serf   webapp/2:serf   web*:*   logship_webapp_1   3fa91c07

A TARGET is CONTAINER[:PROGRAM]. CONTAINER is ``all``, SERVICE, SERVICE/NUMBER, a container's name or the beginning of
its id; ``*`` stands for any characters in each part. A service is tried before a name, and a name before an id, so a
service called ``cafe`` is never taken for an id. All TARGETs are resolved, and all faults told, before any is acted on.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from logship.errors import USAGE, Fault
from supervise.fleet.container import Container

OWN = frozenset({"spool", "ship", "supervise", "supervisord"})
"""Logship's own programs and streams. Stopping one stops the logs, so a verb takes them only by name."""

_TARGET = re.compile(r"(?P<place>[A-Za-z0-9_.*-]+)(?:/(?P<number>[0-9*]+))?(?::(?P<program>[A-Za-z0-9_.*-]+))?")
_ID_BEGINNING = re.compile(r"[0-9a-f]{4,64}")
_GRAMMAR = "a TARGET is CONTAINER[:PROGRAM], as in: all  webapp  webapp/2  webapp:serf  'web*:*'"


@dataclass(frozen=True)
class Member:
    """A container and the programs it says it has; None when it cannot be asked."""

    container: Container
    programs: tuple[str, ...] | None


@dataclass(frozen=True)
class Target:
    """One TARGET, parsed. ``program`` is None when none was given."""

    text: str
    place: str
    number: str | None
    program: str | None

    @property
    def names_programs(self) -> bool:
        """Whether it says which programs, rather than just all of them."""
        return self.program is not None and self.program.strip("*") != ""


@dataclass(frozen=True)
class Choice:
    """A container and what is wanted of it: ``programs`` in the container's own order.

    Empty ``programs`` with ``asked`` false: the container cannot say what it has.
    """

    container: Container
    programs: tuple[str, ...]
    asked: bool = True


def parse(text: str) -> Target:
    """Parse one TARGET; raises Fault (usage) when it is none."""
    match = _TARGET.fullmatch(text)
    if match is None:
        raise Fault("understand the TARGET", repr(text), _GRAMMAR, status=USAGE)
    return Target(text, match["place"], match["number"], match["program"])


def select(targets: Sequence[str], members: Sequence[Member], for_verb: bool = False) -> list[Choice]:
    """What the TARGETs mean, in the order of ``members``. Raises one Fault (usage) that tells every unknown TARGET.

    ``for_verb``: programs that no TARGET names do not include logship's own.
    """
    wanted: dict[str, set[str]] = {}
    unknown: list[str] = []
    for target in map(parse, targets):
        found = _containers(target, members)
        chosen = {member.container.id: _programs(target, member, for_verb) for member in found}
        if not found:
            unknown.append(_no_container(target, members))
        elif target.program is not None and not any(chosen.values()) and all(m.programs is not None for m in found):
            unknown.append(_no_program(target, found))
        for identity, programs in chosen.items():
            if programs or target.program is None or _cannot_say(identity, found):
                wanted.setdefault(identity, set()).update(programs)
    if unknown:
        raise Fault("find", "; ".join(unknown), "nothing was done", _known(members), USAGE)
    return [_choice(member, wanted[member.container.id]) for member in members if member.container.id in wanted]


def _containers(target: Target, members: Sequence[Member]) -> list[Member]:
    if target.place == "all" and target.number is None:
        return list(members)
    number = re.compile(".*") if target.number is None else _pattern(target.number)
    place = _pattern(target.place)
    by_service = [
        member
        for member in members
        if place.fullmatch(member.container.service) and number.fullmatch(str(member.container.number))
    ]
    if by_service or target.number is not None:
        return by_service
    by_name = [member for member in members if place.fullmatch(member.container.name)]
    if by_name or not _ID_BEGINNING.fullmatch(target.place):
        return by_name
    by_id = [member for member in members if member.container.id.startswith(target.place)]
    if len(by_id) > 1:
        labels = ", ".join(member.container.label for member in by_id)
        raise Fault("choose by", target.place, f"several ids begin so: {labels}", "write more of it", USAGE)
    return by_id


def _programs(target: Target, member: Member, for_verb: bool) -> set[str]:
    if member.programs is None:
        return {target.program} if target.program and "*" not in target.program else set()
    pattern = _pattern(target.program or "*")
    spared = OWN if for_verb and not target.names_programs else frozenset()
    return {program for program in member.programs if pattern.fullmatch(program) and program not in spared}


def _choice(member: Member, wanted: set[str]) -> Choice:
    if member.programs is None:
        return Choice(member.container, tuple(sorted(wanted)), asked=False)
    return Choice(member.container, tuple(program for program in member.programs if program in wanted))


def _cannot_say(identity: str, members: Sequence[Member]) -> bool:
    return any(member.container.id == identity and member.programs is None for member in members)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")))


def _no_container(target: Target, members: Sequence[Member]) -> str:
    place = target.place if target.number is None else f"{target.place}/{target.number}"
    names = {member.container.service for member in members} | {member.container.name for member in members}
    names |= {member.container.label for member in members}
    return f"{target.text} (no container {place}{_meant(place, names)})"


def _no_program(target: Target, found: Sequence[Member]) -> str:
    programs = {program for member in found for program in member.programs or ()}
    there = ", ".join(sorted(programs)) or "none"
    places = _listed([member.container.label for member in found])
    near = _meant(target.program or "", programs) or f"; there is {there}"
    return f"{target.text} (no program {target.program} in {places}{near})"


def _meant(word: str, names: set[str]) -> str:
    near = difflib.get_close_matches(word, sorted(names), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _known(members: Sequence[Member]) -> str:
    """What there is, a service a time: ``there is: ha/1, webapp/1..3``."""
    numbers: dict[str, list[int]] = {}
    for member in members:
        numbers.setdefault(member.container.service, []).append(member.container.number)
    if not numbers:
        return "the project has no containers"
    return "there is: " + ", ".join(f"{service}/{_ranges(found)}" for service, found in sorted(numbers.items()))


def _ranges(numbers: Sequence[int]) -> str:
    """``1..3,7`` for 1, 2, 3, 7."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs)


def _listed(labels: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(labels[:most])
    return shown if len(labels) <= most else f"{shown} and {len(labels) - most} more"
