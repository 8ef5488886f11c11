"""plan.json and the environment of a program."""

from __future__ import annotations

import json
from typing import Any

import pytest

from logship.errors import Fault
from supervise.exec.plan import environment, parse_env_file, parse_plan
from supervise.init.values import Program, program_entry


def plan(**changes: Any) -> str:
    entry = program_entry(Program("web", ("/bin/true", "-x"), user="nobody", limits=(("nofile", 9),)), "/run/fifo/web")
    return json.dumps({"v": 1, "spool": "/run/spool", "programs": {"web": entry}, **changes})


def test_what_pid_1_writes_is_read() -> None:
    start = parse_plan(plan(), "plan.json", "web")
    assert start.command == ["/bin/true", "-x"]
    assert (start.user, start.directory, start.fifo) == ("nobody", "/", "/run/fifo/web")
    assert start.limits == {"nofile": 9}
    assert start.stream == "/run/spool/web"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (plan(v=2), "version is 2"),
        (plan(programs={}), "no such program"),
        (plan(programs={"web": {"command": ["x"]}}), "'user'"),
        (plan(programs={"web": {"command": "x"}}), "no list"),
        (plan(programs=[]), "no such program"),
        ("{", "Expecting"),
        ("{}", "'v'"),
        ("[]", "list indices"),
    ],
)
def test_a_plan_that_is_wrong_is_a_fault_with_its_place(text: str, said: str) -> None:
    with pytest.raises(Fault, match=said) as raised:
        parse_plan(text, "/run/plan.json", "web")
    assert "/run/plan.json" in str(raised.value)


def test_a_variables_file_is_taken_as_docker_takes_one() -> None:
    text = '# comment\n\nA=1\n B = two words \nEMPTY=\nQUOTED="x"\nEQUALS=a=b\r\n  # also\nLAST=end'
    assert parse_env_file(text, "file") == {
        "A": "1", "B": " two words ", "EMPTY": "", "QUOTED": '"x"', "EQUALS": "a=b", "LAST": "end",
    }  # fmt: skip


@pytest.mark.parametrize("line", ["SECRET", "=SECRET", "a b=SECRET", "1A=SECRET", "A=SECRET\0"])
def test_a_line_that_is_no_variable_is_named_by_its_number_and_never_shown(line: str) -> None:
    with pytest.raises(Fault, match="/file:2") as raised:
        parse_env_file(f"A=1\n{line}\n", "/file")
    assert "SECRET" not in str(raised.value)


def test_later_parts_of_the_environment_win() -> None:
    container = {"PATH": "/bin", "HOME": "/root", "A": "container", "B": "container", "PYTHONUNBUFFERED": ""}
    merged = environment(container, {"HOME": "/home/x"}, {"A": "declared", "B": "declared"}, [{"B": "file"}])
    assert merged == {"PATH": "/bin", "HOME": "/home/x", "A": "declared", "B": "file", "PYTHONUNBUFFERED": "1"}
