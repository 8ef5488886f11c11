"""make up, scale and down, typed as a person types them, for a project of their own at free ports."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.request import urlopen

import pytest

from supervise.up import base
from supervise.up.shell import Shell
from tests.e2e.stack import NAMED, PORTS, PREFIX, Stack, docker, free_ports, run

pytestmark = pytest.mark.engine


class Typed:
    """What a person types at this project, and what they see."""

    def __init__(self) -> None:
        self.stack = Stack(project=f"{PREFIX}up{secrets.token_hex(3)}")
        self.images = f"{self.stack.project}/"
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.stack.ports = ports
        self.variables = [f"PROJECT={self.stack.project}", *(f"{name}={port}" for name, port in ports.items())]

    def make(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run make; the test's own LOGSHIP_IMAGES would name the images of the other tests."""
        environment = {"LOGSHIP_IMAGES": "", "LOGSHIP_TAG": "", "MAKEFLAGS": "", "MAKELEVEL": "0"}
        words = (*words, *self.variables, f"PYTHON={sys.executable}")
        return run("make", *words, timeout=240, check=check, environment=environment)

    def left(self) -> dict[str, list[str]]:
        """Everything of the project that the engine knows."""
        label = f"label=com.docker.compose.project={self.stack.project}"
        listings = {
            "containers": ("ps", "-aq", "--filter", label),
            "networks": ("network", "ls", "-q", "--filter", label),
            "volumes": ("volume", "ls", "-q", "--filter", label),
            "images": ("images", "--format", NAMED, "--filter", f"reference={self.images}*"),
        }
        return {kind: docker(*words).split() for kind, words in listings.items()}


@pytest.fixture(scope="module")
def typed() -> Iterator[Typed]:
    """The project, removed with its images whatever happens."""
    typed = Typed()
    try:
        yield typed
    finally:
        typed.stack.remove()
        for image in typed.left()["images"]:
            docker("image", "rm", image, check=False)


def test_a_fleet_comes_up_grows_and_goes_without_a_trace(typed: Typed) -> None:
    """One test, because each command continues where the one before it ended."""
    text = typed.make("up", "NODES=2").stdout
    assert re.search(r"^stack: all 4 containers are healthy", text, re.MULTILINE), text
    assert re.search(r"^stack: webapp/2 healthy \(", text, re.MULTILINE), text
    assert f"http://127.0.0.1:{typed.stack.ports['STATS_PORT']}" in text
    assert re.search(r"^images: \S+/base:local \d+ MB, .*webapp:local \d+ MB$", text, re.MULTILINE), text
    assert f"make scale NODES=5 PROJECT={typed.stack.project}" in text
    assert f"LOGSHIP_URL=http://127.0.0.1:{typed.stack.ports['VIEWER_PORT']} .venv/bin/logship logs -f" in text
    with urlopen(f"http://127.0.0.1:{typed.stack.ports['HTTP_PORT']}/", timeout=5) as answer:
        assert answer.status == 200
    first = typed.left()

    began = time.monotonic()
    text = typed.make("up", "NODES=2").stdout
    print(f"second make up: {time.monotonic() - began:.1f} s")
    assert "are this project's own already" in text
    assert typed.left() == first, "the second run has nothing to do"

    typed.variables = [word for word in typed.variables if "_PORT" not in word]  # scale needs to know no port
    text = typed.make("scale", "NODES=3").stdout
    assert "webapp 2 -> 3" in text
    assert "3 webapps healthy" in text
    assert set(first["containers"]) < set(typed.left()["containers"]), "those that were there are the same"

    scaled = typed.left()["containers"]
    typed.variables += [f"{name}={port}" for name, port in typed.stack.ports.items()]
    typed.make("up", "NODES=3")
    assert typed.left()["containers"] == scaled, "make up after make scale replaces nobody: that would be an outage"

    text = typed.make("down").stdout
    assert "removed 5 containers, 1 network, 0 volumes" in text
    left = typed.left()
    assert (left["containers"], left["networks"]) == ([], [])
    assert left["volumes"] == first["volumes"]

    text = typed.make("down", "VOLUMES=1").stdout
    assert f"{len(first['volumes'])} volumes" in text
    assert typed.left() == {"containers": [], "networks": [], "volumes": [], "images": []}
    assert "kept the base image" in text


def test_scaling_what_is_not_up_is_one_error(typed: Typed) -> None:
    result = typed.make("scale", "NODES=3", check=False)
    assert result.returncode != 0
    assert "the stack is not up" in result.stderr
    assert "make up NODES=3" in result.stderr
    assert typed.left()["containers"] == []


def test_taking_down_what_is_not_up_is_fine(typed: Typed) -> None:
    assert "removed 0 containers" in typed.make("down").stdout


def test_bad_input_changes_nothing(typed: Typed) -> None:
    for words in (("up", "NODES=abc"), ("up", "NODE=3"), ("scale",), ("down", "VOLUMES=maybe")):
        result = typed.make(*words, check=False)
        assert "Error 2" in result.stderr, words
        assert result.stdout == "", words
    assert typed.left() == {"containers": [], "networks": [], "volumes": [], "images": []}


def test_a_registry_that_cannot_be_had_says_so_in_time() -> None:
    began = time.monotonic()
    outcome = base.pull(Shell(os.environ), "registry.invalid/logship/none:1")
    assert outcome.status != 0
    assert outcome.last
    assert time.monotonic() - began < base.PULL_SECONDS + 30


@pytest.mark.long
def test_the_base_image_is_made_here_where_no_registry_has_it() -> None:
    """Debian 13, small, with a command to start, and with the options that keep later installations small."""
    if os.geteuid() or not shutil.which("mmdebstrap"):
        pytest.skip("needs root and mmdebstrap, which make up installs where it needs it")
    name = f"{PREFIX}{secrets.token_hex(3)}-os:trixie"
    try:
        base.make(Shell(os.environ), name, "")
        assert docker("run", "--rm", "--network=none", name, "cat", "/etc/debian_version").startswith("13")
        assert docker("inspect", "-f", "{{json .Config.Cmd}}", name) == '["bash"]'
        assert int(docker("inspect", "-f", "{{.Size}}", name)) < 100_000_000
        assert "path-exclude" in docker("run", "--rm", "--network=none", name, "sh", "-c", "cat /etc/dpkg/dpkg.cfg.d/*")
    finally:
        docker("image", "rm", "-f", name, check=False)
