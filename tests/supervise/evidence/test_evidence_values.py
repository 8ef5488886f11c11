"""Small readings of what HAProxy, docker and compose say."""

from __future__ import annotations

import pytest

from supervise.evidence.values import (
    Evidence,
    Problem,
    StepRecord,
    hosts_in,
    is_out,
    layers_of,
    repository_text,
    servers_of,
    without_secrets,
)

CSV = """# pxname,svname,status,weight
http,FRONTEND,OPEN,
app,abc-10-0-0-2,UP,100
app,def-10-0-0-3,MAINT (via x),100
app,BACKEND,UP,200
app_panic,abc-10-0-0-2,no check,100
"""


def test_servers_are_those_of_backend_app_with_their_status() -> None:
    assert servers_of(CSV) == {"abc-10-0-0-2": "UP", "def-10-0-0-3": "MAINT (via x)"}
    assert servers_of("") == {}
    assert servers_of("<html>") == {}


@pytest.mark.parametrize("status", [None, "DOWN", "DOWN 1/2", "MAINT", "MAINT (via a/b)", "NOLB"])
def test_a_server_that_gets_nothing_new_is_out(status: str | None) -> None:
    assert is_out(status)


@pytest.mark.parametrize("status", ["UP", "UP 1/2", "no check", "DRAIN"])
def test_a_server_that_may_still_get_something_is_not_out(status: str) -> None:
    assert not is_out(status)


def test_hosts_are_read_from_the_servers_of_backend_app_alone() -> None:
    text = (
        "frontend http\n    bind :80\n\nbackend app\n    option httpchk\n"
        "    server abc-10-0-0-2 10.0.0.2:3000\n    server def-fd00--2 [fd00::2]:3000\n"
        "\nbackend app_panic\n    server zzz-10-0-0-9 10.0.0.9:3000\n"
    )
    assert hosts_in(text) == {"abc", "def"}
    assert hosts_in("frontend http\n") == set()


def test_values_of_secrets_do_not_leave_the_machine() -> None:
    environment = ["PATH=/bin", "SERF_KEY=c2VjcmV0", "DB_PASSWORD=x=y", "SERF_KEY_FILE=/run/k", "EMPTY_TOKEN=", "ODD"]
    facts = without_secrets({"Id": "a", "Config": {"Env": environment, "Image": "i"}})
    assert facts["Config"]["Env"] == [
        "PATH=/bin",
        "SERF_KEY=(not shown)",
        "DB_PASSWORD=(not shown)",
        "SERF_KEY_FILE=(not shown)",
        "EMPTY_TOKEN=",
        "ODD",
    ]
    assert facts["Config"]["Image"] == "i"
    assert environment[1] == "SERF_KEY=c2VjcmV0", "what was asked for stays as it was"


def test_layers_that_images_share_are_counted_once() -> None:
    base = {"CreatedAt": "2026-01-01", "CreatedBy": "", "Size": "78000000"}
    code = {"CreatedAt": "2026-01-02", "CreatedBy": "/bin/sh -c #(nop) COPY dir in /opt", "Size": "500"}
    other = {"CreatedAt": "2026-01-03", "CreatedBy": "/bin/sh -c apt-get  install haproxy", "Size": "17000000"}
    label = {"CreatedAt": "2026-01-04", "CreatedBy": "/bin/sh -c #(nop) LABEL a=b", "Size": "0"}
    found = layers_of({"ha": [label, other, base], "webapp": [code, base]})
    assert [(layer["bytes"], layer["command"], layer["images"]) for layer in found] == [
        (78000000, "(the base image)", ["ha", "webapp"]),
        (17000000, "apt-get install haproxy", ["ha"]),
        (500, "COPY dir in /opt", ["webapp"]),
    ]


def test_evidence_is_good_only_without_problems_and_failed_requests() -> None:
    evidence = Evidence("p", "2026-01-01T00:00:00Z", 100, 0.0)
    assert evidence.good
    evidence.steps.append(StepRecord("up", "scaled up", outcome={"requests": 100, "failed": 1}))
    assert (evidence.good, evidence.failed, evidence.requests) == (False, 1, 100)
    evidence.steps[0].outcome = None
    evidence.problems.append(Problem("up", "x"))
    assert not evidence.good
    assert evidence.as_json()["good"] is False


def test_the_repository_is_told_with_its_commit_and_without_secrets() -> None:
    told = repository_text("https://me:secret@example.org/lab.git\n", "1234567 A commit\n", False)
    assert told == "https://example.org/lab.git, commit 1234567 A commit"
    assert repository_text("", "1234567 A", True) == (
        "a checkout without a remote named origin, commit 1234567 A, with changes that are not committed"
    )
    assert repository_text("git@example.org:lab.git", "1 A", False).startswith("git@example.org:lab.git, ")
