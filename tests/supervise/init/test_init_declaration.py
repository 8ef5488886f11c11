"""supervise.toml: what is good becomes values, what is not is told with line and remedy, all at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.init.declaration import _PROGRAM, _TABLES, PROGRAMS_MAX, parse
from supervise.init.values import Declaration, Program, Ready, Restart, Stop, program_entry, program_from

SMALL = '[container]\nservice = "s"\n[program.a]\ncommand = ["/bin/true"]\n'

FULL = """
[container]
service = "webapp"
stop_seconds = 20
snapshot_seconds = 5

[program.spool]
command = ["logship", "spool"]
capture = false
restart = { tries = 0, backoff_seconds = 0.1 }

[program.webapp]
command = ["/usr/bin/python3", "/opt/webapp/webapp.py"]
user = "webapp"
directory = "/opt"
environment = { KEY = "value", B = "" }
env_files = ["/run/secrets/webapp.env"]
limits = { nofile = 65536, core = 0, memlock = "unlimited" }
after = ["spool"]
essential = true
pipe_bytes = 1048576
files = ["/var/log/webapp/*.log"]
ready = { http = "http://127.0.0.1:3000/health", status = 204, interval_seconds = 0.5, timeout_seconds = 2 }
restart = { tries = 3, backoff_seconds = 2, backoff_seconds_max = 10, start_seconds = 4 }
stop = { signal = "INT", seconds = 9, group = false }
"""


def good(text: str) -> Declaration:
    declaration, flaws = parse(text)
    assert [flaw.tell("f") for flaw in flaws] == []
    assert declaration is not None
    return declaration


def told(text: str, machine: Any = None) -> list[str]:
    declaration, flaws = parse(text, machine)
    assert (declaration is None) == bool(flaws)
    return [flaw.tell("f") for flaw in flaws]


def program(keys: str) -> list[str]:
    """The faults of a program that has ``keys`` from line 5 on."""
    return told(SMALL + keys + "\n")


def test_defaults_are_those_of_the_architecture() -> None:
    assert good(SMALL) == Declaration("s", (Program("a", ("/bin/true",)),), 15.0, 15.0)
    defaults = Program("a", ("/bin/true",))
    assert (defaults.user, defaults.directory, defaults.pipe_bytes) == ("root", "/", 65536)
    assert defaults.ready == Ready("running", "", (), 200, 0.1, 1.0, 30.0)
    assert defaults.restart == Restart(5, 1.0, 30.0, 2)
    assert defaults.stop == Stop("TERM", 5, True)


def test_every_key_is_read() -> None:
    declaration = good(FULL)
    assert (declaration.service, declaration.stop_seconds, declaration.snapshot_seconds) == ("webapp", 20.0, 5.0)
    spool, webapp = declaration.programs
    assert (spool.capture, spool.restart) == (False, Restart(tries=0, backoff_seconds=0.1))
    assert webapp == Program(
        name="webapp",
        command=("/usr/bin/python3", "/opt/webapp/webapp.py"),
        user="webapp",
        directory="/opt",
        environment=(("KEY", "value"), ("B", "")),
        env_files=("/run/secrets/webapp.env",),
        limits=(("nofile", 65536), ("core", 0), ("memlock", -1)),
        after=("spool",),
        essential=True,
        pipe_bytes=1048576,
        files=("/var/log/webapp/*.log",),
        ready=Ready("http", "http://127.0.0.1:3000/health", (), 204, 0.5, 2.0, 30.0),
        restart=Restart(3, 2.0, 10.0, 4),
        stop=Stop("INT", 9, False),
    )


def test_values_survive_the_way_through_plan_json() -> None:
    for item in good(FULL).programs:
        assert program_from(json.loads(json.dumps(program_entry(item, None)))) == item


def test_a_command_check_is_asked_once_a_second_by_default() -> None:
    (item,) = good(SMALL + 'ready = { command = ["/bin/true"] }').programs
    assert item.ready == Ready("command", "", ("/bin/true",), 200, 1.0, 1.0, 30.0)


def test_all_faults_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = """[container]
service = "Web App"
[program.webapp]
command = ["/bin/true"]
after = ["spol"]
esential = true
[program.spool]
command = "/bin/true -f"
stop = { signal = "SIGTERM" }
[program.supervise]
command = ["/bin/true"]
[programs.x]
"""
    assert told(text) == [
        "f:2: 'container.service' is 'Web App'; write 1 to 32 of a-z, 0-9 and -",
        "f:5: program.webapp comes after 'spol', which is not declared; did you mean 'spool'?",
        "f:6: unknown key 'program.webapp.esential'; did you mean 'essential'?",
        "f:8: 'program.spool.command' is a string; "
        'write a list of words, like ["/usr/bin/tail", "-f", "/log"]; no shell reads it',
        "f:9: 'program.spool.stop.signal' is 'SIGTERM'; write one of TERM, INT, QUIT, HUP, USR1, USR2, KILL",
        "f:10: the name 'supervise' is reserved for PID 1's own events; choose another name",
        "f:12: unknown key 'programs'; did you mean 'program'?",
    ]


def test_a_circle_is_told_by_its_names() -> None:
    text = '[container]\nservice = "s"\n' + "".join(
        f'[program.{name}]\ncommand = ["/bin/true"]\nafter = ["{other}"]\n'
        for name, other in (("x", "a"), ("a", "b"), ("b", "c"), ("c", "a"))
    )
    assert told(text) == ["f:8: programs wait for each other: a -> b -> c -> a; break the circle"]


def test_a_program_that_waits_for_itself_is_a_circle() -> None:
    assert program('after = ["a"]') == ["f:5: programs wait for each other: a -> a; break the circle"]


def test_broken_syntax_is_told_with_its_line() -> None:
    (only,) = told('[container]\nservice = "s"\nbroken = = 1\n')
    assert only.startswith("f:3: not TOML: ")
    (only,) = told('[container]\nservice = "s')
    assert only.startswith("f:2: not TOML: ")


def test_what_is_missing_is_told_where_it_belongs() -> None:
    assert told("") == ["f:1: 'container.service' is missing; add it"]
    assert told('[container]\nservice = "s"\n') == [
        "f:1: no program is declared; add a table like [program.web] with its command"
    ]
    assert told('[container]\nservice = "s"\n[program.a]\n') == ["f:3: 'program.a.command' is missing; add it"]


@pytest.mark.parametrize(
    ("keys", "cause"),
    [
        ("command2 = 1", "unknown key 'program.a.command2'"),
        ('user = "no body"', "'program.a.user' is 'no body'"),
        ("user = 0", "'program.a.user' is an integer"),
        ('directory = "opt"', "'program.a.directory' is 'opt'"),
        ("environment = { A = 1 }", "'program.a.environment' A is an integer"),
        ('environment = { "A-B" = "1" }', "'program.a.environment' has a variable named 'A-B'"),
        ('environment = ["A=1"]', "'program.a.environment' is an array"),
        ('env_files = ["secrets"]', "'program.a.env_files' item 1 is 'secrets'"),
        ("limits = { files = 1 }", "'program.a.limits' has an unknown limit 'files'"),
        ("limits = { nofile = -1 }", "'program.a.limits' nofile is -1"),
        ('after = "b"', "'program.a.after' is a string"),
        ('essential = "yes"', "'program.a.essential' is a string"),
        ('files = "/var/log/x.log"', "'program.a.files' is a string"),
        ('files = ["/var/log/x.log", "x.log"]', "'program.a.files' item 2 is 'x.log'"),
        ("pipe_bytes = 4095", "'program.a.pipe_bytes' is 4095"),
        ("pipe_bytes = 1048577", "'program.a.pipe_bytes' is 1048577"),
        ("pipe_bytes = 65536.0", "'program.a.pipe_bytes' is a float"),
        ("ready = true", "'program.a.ready' is a boolean"),
        ("ready = { timeout_seconds = 1 }", "'program.a.ready' says no check"),
        ('ready = { tcp = "127.0.0.1:1", running = true }', "'program.a.ready' has tcp and running"),
        ("ready = { running = false }", "'running = false' means nothing"),
        ("ready = { started = false }", "'started = false' means nothing"),
        ('ready = { tcp = "127.0.0.1:1", status = 200 }', "'status' belongs to an http check"),
        ('ready = { tcp = "db:5432" }', "'program.a.ready.tcp' is 'db:5432'"),
        ('ready = { tcp = "127.0.0.1" }', "'program.a.ready.tcp' is '127.0.0.1'"),
        ('ready = { tcp = "127.0.0.1:0" }', "'program.a.ready.tcp' is '127.0.0.1:0'"),
        ('ready = { tcp = "::1:80" }', "'program.a.ready.tcp' is '::1:80'"),
        ('ready = { http = "https://127.0.0.1/" }', "'program.a.ready.http' is 'https://127.0.0.1/'"),
        ('ready = { http = "http://web/" }', "'program.a.ready.http' is 'http://web/'"),
        ('ready = { http = "http://127.0.0.1/a b" }', "'program.a.ready.http' is 'http://127.0.0.1/a b'"),
        ("ready = { command = [] }", "'program.a.ready.command' has 0 items"),
        ("restart = { tries = -1 }", "'program.a.restart.tries' is -1"),
        ("restart = { start_seconds = 0 }", "'program.a.restart.start_seconds' is 0"),
        ("restart = { backoff_seconds = nan }", "'program.a.restart.backoff_seconds' is nan"),
        ("restart = { backoff_seconds = 60 }", "'backoff_seconds' is 60, above its max 30"),
        ("stop = { seconds = 0.5 }", "'program.a.stop.seconds' is a float"),
        ('stop = "TERM"', "'program.a.stop' is a string"),
    ],
)
def test_a_bad_value_is_named_on_its_line_with_a_remedy(keys: str, cause: str) -> None:
    (only,) = program(keys)
    assert only.startswith(f"f:5: {cause}; "), only
    assert len(only) > len(f"f:5: {cause}; ")


@pytest.mark.parametrize("words", ['["bin/true"]', '[""]', '["/"]', '["/bin/"]'])
def test_a_command_begins_with_an_absolute_path_or_a_bare_name(words: str) -> None:
    (only,) = told(f'[container]\nservice = "s"\n[program.a]\ncommand = {words}\n')
    assert only.endswith("begin with an absolute path or the bare name of a program")


@pytest.mark.parametrize("name", ["A", "1a", "a.b", "a b", "", "a" * 33, "ä"])
def test_a_program_has_a_plain_name(name: str) -> None:
    (only,) = told(f'[container]\nservice = "s"\n[program."{name}"]\ncommand = ["/bin/true"]\n')
    assert only.startswith("f:3: the program's name is ")


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1", "http://localhost:3000/x?y=1", "http://[::1]:80/health", "http://[::1]/"]
)
def test_urls_without_a_name_server_are_good(target: str) -> None:
    assert good(SMALL + f'ready = {{ http = "{target}" }}').programs[0].ready.target == target


def test_too_many_programs_are_refused() -> None:
    tables = "".join(f'[program.p{n}]\ncommand = ["/bin/true"]\n' for n in range(PROGRAMS_MAX + 1))
    (only,) = told('[container]\nservice = "s"\n' + tables)
    assert "65 programs are declared; declare at most 64" in only


class Nowhere:
    """A machine that has nothing."""

    def program(self, name: str) -> str | None:
        return None if name == "/bin/true" else "no such file"

    def user(self, name: str) -> str | None:
        return None if name == "root" else "no such user"

    def directory(self, path: str) -> str | None:
        return None if path == "/" else "no such folder"


def test_what_the_machine_lacks_is_told_when_it_is_asked() -> None:
    text = SMALL + (
        'user = "nobody2"\ndirectory = "/none"\nready = { command = ["/bin/check"] }\n'
        '[program.b]\ncommand = ["/none"]\n'
    )
    assert told(text) == []
    assert told(text, Nowhere()) == [
        "f:5: 'program.a' runs as 'nobody2': no such user; create the user or correct it",
        "f:6: 'program.a' runs in '/none': no such folder; create the folder or correct it",
        "f:7: 'program.a.ready' runs '/bin/check': no such file; install or correct it",
        "f:9: 'program.b.command' runs '/none': no such file; install or correct it",
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from([*_PROGRAM, *_TABLES, "other"])


def toml(value: Any) -> str:
    """A value in TOML; None as a string."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, float):
        return repr(value) if "inf" not in repr(value) else "inf"
    return json.dumps(value) if isinstance(value, str) else str(value) if isinstance(value, int) else '"none"'


@given(st.dictionaries(KEYS, JSON, max_size=4))
def test_no_value_of_any_type_raises(values: dict[str, Any]) -> None:
    """Anything TOML can say ends in values or in faults on the lines of the text."""
    text = '[container]\nservice = "s"\n[program.a]\n' + "".join(
        f"{key} = {toml(one)}\n" for key, one in values.items()
    )
    declaration, flaws = parse(text, Nowhere())
    assert (declaration is None) == bool(flaws)
    assert all(1 <= flaw.line <= text.count("\n") + 1 for flaw in flaws)
