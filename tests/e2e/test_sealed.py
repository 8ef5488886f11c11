"""The collector's container with a lake: what is sealed leaves the journal, and is read with the rest; and without."""

from __future__ import annotations

import http.client
import json
import secrets
from typing import Any

import pytest

from tests.e2e.stack import TREE, address, docker, eventually, free_ports, inspect, run
from tests.e2e.test_images import container, programs_of

pytestmark = pytest.mark.engine

LOGSHIP = str(TREE / ".venv" / "bin" / "logship")
MANIFEST = "/var/lib/logship/store/lake/manifest.json"
STREAM = "web/1/app/sealed"
APPENDS, LINES = 8, 5_000
SEALED_SECONDS = 240
"""A minute after its manifest was loaded a segment goes; on a busy machine all of it takes longer."""


def ask(name: str, method: str, target: str, body: bytes = b"", status: int = 200) -> http.client.HTTPResponse:
    """One request to the collector in a container; its answer, read."""
    connection = http.client.HTTPConnection(address(name), 4437, timeout=60)
    try:
        connection.request(method, target, body, {"Content-Type": "application/octet-stream"} if body else {})
        answer = connection.getresponse()
        answer.text = answer.read()  # type: ignore[attr-defined]  # what came with it
        assert answer.status == status, (target, answer.status, answer.text)  # type: ignore[attr-defined]
        return answer
    finally:
        connection.close()


def health(name: str) -> dict[str, Any]:
    """What the collector says of itself."""
    found: dict[str, Any] = json.loads(ask(name, "GET", "/v1/health").text)  # type: ignore[attr-defined]
    return found


def is_healthy(name: str) -> bool:
    return bool(inspect(name)["State"]["Health"]["Status"] == "healthy")


def said(name: str, event: str) -> list[dict[str, Any]]:
    """The lines of that event in seal's log."""
    lines = [
        line.partition("| ")[2] for line in run("docker", "logs", name).stdout.splitlines() if "seal  " in line[:8]
    ]
    return [found for line in lines if line.startswith("{") and (found := json.loads(line)).get("event") == event]


def test_what_is_sealed_leaves_the_journal_and_is_read_with_the_rest_as_it_was() -> None:
    (port,) = free_ports(1)
    settings = ("-e", f"LOGSHIP_KEEP_BYTES={8 << 20}", "-e", "LOGSHIP_SEALED_KEEP_BYTES=0")
    with container("collector", "-p", f"127.0.0.1:{port}:8080", *settings) as name:
        eventually("it is healthy", lambda: is_healthy(name), seconds=120)
        assert not said(name, "off"), "the image was built without wheels: say `make images` where pip reaches an index"
        ask(name, "PUT", f"/v1/stream/{STREAM}", status=201)
        written: list[str] = []

        def append(count: int) -> None:
            for _ in range(count):
                lines = [f"{len(written) + number} {secrets.token_hex(32)}" for number in range(LINES)]
                ask(name, "POST", f"/v1/stream/{STREAM}", "".join(f"{line}\n" for line in lines).encode(), 204)
                written.extend(lines)

        append(APPENDS)
        eventually("a lake is there", lambda: said(name, "sealed"), seconds=SEALED_SECONDS, every=1)
        manifest = json.loads(docker("exec", name, "cat", MANIFEST))
        assert manifest["sealed_end"] > 0
        owner = docker(
            "exec", name, "stat", "-c", "%U %a", "/var/lib/logship/store/lake/" + manifest["files"][0]["name"]
        )
        assert owner == "logship 640"
        seal = next(program["pid"] for program in programs_of(name) if program["name"] == "seal")
        niceness = docker("exec", name, "cut", "-d", " ", "-f", "19,41", f"/proc/{seal}/stat")
        assert niceness == "19 5", "nice 19, and SCHED_IDLE"
        append(1)
        eventually(
            "the journal goes",
            lambda: begins(name) > 0,
            seconds=SEALED_SECONDS,
            every=2,
            explain=lambda: str(health(name)),
        )
        append(1)
        assert health(name)["lake_fault"] is None
        assert health(name)["sealed_end"] >= manifest["sealed_end"]
        command = [LOGSHIP, "logs", "--url", f"http://127.0.0.1:{port}", "-o", "raw", "--since", "1h", STREAM]
        found = run(*command, "-n", "all", timeout=300).stdout.splitlines()
        assert len(found) == len(written)
        assert found == written
        assert whole(name) == "".join(f"{line}\n" for line in written).encode()


def begins(name: str) -> int:
    """The first LSN that the journal still has."""
    said = health(name)
    return int(said["lsn"]) - int(said["journal_bytes"])


def whole(name: str) -> bytes:
    """All bytes of the stream, as any client of the protocol reads them, those from the lake, too."""
    found, more = b"", True
    while more:
        piece = ask(name, "GET", f"/v1/stream/{STREAM}?offset={len(found):020}").text  # type: ignore[attr-defined]
        found += piece
        more = bool(piece)
    return found


def test_without_duckdb_seal_says_so_once_and_all_else_is_as_it_was() -> None:
    with container("collector", "--tmpfs", "/opt/lake") as name:
        eventually("it is healthy", lambda: is_healthy(name), seconds=120)
        (line,) = eventually("seal has said it", lambda: said(name, "off"))
        assert line["cause"] == "duckdb is not installed: nothing is sealed"
        assert "make images" in line["hint"]
        (seal,) = [program for program in programs_of(name) if program["name"] == "seal"]
        assert (seal["state"], seal["restarts"]) == ("RUNNING", 0)
        assert health(name)["sealed_end"] is None
        assert "lake" not in docker("exec", name, "ls", "/var/lib/logship/store").split()
        docker("stop", name)
        assert inspect(name)["State"]["ExitCode"] == 0
