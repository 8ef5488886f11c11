"""Core: what is shown of the balancer: a file a member for ``/nodes``, and status.json for ``supervise lb``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supervise.balance.membership import ALIVE, TRAFFIC_ROLE, Membership, endpoint
from supervise.balance.policy import OUT, Decision
from supervise.balance.wishes import Wishes

VERSION = 1


def node_files(membership: Membership, decision: Decision) -> dict[str, str]:
    """The files of ``/nodes`` by name: members that are alive, and servers that are kept for want of better news."""
    files = {}
    for member in membership.members:
        if member.status == ALIVE:
            place = member.endpoint if member.port else member.address
            tags = "".join(f"tag      {name}={value}\n" for name, value in member.tags)
            files[member.name] = _node(member.name, place, member.role, member.status) + tags
    for server in decision.servers:
        if server.name not in files:
            reason = decision.verdicts[server.name].reason
            files[server.name] = _node(server.name, server.endpoint, TRAFFIC_ROLE, f"kept ({reason})")
    return files


def _node(name: str, place: str, role: str, status: str) -> str:
    return f"name     {name}\naddress  {place}\nrole     {role}\nstatus   {status}\n"


def status(
    decision: Decision,
    membership: Membership | None,
    wishes: Wishes,
    troubles: Mapping[str, str],
    generation: int,
) -> dict[str, Any]:
    """What the balancer thinks now; without times, so that it changes only when that changes."""
    refusals = [refusal for refusal in membership.refusals if not refusal.is_over] if membership else []
    members = {member.name: member for member in membership.members} if membership else {}
    return {
        "v": VERSION,
        "generation": generation,
        "troubles": {name: reason for name, reason in sorted(troubles.items()) if reason},
        "servers": [
            {
                "name": server.name,
                "address": endpoint(server.address, server.port),
                "weight": server.weight,
                "serf": members[server.name].status if server.name in members else "",
                "verdict": decision.verdicts[server.name].word,
                "reason": decision.verdicts[server.name].reason,
                "wish": _wish(server.name, wishes),
            }
            for server in decision.servers
            if decision.verdicts[server.name].word != OUT
        ],
        "refused": [{"member": refusal.shown, "reason": refusal.reason} for refusal in refusals],
    }


def _wish(name: str, wishes: Wishes) -> str:
    if name in wishes.drained:
        return "drain"
    return f"weight {wishes.weights[name]}" if name in wishes.weights else ""
