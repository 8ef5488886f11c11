"""The ``supervise`` command: which subcommand lives in which room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from logship.commands import dispatch

ROOMS: dict[str, tuple[str, str]] = {
    "init": ("supervise.init.cli", "PID 1 of a container: start, watch and stop the declared programs"),
    "check": ("supervise.init.cli", "check a supervise.toml and say all its faults at once"),
    "exec": ("supervise.exec.cli", "first process of a program: its output, user and limits, then the program itself"),
    "render": ("supervise.render", "render a template for this container, then run a command in its place"),
    "balance": ("supervise.balance.cli", "turn Serf membership into HAProxy's configuration"),
    "lb": ("supervise.balance.cli", "look at the load balancer: members, generations, differences"),
    "ctl": ("supervise.fleet.cli", "control every program of every container"),
    "ps": ("supervise.fleet.cli", "one line a container, one cell a program"),
    "evidence": ("supervise.evidence.cli", "walk the lab's tasks on the running stack and collect the proof"),
}


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one subcommand and return its exit status."""
    return dispatch("supervise", "Supervision and load balancing for containers.", ROOMS, arguments, environment)
