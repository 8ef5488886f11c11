"""The fleet as one thing: which containers there are, what they say, and doing a verb in many of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Protocol

from logship.errors import Fault
from supervise.fleet.container import Container
from supervise.fleet.fanout import at_once
from supervise.fleet.output import ExecResult
from supervise.fleet.result import TIMED_OUT, USAGE, Result, result_from
from supervise.fleet.select import Choice, Member, select
from supervise.fleet.snapshot import STATE_BYTES_MAX, View, view

GRACE_SECONDS = 15
"""How much longer than its own limit a verb in a container may take before it counts as hung: the start of Python."""

Clock = Callable[[], float]


class Stream(Protocol):
    """The running output of a command (``output.ExecStream``, or a test's)."""

    def __iter__(self) -> Iterator[tuple[int, bytes]]: ...

    def status(self) -> int: ...

    def close(self) -> None: ...


class Asked(Protocol):
    """What the fleet needs of an engine (``engine.Engine``, or a test's)."""

    def containers(self, project: str, include_stopped: bool = False) -> list[Container]: ...

    def projects(self) -> list[str]: ...

    def read_file(self, container: Container, path: str, bytes_max: int) -> bytes | None: ...

    def exec(self, container: Container, argv: Sequence[str], timeout_seconds: float) -> ExecResult: ...

    def exec_stream(self, container: Container, argv: Sequence[str]) -> Stream: ...


class Fleet:
    """The containers of a compose project. ``run_dir`` is the folder of PID 1 in them, ``clock`` seconds since 1970."""

    def __init__(self, engine: Asked, project: str, run_dir: PurePosixPath, clock: Clock) -> None:
        self.engine = engine
        self.project = project
        self.run_dir = run_dir
        self.clock = clock

    def views(self) -> list[View]:
        """Every container of the project, stopped ones too, each as it says of itself; all are asked at once."""
        containers = self.engine.containers(self.project, include_stopped=True)
        answers = iter(at_once(self._state, [item for item in containers if item.is_running]))
        return [view(item, next(answers) if item.is_running else None, self.clock()) for item in containers]

    def _state(self, container: Container) -> bytes | None:
        return self.engine.read_file(container, str(self.run_dir / "state.json"), STATE_BYTES_MAX)

    def absence(self) -> Fault:
        """Says that the project has no containers, and which projects have."""
        others = ", ".join(self.engine.projects()) or "none"
        hint = f"projects with containers: {others}; choose one by --project, or start this one: make up"
        return Fault("find", f"the compose project {self.project}", "it has no containers", hint)

    def do(self, verb: str, choices: Sequence[Choice], timeout_seconds: float, wait: bool) -> list[Result]:
        """Do the verb in all containers at once, one exec a container; a Result a program, whatever happens."""

        def one(choice: Choice) -> list[Result]:
            argv = ["supervise", "ctl", "--local", "--run-dir", str(self.run_dir), verb, *choice.programs]
            argv += ["-o", "json", "--timeout", f"{timeout_seconds:g}", *([] if wait else ["--no-wait"])]
            answer = self.engine.exec(choice.container, argv, timeout_seconds + GRACE_SECONDS)
            return _results(choice, verb, answer)

        able = [choice for choice in choices if choice.container.is_running and choice.programs]
        answers = dict(zip((choice.container.id for choice in able), at_once(one, able), strict=True))
        results: list[Result] = []
        for choice in choices:
            answer = answers.get(choice.container.id)
            if isinstance(answer, list):
                results += answer
            else:
                results += _lost(choice, verb, answer)
        return results


def members(views: Sequence[View], extra: Sequence[str] = ()) -> list[Member]:
    """The views as ``select`` wants them; ``extra`` names that every container has besides its programs."""
    return [
        Member(item.container, (*(p.name for p in item.snapshot.programs), *extra) if item.snapshot else None)
        for item in views
    ]


def pick(views: Sequence[View], targets: Sequence[str]) -> list[tuple[View, Sequence[str]]]:
    """The views that the TARGETs select, each with the names of its selected programs."""
    choices = {choice.container.id: choice for choice in select(targets, members(views))}
    return [(view, choices[view.container.id].programs) for view in views if view.container.id in choices]


def _results(choice: Choice, verb: str, answer: ExecResult) -> list[Result]:
    """What the in-container side wrote, and a failure for each program it did not speak of."""
    label = choice.container.label
    results: list[Result] = []
    try:
        results = [result_from(line, label) for line in _objects(answer.stdout)]
        why = _last_line(answer.stderr) or f"the command in the container ended with status {answer.status}"
    except ValueError as error:
        why = _last_line(answer.stderr) or _last_line(answer.stdout) or str(error)
    said = {result.program for result in results}
    word = "failed" if answer.status in (1, USAGE) else "unreachable"
    return results + [Result(label, name, verb, word, why) for name in choice.programs if name not in said]


def _lost(choice: Choice, verb: str, fault: Fault | None) -> list[Result]:
    """Rows for a container in which nothing could be done."""
    word = "timeout" if fault and fault.status == TIMED_OUT else "unreachable"
    if fault:
        why = fault.cause
    elif not choice.container.is_running:
        why = f"the container is not running: {(choice.container.status or choice.container.state).lower()}"
    else:
        why = "the container does not say which programs it has; name them"
    return [Result(choice.container.label, name, verb, word, why) for name in choice.programs or ("",)]


def _objects(stdout: bytes) -> list[Mapping[str, Any]]:
    found = [json.loads(line) for line in stdout.splitlines() if line.strip()]
    if not all(isinstance(item, dict) for item in found):
        raise ValueError("not JSON objects")
    return found


def _last_line(output: bytes) -> str:
    lines = [line for line in output.decode(errors="replace").splitlines() if line.strip()]
    said = [line for line in lines if not line.lstrip().startswith("hint:")]
    return (said or lines or [""])[-1].strip()[:300]
