"""The command behind make, run as make runs it: with whatever environment there is."""

from __future__ import annotations

import ast
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from supervise.up.cli import COMMANDS
from supervise.up.request import NEEDS, VARIABLES, request_of
from supervise.up.run import next_steps
from supervise.up.stages import STAGES
from tests.ports import free_port

TREE = Path(__file__).resolve().parent.parent.parent.parent
UP = TREE / "supervise" / "up"


def supervise_up(*words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command with this environment and nothing else; one that hangs is a failure."""
    return subprocess.run(
        [sys.executable, "-m", "supervise.up", *words],
        cwd=TREE,
        env=environment or {},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def free_ports() -> dict[str, str]:
    """Variables that move the ports away from whatever runs here."""
    names = ("HTTP_PORT", "STATS_PORT", "ADMIN_PORT", "VIEWER_PORT")
    numbers: set[int] = set()
    while len(numbers) < len(names):
        numbers.add(free_port())
    return dict(zip(names, map(str, numbers), strict=True))


@pytest.mark.skipif("Debian" not in Path("/etc/os-release").read_text(), reason="the plan of a Debian machine")
def test_the_plan_of_a_bare_machine_is_printed_under_an_empty_path() -> None:
    """With no PATH nothing is found, so this is what a machine with only Python would be told."""
    result = supervise_up("up", "--plan", environment=free_ports())
    text = result.stdout
    assert text.startswith("plan: make up would do this; nothing is done now\n")
    assert "docker.io" in text
    assert "docker-compose" in text
    assert "no docker command is found" in text
    if "it would stop here" in text:  # not root: the plan ends with the one sentence
        assert result.returncode == 1
        assert "sudo apt-get install" in text
    else:
        assert result.returncode == 0, result.stderr
        topics = re.findall(r"^ *\d+ ([a-z ]+):", text, re.MULTILINE)
        assert topics[:2] == ["engine", "engine"]
        there = [topic for topic in topics if topic != "wheels"]  # this checkout may have them already
        assert there[-3:] == ["base image", "images", "stack"]


def test_with_docker_host_set_nothing_would_be_installed() -> None:
    result = supervise_up("up", "--plan", environment={**free_ports(), "DOCKER_HOST": "tcp://127.0.0.1:1"})
    assert result.returncode == 1
    assert "nothing is installed while DOCKER_HOST=tcp://127.0.0.1:1 is set" in result.stdout


@pytest.mark.parametrize("command", ["up", "scale", "down"])
def test_an_engine_that_does_not_answer_is_one_error_in_time(command: str) -> None:
    if not shutil.which("docker"):
        pytest.skip("no docker command on this machine")
    environment = {**free_ports(), "PATH": "/usr/local/bin:/usr/bin:/bin", "DOCKER_HOST": "tcp://127.0.0.1:1"}
    result = supervise_up(command, environment={**environment, "NODES": "3", "PROJECT": "logship-none"})
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"make {command}: cannot reach the Docker engine")
    assert "DOCKER_HOST=tcp://127.0.0.1:1" in result.stderr


@pytest.mark.parametrize(
    ("command", "environment", "said"),
    [
        ("up", {"NODES": "abc"}, "NODES=abc"),
        ("up", {"MAKEFLAGS": " -- NODE=3"}, "did you mean NODES="),
        ("scale", {}, "make scale NODES=5"),
        ("down", {"VOLUMES": "all"}, "VOLUMES=all"),
        ("test", {"PLAN": "maybe"}, "PLAN=maybe"),
    ],
)
def test_bad_input_is_a_usage_error_before_anything_is_done(
    command: str, environment: dict[str, str], said: str
) -> None:
    result = supervise_up(command, environment=environment)
    assert result.returncode == 2
    assert result.stdout == ""
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_held_port_stops_the_plan_with_the_holders_name() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        result = supervise_up("up", "--plan", environment={**free_ports(), "STATS_PORT": str(port)})
    assert result.returncode == 1
    assert f"{port} is held by " in result.stdout
    assert f"(pid {os.getpid()})" in result.stdout
    assert "STATS_PORT=" in result.stdout


def test_it_runs_with_the_standard_library_alone() -> None:
    """Before anything is installed there is nothing else; -I -S takes site-packages away."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); from supervise.up.cli import main; main(['up', '--help'], {})"
    words = [sys.executable, "-I", "-S", "-c", code, str(TREE)]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for path in UP.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                first = name.partition(".")[0]
                assert first in sys.stdlib_module_names or name.startswith(("supervise.up", "logship.errors")), path


def test_every_command_has_its_needs_and_every_stage_its_bound() -> None:
    assert set(COMMANDS) == set(NEEDS)
    assert set(STAGES) == {"tools", "lint", "unit", "e2e", "long", "test"}
    assert sum(stage.seconds for stage in STAGES["long"]) < 3600
    assert all(stage.seconds > 0 for stages in STAGES.values() for stage in stages)


def test_make_offers_every_command_with_a_line_of_help_and_names_only_known_variables() -> None:
    makefile = (TREE / "Makefile").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^([a-z0-9-]+):.*## (.*)$", makefile, re.MULTILINE))
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == set(listed)
    assert set(re.findall(r"\$\(UP\) ([a-z0-9]+)$", makefile, re.MULTILINE)) == set(COMMANDS)
    assert set(re.findall(r"\b([A-Z_]{3,})=", " ".join(listed.values()))) <= VARIABLES


def test_the_install_document_names_every_variable() -> None:
    text = (TREE / "docs" / "install.md").read_text(encoding="utf-8")
    assert [name for name in sorted(VARIABLES) if f"`{name}`" not in text] == []


def test_what_comes_next_is_typed_for_this_stack_alone() -> None:
    assert next_steps(request_of("up", {})) == [
        ".venv/bin/supervise ps",
        ".venv/bin/logship logs -f",
        "make scale NODES=5",
        "make down",
    ]
    assert next_steps(request_of("up", {"PROJECT": "other", "VIEWER_PORT": "18080", "NODES": "1"})) == [
        "SUPERVISE_PROJECT=other .venv/bin/supervise ps",
        "LOGSHIP_URL=http://127.0.0.1:18080 .venv/bin/logship logs -f",
        "make scale NODES=4 PROJECT=other",
        "make down PROJECT=other",
    ]


@pytest.mark.parametrize(
    ("variables", "images"),
    [([], "logship"), (["PROJECT=x"], "x"), (["LOGSHIP_IMAGES=y"], "y"), (["PROJECT=x", "LOGSHIP_IMAGES=y"], "y")],
)
def test_a_benchmark_measures_the_images_that_it_had_built(variables: list[str], images: str) -> None:
    environment = {"PATH": os.environ["PATH"]}
    words = ["make", "-n", "bench-capture", *variables]
    said = subprocess.run(words, cwd=TREE, env=environment, capture_output=True, text=True, check=True).stdout
    assert f"LOGSHIP_IMAGES={images} .venv/bin/python -m bench.capture" in said
