"""`logship doctor` in real containers: ours pass, bad ones are found out, and what it writes HAProxy takes."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import compose_v2
from tests.e2e.stack import PREFIX, TREE, Stack, docker, eventually, run
from tests.logship.audit.doctor_example import done
from tests.logship.audit.test_doctor_haproxy import EXAMPLES

pytestmark = pytest.mark.engine

Start = Callable[..., str]

BAD_SUPERVISORD = """\
[supervisord]
nodaemon=true
logfile=/dev/stdout
logfile_maxbytes=0
pidfile=/run/supervisord.pid

[program:haproxy]
command=/usr/sbin/haproxy -W -f /etc/bad/haproxy.cfg
stdout_logfile=/dev/fd/1
redirect_stderr=true

[program:one]
command=/bin/sh -c "while sleep 1; do echo one; done"
stdout_logfile=/tmp/both.log
redirect_stderr=true
"""
BAD_HAPROXY = """\
global
    log 127.0.0.1:514 local0 notice
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
    option httplog
    log global
frontend web
    bind :80
    option dontlog-normal
"""
BAD_ROTATION = "/tmp/both.log {\n    daily\n    rotate 2\n    copytruncate\n}\n"


def image(name: str) -> str:
    """An image as compose.yaml calls it."""
    return f"{os.environ.get('LOGSHIP_IMAGES', 'logship')}/{name}:{os.environ.get('LOGSHIP_TAG', 'local')}"


def doctor(container: str, *words: str) -> tuple[int, list[dict[str, Any]], str]:
    """Exit status, findings, and what was said beside them."""
    result = run("docker", "exec", container, "logship", "doctor", "-o", "json", *words, check=False)
    return result.returncode, [json.loads(line) for line in result.stdout.splitlines()], result.stderr


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts throwaway containers, and removes them."""
    names: list[str] = []

    def begin(*words: str) -> str:
        names.append(f"{PREFIX}doctor-{secrets.token_hex(3)}")
        docker("run", "-d", "--name", names[-1], *words)
        return names[-1]

    yield begin
    for name in names:
        docker("rm", "-f", "-v", name, check=False)


def test_every_container_of_the_stack_passes(stack: Stack) -> None:
    for service in ("ha", "webapp", "collector"):
        for container in stack.ids(service):
            assert doctor(container) == (0, [], ""), service


@pytest.mark.long
def test_our_compose_file_and_declarations_pass_together(tmp_path: Path) -> None:
    try:
        compose = compose_v2.fetch(Path(os.environ.get("COMPOSE_V2_FOLDER") or tmp_path))
    except compose_v2.Unavailable as reason:
        pytest.skip(f"compose version 2, which alone prints JSON: {reason}")
    resolved = run(str(compose), "-p", "doctor", "config", "--format", "json").stdout
    declarations = [str(path) for path in sorted((TREE / "images").glob("*/supervise.toml"))]
    words = [str(TREE / ".venv/bin/logship"), "doctor", "-", *declarations]
    result = subprocess.run(words, input=resolved, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr


def test_a_container_without_a_volume_is_told_that_its_spool_goes_with_it(start: Start) -> None:
    name = start(image("base"))
    eventually("PID 1 made a spool", lambda: docker("exec", name, "sh", "-c", "ls /run/supervise/spool/", check=False))
    status, found, _ = doctor(name)
    assert (status, [item["lint"] for item in found]) == (1, ["container-spool-disk"])
    assert found[0]["file"].startswith("/var/spool/logship/")


def test_too_long_an_outage_is_found_in_what_the_container_really_wrote(start: Start) -> None:
    name = start("-v", "/var/spool/logship", image("base"))
    eventually("PID 1 made a spool", lambda: docker("exec", name, "sh", "-c", "ls /run/supervise/spool/", check=False))
    eventually("something was said", lambda: doctor(name, "--outage-seconds", "1e12")[0] == 1)
    status, found, _ = doctor(name, "--outage-seconds", "1e12")
    assert (status, {item["lint"] for item in found}) == (1, {"container-outage"})
    assert doctor(name)[0] == 0


def test_a_container_set_up_by_hand_is_found_out(start: Start, tmp_path: Path) -> None:
    for file, text in (("supervisord.conf", BAD_SUPERVISORD), ("haproxy.cfg", BAD_HAPROXY), ("rotate", BAD_ROTATION)):
        (tmp_path / file).write_text(text)
    words = ["-v", f"{tmp_path}:/etc/bad:ro", "--entrypoint", "/usr/bin/supervisord", image("ha")]
    name = start(*words, "-c", "/etc/bad/supervisord.conf")
    eventually("HAProxy runs", lambda: "bad/haproxy.cfg" in docker("top", name, "-eo", "pid,args", check=False))
    status, found, _ = doctor(name)
    assert status == 1
    places = {item["lint"]: (item["file"], item["line"]) for item in found}
    assert places["container-pid1"] == ("/proc/1/cmdline", None)
    assert places["supervisord-device-rotation"] == ("/etc/bad/supervisord.conf", 9)
    assert places["supervisord-shell-children"] == ("/etc/bad/supervisord.conf", 12)
    assert places["supervisord-own-log-device"] == ("/etc/bad/supervisord.conf", 3)
    assert places["haproxy-udp"] == ("/etc/bad/haproxy.cfg", 2)
    assert places["haproxy-level"] == ("/etc/bad/haproxy.cfg", 2)
    assert places["haproxy-dontlog-normal"] == ("/etc/bad/haproxy.cfg", 12)
    assert all(item["why"] and item["do"] for item in found)
    status, found, _ = doctor(name, "/etc/bad/supervisord.conf", "/etc/bad/rotate")
    lints = {item["lint"] for item in found}
    assert status == 1
    assert {"logrotate-copytruncate", "together-two-rotators"} <= lints


def test_haproxy_takes_what_doctor_tells_people_to_write(start: Start, tmp_path: Path) -> None:
    kept = [one for one in EXAMPLES if "log-profile" not in one.bad]  # which HAProxy 3.0 does not know yet
    for at, one in enumerate(kept):
        text = done(one.bad, one.findings(one.bad)[0])
        (tmp_path / f"{at:02}-{one.lint}.cfg").write_text(text.replace("logs.example.org", "127.0.0.1"))
    name = start("-v", f"{tmp_path}:/cfg:ro", "--entrypoint", "sleep", image("ha"), "600")
    script = 'for f in /cfg/*.cfg; do haproxy -c -q -f "$f" || echo "$f"; done'
    result = run("docker", "exec", name, "sh", "-c", script, timeout=300)
    assert result.stdout == "", result.stderr


def test_haproxy_refuses_a_file_without_its_last_newline(start: Start, tmp_path: Path) -> None:
    (bad,) = [one.bad for one in EXAMPLES if one.lint == "haproxy-last-line"]
    (tmp_path / "bad.cfg").write_text(bad)
    name = start("-v", f"{tmp_path}:/cfg:ro", "--entrypoint", "sleep", image("ha"), "600")
    result = run("docker", "exec", name, "haproxy", "-c", "-f", "/cfg/bad.cfg", check=False)
    assert result.returncode != 0
    assert "Missing LF" in result.stderr
