"""The walk: change the running stack step by step, look at everything after each, leave it as it was found.

Owns the order and the bounds. A step that fails is written down and the rest still runs. How things are asked is in
``stack.py``, what has to be there in ``tasks.py``, how it is told in ``report.py``.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from logship.errors import Fault
from supervise.evidence import collect
from supervise.evidence.deeds import KINDS, Deeds
from supervise.evidence.folder import Folder
from supervise.evidence.report import render
from supervise.evidence.stack import LOG_LINES_MAX, Stack, answers_path
from supervise.evidence.tasks import STEPS, Step, missing, wanted
from supervise.evidence.values import Evidence, Problem, StepRecord, host_of, name_of
from supervise.fleet.container import Container

SETTLED_SECONDS = 90.0
"""Serf alone needs 5 to 15 s to call a killed node failed, and longer in a small cluster."""


@dataclass(frozen=True)
class Wishes:
    """What a person may choose: how far to scale up, how many requests a step at least, how fast at most."""

    nodes_max: int = 5
    requests: int = 20_000
    per_second: float = 1_500.0


class Walk:
    """One walk over the lab's tasks."""

    def __init__(
        self,
        stack: Stack,
        folder: Folder,
        environment: Mapping[str, str],
        wishes: Wishes,
        template: str,
        say: Callable[[str], None],
    ) -> None:
        self.stack = stack
        self.folder = folder
        self.environment = environment
        self.wishes = wishes
        self.evidence = Evidence(stack.project, stamp(), wishes.requests, wishes.per_second)
        self._template = template
        self._tell = say
        self.began = time.monotonic()
        self.door = ("", 0)
        self._generation = 0
        self._configuration = ""

    def run(self) -> Evidence:
        """Walk. Raises Fault only before anything was changed."""
        self.door = self.stack.reach()
        found = self.stack.nodes()
        if not found:
            raise Fault("walk", f"project {self.stack.project}", "it has no running webapp", "make scale NODES=3")
        with self.trying("start"):
            self._generation = max((item["n"] for item in self.stack.generations(0)), default=0)
        deeds = Deeds(self)
        deed: dict[str, Callable[[StepRecord], None]] = {
            "start": deeds.start,
            "up": lambda record: deeds.up(record, max(self.wishes.nodes_max, len(found) + 1)),
            "down": deeds.down,
            "join": deeds.join,
            "stop": deeds.stop,
            "back": deeds.back,
            "kill": deeds.kill,
        }
        try:
            for step in STEPS[:-1]:
                self._step(step, deed[step.name])
        finally:
            self._step(STEPS[-1], lambda record: deeds.end(record, len(found)))
        with self.trying("end"):
            collect.whole(self)
        self._write()
        return self.evidence

    def say(self, text: str) -> None:
        """One line of progress."""
        self._tell(f"[{time.monotonic() - self.began:6.1f} s] {text}")

    @contextlib.contextmanager
    def trying(self, where: str) -> Iterator[None]:
        """Whatever fails inside is written down; the walk goes on."""
        try:
            yield
        except Exception as error:  # any fault of one step or file must not cost the others
            text = str(error) if isinstance(error, Fault) else f"{type(error).__name__}: {error}"
            self.evidence.problems.append(Problem(where, text))
            self.say(f"{where}: {text}")

    def _step(self, step: Step, deed: Callable[[StepRecord], None]) -> None:
        began = time.monotonic()
        record = StepRecord(step.name, step.title, time=stamp())
        self.evidence.steps.append(record)
        self.say(f"{step.name}: {step.title}")
        with self.trying(step.name):
            deed(record)
        with self.trying(step.name):
            self._look(step, record)
        record.seconds = time.monotonic() - began

    def _look(self, step: Step, record: StepRecord) -> None:
        """Wait until the configuration says what runs, then collect."""
        nodes = self.stack.nodes()
        containers = self.stack.containers()
        record.nodes = [name_of(item) for item in nodes]
        record.containers = [name_of(item) for item in containers]
        self.known(containers)
        with self.trying(step.name):
            self.settle({host_of(item) for item in nodes})
        configuration = collect.step(self, step, record, self._configuration, self._generation)
        self._configuration = configuration or self._configuration
        self._generation = max([self._generation, *(item["n"] for item in record.generations)])

    def known(self, nodes: list[Container]) -> None:
        """Remember which container a host name belongs to; later it may be gone."""
        self.evidence.names.update({host_of(item): name_of(item) for item in nodes})

    def settle(self, hosts: set[str]) -> None:
        """Wait until the configuration names exactly these hosts. Raises Fault."""
        deadline = time.monotonic() + SETTLED_SECONDS
        while (named := collect.hosts_of(self.stack)) != hosts:
            if time.monotonic() > deadline:
                cause = f"after {SETTLED_SECONDS:g} s it names {sorted(named)}, and {sorted(hosts)} run"
                raise Fault("wait for", "the configuration", cause, "supervise lb status")
            time.sleep(0.2)

    def _write(self) -> None:
        """Answers, report, record, and the check that nothing is missing (which is part of the report)."""
        evidence = self.evidence
        with self.trying("answers.md"):
            self.folder.write("answers.md", answers_path().read_bytes())
        evidence.seconds = time.monotonic() - self.began
        files = wanted({step.name: step.containers for step in evidence.steps})
        unwritten = {"report.md", "evidence.json"}
        told = {problem.where for problem in evidence.problems}
        due = {path: shape for path, shape in files.items() if path not in unwritten | told}
        evidence.problems += [Problem(path, fault) for path, fault in missing(due, self.folder.read).items()]
        there = {path: path in unwritten or self.folder.read(path) is not None for path in files}
        self.folder.write("report.md", render(self._template, evidence, there, KINDS, LOG_LINES_MAX))
        self.folder.write("evidence.json", {**evidence.as_json(), "complete": True})


def stamp() -> str:
    """The present time, RFC 3339, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
