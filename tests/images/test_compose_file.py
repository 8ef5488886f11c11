"""compose.yaml: what it must and must never hold, as compose itself reads it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TREE = Path(__file__).resolve().parents[2]
TEXT = (TREE / "compose.yaml").read_text(encoding="utf-8")
CODE = "\n".join(line.partition(" #")[0].rstrip() for line in TEXT.splitlines() if line.lstrip()[:1] != "#")


def config(**variables: str) -> str:
    """The file as this machine's compose resolves it, without a project name of its own."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, timeout=60, check=False)
    words = ["docker", "compose"] if plugin.returncode == 0 else ["docker-compose"]
    if words == ["docker-compose"] and not shutil.which("docker-compose"):
        pytest.fail("no compose on this machine: install docker-compose")
    environment = {name: value for name, value in os.environ.items() if not name.endswith(("_PORT", "_IMAGE"))}
    done = subprocess.run(
        [*words, "-p", "some-project", "config"],
        cwd=TREE,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "variable is not set" not in done.stderr
    return done.stdout


@pytest.mark.engine
def test_compose_reads_it_and_every_variable_has_a_default() -> None:
    text = config()
    for image in ("ha", "webapp", "collector"):
        assert f"image: logship/{image}:local" in text
    assert "BASE_IMAGE: debian:trixie-slim" in text


@pytest.mark.engine
def test_ports_images_and_base_image_can_be_moved() -> None:
    text = config(HTTP_PORT="18080", STATS_PORT="11936", LOGSHIP_IMAGES="mine", LOGSHIP_TAG="7", BASE_IMAGE="my/os:1")
    for word in ("18080", "11936", "mine/ha:7", "mine/webapp:7", "BASE_IMAGE: my/os:1"):
        assert word in text


@pytest.mark.parametrize(
    "word",
    ["docker.sock", "container_name:", "hostname:", "privileged:", "network_mode:", "depends_on:", "ipv4_address"],
)
def test_nothing_that_hinders_scaling_or_opens_the_host_is_there(word: str) -> None:
    assert word not in CODE


@pytest.mark.parametrize("key", ["version", "name"])
def test_no_top_level_key_that_one_compose_rejects_or_warns_of(key: str) -> None:
    assert not re.search(rf"^{key}:", TEXT, re.MULTILINE)


def test_only_traffic_is_published_beyond_this_machine() -> None:
    published = re.findall(r'^ +- "(.*)"$', CODE, re.MULTILINE)
    assert published == [
        "${HTTP_PORT:-80}:80",
        "127.0.0.1:${STATS_PORT:-1936}:1936",
        "127.0.0.1:${ADMIN_PORT:-9999}:9999",
        "127.0.0.1:${VIEWER_PORT:-8080}:8080",
    ]


def test_web_nodes_publish_nothing_or_they_could_not_be_many() -> None:
    webapp = CODE[CODE.index("\n  webapp:") : CODE.index("\n  collector:")]
    assert "ports:" not in webapp


def test_every_volume_that_is_used_is_declared() -> None:
    used = set(re.findall(r"^ +- ([a-z-]+):/", CODE, re.MULTILINE))
    declared = set(re.findall(r"^  ([a-z-]+):$", CODE[CODE.index("\nvolumes:") :], re.MULTILINE))
    assert used == declared == {"ha-spool", "ha-state", "webapp-spool", "collector-spool", "collector-store"}
