"""The run of ``make test``: set up what the tests need, then each stage with its time and its bound.

The last stage's closing line is pytest's own, so that whoever reads the output finds the count there.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

from logship.errors import Fault
from supervise.up.run import Machine, build, prepare, say

NO_TESTS = 5
"""pytest's exit status for a run that found none: a failure here."""

TOKEN = "LOGSHIP_TEST_RUN"
"""The variable by which tests/e2e/stack.py learns this run's part of the names of all it makes."""

E2E_PREFIX = "logship-e2e-"


@dataclass(frozen=True)
class Stage:
    """One program of .venv/bin with its words, the variables it gets and its bound in seconds."""

    name: str
    words: tuple[str, ...]
    seconds: int
    variables: Mapping[str, str]


LINT = (
    Stage("ruff check", ("ruff", "check", "."), 60, {}),
    Stage("ruff format", ("ruff", "format", "--check", "."), 60, {}),
    Stage("mypy", ("mypy",), 300, {}),
)
UNIT = Stage(
    "unit",
    ("pytest", "-n", "3", "--dist", "loadfile", "-m", "not engine and not long"),
    1800,
    {},
)
"""Three at a time on two cores: many a test waits."""
E2E = Stage("e2e", ("pytest", "-n", "3", "--dist", "loadfile", "-m", "engine and not long"), 2700, {})
"""Three at a time, whatever the machine: containers that start and stop are waited for more than they compute."""
LONG = Stage("long", ("pytest", "-v", "-n", "2", "--dist", "loadfile", "-m", "long or engine"), 3300, {"LONG": "1"})

STAGES: Mapping[str, tuple[Stage, ...]] = {
    "tools": (),
    "lint": LINT,
    "unit": (UNIT,),
    "e2e": (E2E,),
    "long": (LONG,),
    "test": (*LINT, UNIT, E2E),
}


def run(machine: Machine) -> int:
    """Set up, run every stage of the command even after one has failed, and return 1 if any has."""
    began = time.monotonic()
    request = machine.request
    found = prepare(machine)
    if "images" in request.needs:
        build(machine, found)
    if "engine" in request.needs:
        say(f"set-up: {time.monotonic() - began:.1f} s")
    token = secrets.token_hex(3)
    try:
        failed = [stage.name for stage in STAGES[request.command] if _run(machine, stage, token)]
    finally:
        if "engine" in request.needs:
            _sweep(machine, f"{E2E_PREFIX}{token}")
    if failed:
        raise Fault("pass", "the tests", f"failed: {', '.join(failed)}", "each says above what it found")
    return 0


def _run(machine: Machine, stage: Stage, token: str) -> int:
    program = str(machine.tree / ".venv" / "bin" / stage.words[0])
    arguments = machine.request.arguments if stage.words[0] == "pytest" else ()
    say(f"== {stage.name}: {' '.join(stage.words)}")
    began = time.monotonic()
    outcome = machine.shell.run(
        program,
        *stage.words[1:],
        *arguments,
        seconds=stage.seconds,
        environment={**stage.variables, TOKEN: token},
        live=True,
        folder=str(machine.tree),
    )
    if outcome.status == NO_TESTS and stage.words[0] == "pytest":
        say(f"== {stage.name}: no test was found, which counts as failed")
    elif outcome.status == 124:
        say(f"== {stage.name}: ended after its {stage.seconds} s")
    if outcome.status or stage.words[0] != "pytest" or stage is UNIT:
        verdict = "ok" if outcome.status == 0 else f"failed with status {outcome.status}"
        say(f"== {stage.name}: {verdict} in {time.monotonic() - began:.1f} s")
    return outcome.status


def _sweep(machine: Machine, prefix: str) -> None:
    """Remove what tests that were killed left behind: of this run alone, told by its token in project and name."""
    shell = machine.shell
    project = '{{.Label "com.docker.compose.project"}}'
    kinds = {
        ("ps", "-a", "--format", f"{{{{.ID}}}}\t{{{{.Names}}}}\t{project}"): ("rm", "-f", "-v"),
        ("network", "ls", "--format", f"{{{{.ID}}}}\t{{{{.Name}}}}\t{project}"): ("network", "rm"),
        ("volume", "ls", "--format", f"{{{{.Name}}}}\t{{{{.Name}}}}\t{project}"): ("volume", "rm"),
        ("images", "--format", "{{.Repository}}:{{.Tag}}\t{{.Repository}}\t"): ("image", "rm"),
    }
    for listing, remover in kinds.items():
        for line in shell.run("docker", *listing, seconds=30).text.splitlines():
            item, *names = line.split("\t")
            if any(name.startswith(prefix) for name in names):
                shell.run("docker", *remover, item, seconds=60)
