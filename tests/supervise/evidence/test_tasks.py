"""The list of the lab's deliverables is complete, and each shape tells right from wrong."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest

from supervise.evidence.tasks import STEPS, TASKS, WHOLE, deliverables, fault_of, missing, wanted

LAB = Path(__file__).resolve().parents[3] / "docs" / "lab.md"
PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 1500, 700) + bytes(6000)
CSV = "# pxname,svname,qcur\napp,abc-10-0-0-2,0\napp,BACKEND,0\n"
PS = "CONTAINER ID   IMAGE   STATUS   PORTS   NAMES\nabc   x   Up   80/tcp   ha\ndef   y   Up   3000/tcp   webapp\n"
CFG = "frontend http\n    bind :80\nbackend app\n    server a 10.0.0.2:3000\n"
CHAPTERS = [f"## Task {task.number}: {task.title}" for task in TASKS]
REPORT = "\n".join(["# x", "## Contents", "## Introduction", *CHAPTERS, "## Difficulties", "## Conclusion"])
RESTART = {"back": True, "before": {"restarts": 0}, "after": {"restarts": 1}}
GOOD: dict[str, bytes] = {
    "text": b"something\n",
    "png": PNG,
    "ps": PS.encode(),
    "stats": CSV.encode(),
    "cfg": CFG.encode(),
    "diff": b"+    server a 10.0.0.2:3000\n",
    "json": b'{"a": 1}',
    "inspect": b'[{"Id": "a", "State": {}, "NetworkSettings": {}}]',
    "spread": b'{"requests": 3, "by_server": {"a": 3}}',
    "restart": json.dumps(RESTART).encode(),
    "load": b'{"requests": 3, "by_kind": {"close": {}}}',
    "report": REPORT.encode(),
}
BAD: list[tuple[str, bytes, str]] = [
    ("png", b"<html>not found</html>" + bytes(6000), "no PNG"),
    ("png", PNG[:16] + struct.pack(">II", 1, 1) + PNG[24:], "shows nothing"),
    ("png", PNG[:100], "shows nothing"),
    ("ps", b"permission denied\n", "lacks"),
    ("ps", PS.encode().split(b"\ndef")[0], "fewer than two"),
    ("stats", b"<html>", "not HAProxy's CSV"),
    ("stats", CSV.replace("app,abc-10-0-0-2,0\n", "").encode(), "no server"),
    ("cfg", CFG.replace("    server a 10.0.0.2:3000\n", "").encode(), "lacks"),
    ("cfg", CFG.encode().rstrip(), "cut"),
    ("diff", b"+# a comment\n", "changes no server"),
    ("text", b"Error: No such container: ha\n", "is an error"),
    ("text", b"Error response from daemon: no such id\n", "is an error"),
    ("json", b"{", "not readable"),
    ("json", b"[]", "holds nothing"),
    ("json", b"\xff\xfe", "not readable"),
    ("inspect", b"[{}]", "no output of docker inspect"),
    ("inspect", b"[]", "no output of docker inspect"),
    ("spread", b'{"requests": 0, "by_server": {}}', "no request"),
    ("restart", json.dumps({**RESTART, "back": False}).encode(), "no restart"),
    ("load", b'{"requests": 0, "by_kind": {}}', "no request"),
    ("report", REPORT.replace("## Task 4", "## Chapter 4").encode(), "lacks"),
]


def test_every_task_of_the_lab_has_deliverables_and_a_chapter_of_answers() -> None:
    assert [task.number for task in TASKS] == [0, 1, 2, 3, 4, 5, 6]
    assert {item.task for item in deliverables()} == {task.number for task in TASKS}
    heads = re.findall(r"^## (.*)$", LAB.read_text(encoding="utf-8"), re.MULTILINE)
    assert [head for head in heads if head.startswith("Task ")] == [f"Task {t.number}: {t.title}" for t in TASKS]
    assert "What was hard" in heads


def test_the_answers_have_the_six_questions_before_the_tasks() -> None:
    text = LAB.read_text(encoding="utf-8")
    assert re.findall(r"^### (M\d): .*\?$", text, re.MULTILINE) == ["M1", "M2", "M3", "M4", "M5", "M6"]


def test_an_anchor_is_the_heading_as_markdown_readers_make_it() -> None:
    for task in TASKS:
        heading = f"Task {task.number}: {task.title}".lower()
        assert task.anchor == "#" + re.sub(r"[^a-z0-9 -]", "", heading).replace(" ", "-")


@pytest.mark.parametrize(
    "path",
    [
        "logs/task 0/repository.txt",
        "logs/task 0/stats.png",
        "logs/task 1/stats.png",
        "logs/task 2/docker-logs-webapp-2.log",
        "logs/task 3/docker-logs-ha-1.log",
        "logs/task 3/serf.log",
        "logs/task 4/docker-inspect-webapp-1.json",
        "logs/task 4/docker-ps.txt",
        "logs/task 4/generations.json",
        "logs/task 5/start/haproxy.cfg",
        "logs/task 5/up/haproxy.cfg.diff",
        "logs/task 5/down/nodes.txt",
        "logs/task 5/stop/docker-ps.txt",
        "logs/task 5/docker-inspect-ha-1.json",
        "logs/task 6/up/stats.png",
        "logs/task 6/kill/load.json",
        "report.md",
        "answers.md",
    ],
)
def test_what_the_lab_wants_handed_in_is_on_the_list(path: str) -> None:
    names = ["ha-1", "webapp-1", "webapp-2"]
    assert path in wanted({step.name: names for step in STEPS})


def test_files_of_containers_are_those_that_there_were_at_the_step() -> None:
    files = wanted({"start": ["ha-1", "webapp-1"], "join": ["ha-1", "webapp-9"], "end": ["ha-1"]})
    assert "logs/task 3/docker-logs-webapp-9.log" in files
    assert "logs/task 2/docker-logs-webapp-9.log" not in files


def test_containers_that_are_not_known_are_missing_not_forgotten() -> None:
    assert "logs/task 2/docker-logs-(unknown).log" in wanted({})


def test_every_shape_on_the_list_can_be_checked() -> None:
    assert {*wanted({}).values()} == {*GOOD}


@pytest.mark.parametrize("shape", GOOD)
def test_a_file_of_the_right_shape_has_no_fault_and_an_empty_one_has(shape: str) -> None:
    assert fault_of(shape, GOOD[shape]) == ""
    assert fault_of(shape, b"\n") == "it is empty"


@pytest.mark.parametrize(("shape", "data", "fault"), BAD, ids=lambda value: str(value)[:20])
def test_a_file_of_a_wrong_shape_is_told_apart(shape: str, data: bytes, fault: str) -> None:
    assert fault in fault_of(shape, data)


def test_what_is_missing_is_told_by_path() -> None:
    files = {"a.txt": "text", "b.txt": "text", "c.json": "json"}
    there = {"a.txt": b"x", "c.json": b"{"}
    found = missing(files, there.get)
    assert found["b.txt"] == "it is missing"
    assert set(found) == {"b.txt", "c.json"}


def test_the_top_of_the_folder_has_report_answers_and_record() -> None:
    assert set(WHOLE) == {"report.md", "answers.md", "evidence.json"}
