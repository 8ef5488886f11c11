"""The runs: prepare the machine step by step, then bring the stack up, scale it, take it down."""

from __future__ import annotations

import time
from pathlib import Path

from logship.errors import Fault
from supervise.up import base, daemon, facts, packages, ports, venv, wheels
from supervise.up.plan import WORK, base_image, lines_of, standing, steps_of
from supervise.up.progress import Container, addresses, changes, counted, hopeless, is_complete, not_good
from supervise.up.request import PORTS, Request
from supervise.up.shell import Shell
from supervise.up.stack import TARGETS, Stack
from supervise.up.values import Action, Facts, Step

HEALTHY_SECONDS = 120
LOOK_EVERY_SECONDS = 0.5
STEPS_MAX = 20
"""More preparing steps than there are kinds of them: a plan that does not end is a mistake of ours."""


def say(line: str) -> None:
    """One line for the person who waits; at once, also into a pipe."""
    print(line, flush=True)


class Machine:
    """This machine, as the steps of a plan change it."""

    def __init__(self, request: Request, shell: Shell, tree: Path) -> None:
        self.request = request
        self.shell = shell
        self.tree = tree
        self._pull_error = ""
        self._wheels_error = ""

    def facts(self) -> Facts:
        """What it is like right now."""
        return facts.gather(self.request, self.shell, self.tree, self._pull_error, self._wheels_error)

    def perform(self, step: Step) -> None:
        """Do one preparing step. Raises Fault where it fails; a failed pull is a fact for the next plan instead."""
        match step.action:
            case Action.INSTALL:
                names = packages.install(self.shell, step.subjects)
                self.shell.admit_system()
                say(f"{step.topic}: installed {' '.join(names)}")
            case Action.FORGET:
                for path in step.subjects:
                    Path(path).unlink(missing_ok=True)
            case Action.START:
                daemon.start(self.shell, step.subjects[0], lambda: bool(facts.engine_version(self.shell)), say)
                say(f"{step.topic}: it answers now")
            case Action.COMMANDS:
                venv.install(self.shell, self.tree, dev="dev" in self.request.needs)
            case Action.PULL:
                outcome = base.pull(self.shell, step.subjects[0])
                self._pull_error = "" if outcome.status == 0 else outcome.last
                if self._pull_error:
                    say(f"base image: the registry did not give it: {self._pull_error}")
            case Action.MAKE:
                base.make(self.shell, step.subjects[0], self.request.mirror)
            case Action.FETCH:
                outcome = wheels.fetch(self.shell, self.tree)
                self._wheels_error = "" if outcome.status == 0 else outcome.last
                if self._wheels_error:
                    say("wheels: no index of Python packages gave them; say it again where one can be reached")
            case _:
                raise AssertionError(f"{step.action} prepares nothing")


def prepare(machine: Machine) -> Facts:
    """Bring the machine to where only the work itself is left, saying each step before it is done.

    The plan is made anew after each step; a step that comes twice has not helped, and ends this with a Fault.
    """
    done: list[Step] = []
    while True:
        found = machine.facts()
        step = next((step for step in steps_of(machine.request, found) if step.action not in WORK), None)
        if step is None:
            for line in standing(machine.request, found):
                say(line)
            return found
        if step in done or len(done) >= STEPS_MAX:
            raise Fault(step.action, f"({step.text})", "it was done, yet it is still needed", f"again: {step.reason}")
        say(str(step))
        began = time.monotonic()
        machine.perform(step)
        if (seconds := time.monotonic() - began) >= 1:
            say(f"{step.topic}: that took {seconds:.1f} s")
        done.append(step)


def plan(machine: Machine) -> int:
    """Print what would be done, and do nothing; 1 where it could not be done."""
    lines, feasible = lines_of(machine.request, machine.facts())
    for line in lines:
        say(line)
    return 0 if feasible else 1


def build(machine: Machine, found: Facts) -> Stack:
    """Build the images from the base image that the plan found."""
    stack = Stack(machine.shell, machine.tree, machine.request, found.compose, base_image(machine.request, found))
    began = time.monotonic()
    say(f"images: building {', '.join(TARGETS)}")
    stack.build()
    say(f"images: built in {time.monotonic() - began:.1f} s")
    return stack


def up(machine: Machine) -> int:
    """From whatever there is to a healthy stack."""
    began = time.monotonic()
    request = machine.request
    stack = build(machine, prepare(machine))
    say(f"stack: starting ha, collector and webapp x {request.nodes} (project {request.project})")
    before = {(item.service, item.number): item.id for item in stack.containers()}
    stack.up(request.nodes)
    containers = wait(stack, request.nodes)
    for item in containers:
        if before.get((item.service, item.number), item.id) != item.id:
            say(f"stack: {item.service}/{item.number} was replaced: its image or settings had changed")
    say(f"stack: all {len(containers)} containers are healthy, {time.monotonic() - began:.1f} s after the command")
    say("")
    for name, address in addresses(containers).items():
        note = "" if "http" not in address or ports.serves(address) else "   (nothing answers there yet)"
        say(f"  {name:24s} {address}{note}")
    say("")
    for line in stack.disk().lines():
        say(line)
    say("next:")
    for line in next_steps(request):
        say(f"  {line}")
    return 0


def next_steps(request: Request) -> list[str]:
    """What to type after ``make up``, so that it means this stack and no other one of this machine."""
    project = "" if request.project == "logship" else f"SUPERVISE_PROJECT={request.project} "
    port = request.ports["VIEWER_PORT"]
    viewer = "" if port == PORTS["VIEWER_PORT"] else f"LOGSHIP_URL=http://127.0.0.1:{port} "
    return [
        f"{project}.venv/bin/supervise ps",
        f"{viewer}.venv/bin/logship logs -f",
        typed(request, f"make scale NODES={request.nodes + 3}"),
        typed(request, "make down"),
    ]


def typed(request: Request, command: str) -> str:
    """The command as it has to be typed for this project."""
    return command if request.project == "logship" else f"{command} PROJECT={request.project}"


def images(machine: Machine) -> int:
    """Build the images and print their sizes."""
    for line in build(machine, prepare(machine)).disk().lines():
        say(line)
    return 0


def scale(machine: Machine) -> int:
    """Change the number of web nodes of a running stack, and wait until they are healthy."""
    began = time.monotonic()
    nodes = machine.request.nodes
    stack = _running(machine)
    before = stack.containers()
    if not any(item.service == "ha" and item.status == "running" for item in before):
        raise Fault("scale", "webapp", "the stack is not up", typed(machine.request, f"make up NODES={nodes}"))
    had = sum(item.service == "webapp" for item in before)
    say(f"stack: webapp {had} -> {nodes} (project {machine.request.project})")
    stack.scale(nodes)
    wait(stack, nodes, before)
    say(f"stack: {counted(nodes, 'webapp')} healthy, {time.monotonic() - began:.1f} s after the command")
    return 0


def down(machine: Machine) -> int:
    """Leave nothing running; with VOLUMES=1 nothing at all of this project."""
    began = time.monotonic()
    stack = _running(machine)
    volumes = machine.request.volumes
    before = stack.counts()
    say(f"stack: stopping {counted(before['container'], 'container')} (project {machine.request.project})")
    stack.down(volumes=volumes)
    after = stack.counts()
    parts = [counted(before[kind] - after[kind], kind) for kind in before]
    say(f"stack: removed {', '.join(parts)} in {time.monotonic() - began:.1f} s")
    if not volumes:
        kept_volumes = counted(after["volume"], "volume")
        remedy = typed(machine.request, "make down VOLUMES=1")
        say(f"stack: kept {kept_volumes} and the images; {remedy} removes them, too")
        return 0
    removed, kept = stack.remove_images()
    say(f"images: removed {', '.join(removed) or 'none'}")
    for line in kept:
        say(f"images: kept {line}")
    say("images: kept the base image they were built from; .venv is kept, too")
    return 1 if kept else 0


def wait(stack: Stack, nodes: int, before: list[Container] | None = None) -> list[Container]:
    """Wait until every container is healthy, a line for each change. Raises Fault with the first that is not."""
    began = time.monotonic()
    known = before or []
    while True:
        containers = stack.containers()
        seconds = time.monotonic() - began
        for line in changes(known, containers, seconds):
            say(line)
        known = containers
        if is_complete(containers, nodes):
            return containers
        lost = hopeless(containers)
        if lost or seconds > HEALTHY_SECONDS:
            raise _unwell(stack, containers, nodes, lost, seconds)
        time.sleep(LOOK_EVERY_SECONDS)


def _running(machine: Machine) -> Stack:
    found = machine.facts()
    steps_of(machine.request, found)  # refuses where no engine answers
    return Stack(machine.shell, machine.tree, machine.request, found.compose)


def _unwell(stack: Stack, containers: list[Container], nodes: int, lost: Container | None, seconds: float) -> Fault:
    """The error that shows the end of what the worst container said."""
    cause = f"after {seconds:.0f} s {not_good(containers, nodes)}"
    bad = lost or next((item for item in containers if not item.good), None)
    if bad is None:
        return Fault("bring", "the stack to health", cause, "say it again")
    said = f"{cause}; {bad.name} said:\n{stack.last_words(bad)}"
    return Fault("bring", "the stack to health", said, f"more of it: docker logs {bad.id[:12]}")
