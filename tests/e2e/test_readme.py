"""README.md, typed line by line: every command in it is run, in its order, on a project of the test's own."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import NAMED, PREFIX, TREE, Stack, docker, run

pytestmark = pytest.mark.engine

ELSEWHERE = {".venv/bin/supervise evidence evidence": "test_evidence.py"}
"""Commands that a test of their own runs, because they take minutes."""

EXPECTED = {
    "make up NODES=3": r"all 5 containers are healthy",
    "make scale NODES=5": r"5 webapps healthy",
    "curl -s -c jar -b jar http://127.0.0.1/": r'"counter": 1\b',
    ".venv/bin/supervise ps": r"webapp/5 +healthy",
    ".venv/bin/supervise ctl status all": r"ha/1 +balance +RUNNING",
    ".venv/bin/supervise ctl restart webapp/1:webapp": r"webapp/1 +webapp +restarted",
    ".venv/bin/supervise ctl tail webapp:webapp -n 5": r'"path": "/"',
    ".venv/bin/logship logs -n 20": r"(?m)^.* (ha|webapp|collector)/\d+:\w+ \| ",
    ".venv/bin/logship logs ha:haproxy -n 5": r"ha/1:haproxy \| ",
    ".venv/bin/logship query 'kind:haproxy | p50,p99 t_active by server'": r"(?m)^SERVER +COUNT +P50 +P99$",
    ".venv/bin/logship stats haproxy": r"(?m)^SERVER +REQUESTS .*REDISPATCHED$",
    ".venv/bin/logship sources": r"(?m)^webapp/5:serf ",
    ".venv/bin/logship losses": r"^no loss is recorded\n$",
    ".venv/bin/supervise lb status": r"alive +up +L7OK",
    ".venv/bin/supervise lb history": r"applied +runtime .* join ",
    "make down": r"removed 7 containers",
    "make down VOLUMES=1": r"removed 0 containers, 0 networks, 5 volumes",
}
"""What a person sees for each command of the README; one that is not here is a fault of this test."""


def commands() -> list[str]:
    """The lines of the README's shell blocks."""
    blocks = re.findall(
        r"^```sh\n(.*?)^```", (TREE / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A project whose containers, volumes and images are gone afterwards."""
    stack = Stack(project=f"{PREFIX}readme{secrets.token_hex(3)}")
    try:
        yield stack
    finally:
        stack.remove()
        for image in docker("images", "--format", NAMED, "--filter", f"reference={stack.project}/*").split():
            docker("image", "rm", image, check=False)


def typed(stack: Stack, command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command as it stands in the README, but for the project's name and ports."""
    command = command.replace("http://127.0.0.1/", f"http://127.0.0.1:{stack.ports['HTTP_PORT']}/")
    environment = {
        **{name: str(port) for name, port in stack.ports.items()},
        "PROJECT": stack.project,
        "SUPERVISE_PROJECT": stack.project,
        "PYTHON": sys.executable,
        "LOGSHIP_URL": f"http://127.0.0.1:{stack.ports['VIEWER_PORT']}",
        "LOGSHIP_IMAGES": "",
        "LOGSHIP_TAG": "",
        "MAKEFLAGS": "",
        "MAKELEVEL": "0",
    }
    place = folder if command.startswith("curl") else TREE
    return run("sh", "-c", f"cd '{place}' && {command}", timeout=300, check=False, environment=environment)


def test_every_command_of_the_readme_does_what_it_says(stack: Stack, tmp_path: Path) -> None:
    found = commands()
    assert set(found) == {*EXPECTED, *ELSEWHERE}
    assert all((Path(__file__).parent / name).exists() for name in ELSEWHERE.values())
    for command in found:
        if command in EXPECTED:
            result = typed(stack, command, tmp_path)
            assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
            shown = result.stdout or result.stderr
            assert re.search(EXPECTED[command], shown), f"{command}\n{shown}"
