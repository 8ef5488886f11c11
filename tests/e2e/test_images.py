"""The four images: what is in them, what is not, and what a container of each does on its own."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from supervise.evidence.values import layers_of
from supervise.up.plan import OS_IMAGE, SLIM_IMAGE
from tests.e2e.stack import PREFIX, TREE, address, docker, eventually, get, inspect, run

pytestmark = pytest.mark.engine

IMAGES = ("base", "ha", "webapp", "collector")
MEGABYTES_MAX = {"base": 140, "ha": 165, "webapp": 165, "collector": 275}


def name_of(image: str) -> str:
    """The image's name, as in compose.yaml."""
    return f"{os.environ.get('LOGSHIP_IMAGES') or 'logship'}/{image}:{os.environ.get('LOGSHIP_TAG') or 'local'}"


def inside(image: str, *words: str) -> str:
    """What a command says in a fresh container of the image, in place of PID 1."""
    return docker("run", "--rm", "--network=none", "--entrypoint", words[0], name_of(image), *words[1:])


@contextlib.contextmanager
def container(image: str, *options: str) -> Iterator[str]:
    """A running container, gone when the block ends."""
    name = f"{PREFIX}{secrets.token_hex(3)}"
    docker("run", "-d", "--name", name, *options, name_of(image))
    try:
        yield name
    finally:
        docker("rm", "-f", "-v", name, check=False)


def programs_of(name: str) -> list[dict[str, Any]]:
    """The programs in the container's state.json."""
    found: list[dict[str, Any]] = json.loads(docker("exec", name, "cat", "/run/supervise/state.json"))["programs"]
    return found


def base_image() -> str:
    """What the images were built from, as `make up` chooses it."""
    if os.environ.get("BASE_IMAGE"):
        return os.environ["BASE_IMAGE"]
    there = [name for name in (OS_IMAGE, SLIM_IMAGE) if docker("image", "inspect", "-f", "{{.Id}}", name, check=False)]
    assert there, f"neither {OS_IMAGE} nor {SLIM_IMAGE} is there: make images"
    return there[0]


@pytest.mark.parametrize("image", IMAGES)
def test_the_image_is_small_and_its_size_is_told(image: str) -> None:
    megabytes = int(docker("image", "inspect", "-f", "{{.Size}}", name_of(image))) / 1e6
    print(f"{name_of(image)}: {megabytes:.0f} MB")
    assert megabytes < MEGABYTES_MAX[image]


def test_the_sizes_that_the_lab_report_tells_are_those_of_the_images() -> None:
    """docs/lab.md: within 15 %, small layers within 40 %, since packages and code grow and machines differ."""
    histories = {}
    for image in ("ha", "webapp", "collector"):
        told = docker("history", "--no-trunc", "--human=false", "--format", "{{json .}}", name_of(image))
        histories[image] = [json.loads(line) for line in told.splitlines()]
    layers = layers_of(histories)
    text = (TREE / "docs/lab.md").read_text().partition("Our three images, in real numbers")[2].partition("\n**")[0]
    rows = [(float(size), where) for size, where in re.findall(r"^\| .+ \| ([\d.]+) MB \| (.+) \|$", text, re.M)]

    def near(size: float, layer: dict[str, Any]) -> bool:
        return size == pytest.approx(layer["bytes"] / 1e6, rel=0.15 if size >= 10 else 0.4)

    for layer in (layer for layer in layers if layer["bytes"] >= 1e6):
        names = layer["images"]
        words = {"all"} if len(names) == len(histories) else {", ".join(names), ", ".join(reversed(names)), "each"}
        assert any(where in words and near(size, layer) for size, where in rows), layer
    for size, where in rows:
        assert any(near(size, layer) for layer in layers), f"no layer in {where} has {size} MB"
    together, apart = map(float, re.findall(r"(?:On disk that is|would be) (\d+) MB", text))
    assert together == pytest.approx(sum(layer["bytes"] for layer in layers) / 1e6, rel=0.15)
    assert apart == pytest.approx(sum(layer["bytes"] * len(layer["images"]) for layer in layers) / 1e6, rel=0.15)


def test_all_images_share_the_layers_of_the_common_packages() -> None:
    layers = [json.loads(docker("image", "inspect", "-f", "{{json .RootFS.Layers}}", name_of(i))) for i in IMAGES]
    shared = sum(1 for _ in itertools.takewhile(lambda alike: len(set(alike)) == 1, zip(*layers, strict=False)))
    assert shared >= 3, "at least the base image, the packages and the accounts"
    assert len(layers[0]) - shared <= 2, "the base image adds its code and its declaration alone"


def test_supervisorctl_finds_its_supervisord_by_itself() -> None:
    with container("base") as name:
        eventually("PID 1 is there", lambda: docker("exec", name, "ls", "/run/supervise/state.json", check=False) != "")
        programs = {program["name"] for program in programs_of(name)}
        said = docker("exec", name, "supervisorctl", "status", check=False)  # 3 while one is not running
        assert programs
        assert {line.split()[0] for line in said.splitlines()} == programs, said


@pytest.mark.parametrize("image", IMAGES)
def test_no_caches_lists_or_logs_of_the_installation_are_left(image: str) -> None:
    folders = ("/var/cache/apt", "/var/lib/apt/lists", "/var/log/apt", "/tmp", "/src", "/root/.cache")
    script = f"find {' '.join(folders)} -type f -size +0 2>/dev/null; true"
    assert inside(image, "/bin/sh", "-c", script) == ""


@pytest.mark.parametrize("image", IMAGES)
def test_an_isolated_python_finds_both_packages_and_their_compiled_code(image: str) -> None:
    script = (
        "import importlib.util, pathlib, logship.commands, supervise.cli\n"
        "for module in (logship.commands, supervise.cli):\n"
        "    assert module.__file__.startswith('/opt/logship/'), module.__file__\n"
        "    assert pathlib.Path(importlib.util.cache_from_source(module.__file__)).is_file(), module.__file__\n"
        "print('found')"
    )
    assert inside(image, "/usr/bin/python3", "-I", "-c", script) == "found"


@pytest.mark.parametrize("image", IMAGES)
def test_both_commands_answer_from_any_folder_and_for_any_user(image: str) -> None:
    options = ("--rm", "--network=none", "-w", "/tmp", "-u", "3000", "-e", "PYTHONPATH=/nowhere", "-e", "PYTHONHOME=/x")
    for command in ("supervise", "logship"):
        said = docker("run", *options, "--entrypoint", f"/usr/local/bin/{command}", name_of(image), "--version")
        assert said.startswith(f"{command} ")


@pytest.mark.parametrize("image", IMAGES)
def test_accounts_have_the_same_ids_in_every_image(image: str) -> None:
    assert inside(image, "/bin/sh", "-c", "id -u webapp; id -g webapp; id -u serf; id -g serf").split() == [
        "3000", "3000", "7946", "7946",
    ]  # fmt: skip


@pytest.mark.parametrize("image", IMAGES)
def test_the_image_says_what_it_is_and_how_it_stops(image: str) -> None:
    config = json.loads(docker("image", "inspect", "-f", "{{json .Config}}", name_of(image)))
    assert config["Labels"]["org.opencontainers.image.title"] == f"logship/{image}"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Entrypoint"] == ["/usr/local/bin/supervise", "init"]
    assert config["Healthcheck"]["Interval"] == 2_000_000_000


def test_the_configuration_that_haproxy_starts_with_is_valid_and_has_no_servers() -> None:
    """HAProxy must be able to start before anybody has told it a member."""
    text = inside("ha", "/bin/sh", "-c", "haproxy -c -q -f /etc/haproxy/haproxy.cfg && cat /etc/haproxy/haproxy.cfg")
    assert not [line for line in text.splitlines() if line.strip().startswith("server ")]
    assert "monitor-uri /health" in text


@pytest.mark.parametrize(
    ("prepare", "status", "said"),
    [
        ("true", 1, "missing or older than a minute"),
        ("""echo '{"healthy": true}' > $S; touch -d '-61 seconds' $S""", 1, "missing or older than a minute"),
        ("""echo '{"healthy": false}' > $S""", 1, 'not healthy: {"healthy": false}'),
        ("""printf '{\\n "healthy": true\\n}\\n' > $S; touch -d '-50 seconds' $S""", 0, ""),
    ],
)
def test_the_health_check_asks_for_a_young_and_healthy_snapshot(prepare: str, status: int, said: str) -> None:
    script = f"S=/run/supervise/state.json; {prepare}; /usr/local/bin/healthy; echo $?"
    lines = inside("base", "/bin/sh", "-c", script).splitlines()
    assert lines[-1] == str(status)
    assert said in "".join(lines[:-1])


def test_a_web_node_alone_serves_as_its_own_user_under_supervise_and_stops_in_order() -> None:
    with container("webapp") as name:
        there = address(name)
        answer = eventually("it answers", lambda: answered(there))
        assert answer == inspect(name)["Config"]["Hostname"]
        eventually("it is healthy", lambda: inspect(name)["State"]["Health"]["Status"] == "healthy")
        first = docker("exec", name, "cat", "/proc/1/cmdline").split("\0")
        assert "supervise" in " ".join(first), first
        owners = {}
        for program in programs_of(name):
            owners[program["name"]] = docker("exec", name, "stat", "-c", "%u", f"/proc/{program['pid']}")
        assert owners == {"ship": "0", "spool": "0", "webapp": "3000", "serf": "7946"}
        began = time.monotonic()
        docker("stop", name)
        print(f"docker stop of a lone web node: {time.monotonic() - began:.1f} s")
        assert inspect(name)["State"]["ExitCode"] == 0


def test_nobody_who_talks_to_the_network_in_the_collector_is_root() -> None:
    with container("collector") as name:
        eventually("it is healthy", lambda: inspect(name)["State"]["Health"]["Status"] == "healthy")
        owners = {}
        for program in programs_of(name):
            owners[program["name"]] = docker("exec", name, "stat", "-c", "%u", f"/proc/{program['pid']}")
        own = dict.fromkeys(("collect", "view", "audit", "seal"), "4437")
        assert owners == {"ship": "0", "spool": "0", **own}
        assert docker("exec", name, "stat", "-c", "%U", "/var/lib/logship/store/journal") == "logship"


@pytest.mark.case(110)
def test_an_idle_web_node_with_a_key_falls_silent(tmp_path: Path) -> None:
    """Checks of readiness and health leave no lines behind; the key comes from a file that Serf's user may read."""
    key = tmp_path / "key"
    key.write_text(inside("webapp", "/usr/bin/serf", "keygen") + "\n", encoding="utf-8")
    key.chmod(0o644)
    options = ("-v", f"{key}:/run/secrets/serf:ro", "-e", "SERF_KEY_FILE=/run/secrets/serf", "-e", "SERF_JOIN=")
    with container("webapp", *options) as name:
        eventually("it is healthy", lambda: inspect(name)["State"]["Health"]["Status"] == "healthy")
        eventually("gossip is encrypted", lambda: "Encrypted: true" in run("docker", "logs", name).stdout)
        before = lines_of(name)
        began = inspect(name)["State"]["Health"]["Log"][-1]["Start"]
        eventually("two questions to each program later", lambda: later(name, began, 12.0))
        assert lines_of(name) == before


def lines_of(name: str) -> list[str]:
    """The lines of the programs, without PID 1's own, which tells a snapshot now and then."""
    lines = run("docker", "logs", name).stdout.splitlines()
    return [line for line in lines if line.split(" ", 1)[0] in ("serf", "webapp", "spool")]


def later(name: str, since: str, seconds: float) -> bool:
    """The newest health check began so many seconds after ``since``."""
    newest = inspect(name)["State"]["Health"]["Log"][-1]["Start"]
    stamps = [datetime.fromisoformat(re.sub(r"\.\d+", "", text)) for text in (since, newest)]
    return (stamps[1] - stamps[0]).total_seconds() >= seconds


def answered(host: str) -> str:
    """The host name that the web node tells; empty while it does not answer."""
    try:
        return get(host, 3000).host
    except OSError:
        return ""


def test_a_bad_setting_is_told_in_the_log_and_the_container_is_not_healthy() -> None:
    with container("webapp", "-e", "WEIGHT=heavy") as name:
        wanted = "WEIGHT is heavy, not a whole number from 1 to 256"
        eventually("the log tells", lambda: wanted in run("docker", "logs", name).stdout)
        assert inspect(name)["State"]["Health"]["Status"] != "healthy"


def test_windows_line_ends_fail_the_build_with_the_file_and_the_remedy(tmp_path: Path) -> None:
    for folder in ("supervise", "logship", "templates", "images"):
        shutil.copytree(TREE / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    broken = tmp_path / "images" / "webapp" / "supervise.toml"
    broken.write_bytes(broken.read_bytes().replace(b"\n", b"\r\n"))
    words = ["-f", str(tmp_path / "images" / "Dockerfile"), "--build-arg", f"BASE_IMAGE={base_image()}"]
    done = run("docker", "build", "--force-rm", *words, "--target", "code", str(tmp_path), check=False, timeout=600)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "/src/images/webapp/supervise.toml" in said
    assert "Windows line ends (CRLF). Remedy: git config core.autocrlf false" in said
