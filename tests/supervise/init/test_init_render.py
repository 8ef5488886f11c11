"""What supervisord and `supervise exec` are given: golden texts, and supervisord's own reading of them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from supervise.init.declaration import parse
from supervise.init.render import Surroundings, configuration, plan
from supervise.init.values import Declaration

TREE = Path(__file__).resolve().parents[3]
GOLDEN = TREE / "tests" / "golden"
TEMPLATE = (TREE / "templates" / "supervisord.conf.j2").read_text(encoding="utf-8")
AROUND = Surroundings("/run/supervise", "/var/spool/logship", "/usr/bin/python3", 256)

DECLARED = """
[container]
service = "webapp"

[program.spool]
command = ["/usr/local/bin/logship", "spool"]
capture = false
restart = { tries = 0, backoff_seconds = 0.1 }

[program.webapp]
command = ["/usr/bin/python3", "/opt/webapp/webapp.py", "100 %", "a ; b"]
user = "webapp"
environment = { GREETING = "50 % off; \\"now\\"" }
limits = { nofile = 65536 }
after = ["spool"]
essential = true
ready = { command = ["/usr/bin/check", "--all"] }
restart = { tries = 3, start_seconds = 4 }
stop = { signal = "INT", seconds = 9, group = false }
"""


def declared(text: str = DECLARED) -> Declaration:
    declaration, flaws = parse(text)
    assert declaration is not None, flaws
    return declaration


def test_the_text_of_supervisord_conf_is_the_golden_one() -> None:
    golden = (GOLDEN / "supervisord.conf").read_text(encoding="utf-8")
    assert configuration(declared(), AROUND, TEMPLATE) == golden


def test_the_plan_is_the_golden_one() -> None:
    assert plan(declared(), AROUND) == (GOLDEN / "plan.json").read_text(encoding="utf-8")


def read_by_supervisord(text: str, folder: Path) -> ServerOptions:
    """The text as supervisord itself reads it."""
    path = folder / "supervisord.conf"
    # The factory is PID 1's own and would be imported here.
    text = text.replace("supervise.init.rpc:make", "supervisor.rpcinterface:make_main_rpcinterface")
    path.write_text(text, encoding="utf-8")
    options = ServerOptions()
    options.realize(["-c", str(path)], doc="")
    return options


def test_supervisord_reads_what_was_declared(tmp_path: Path) -> None:
    around = Surroundings(str(tmp_path), str(tmp_path), "/usr/bin/python3", 200)
    text = configuration(declared(), around, TEMPLATE)
    (tmp_path / "said").mkdir()
    options = read_by_supervisord(text, tmp_path)
    assert options.minfds == 200
    programs = {group.name: group.process_configs[0] for group in options.process_group_configs}
    assert set(programs) == {"spool", "webapp", "webapp.ready"}
    assert not any(program.autostart for program in programs.values())
    webapp = programs["webapp"]
    assert shlex.split(webapp.command) == [
        "/usr/bin/python3", "-I", "-m", "supervise.exec", "--plan", f"{tmp_path}/plan.json", "webapp",
    ]  # fmt: skip
    assert (webapp.startsecs, webapp.startretries, webapp.stopwaitsecs) == (4, 2, 9)
    assert (webapp.autorestart, webapp.stopasgroup, webapp.killasgroup) == (False, False, False)
    assert int(webapp.stopsignal) == 2
    assert programs["spool"].startretries == 2**31 - 1
    assert webapp.stdout_logfile == f"{tmp_path}/said/webapp"


def test_a_run_folder_with_spaces_and_quotes_survives(tmp_path: Path) -> None:
    odd = tmp_path / "an 'odd' folder"
    (odd / "said").mkdir(parents=True)
    around = Surroundings(str(odd), str(tmp_path), "/usr/bin/python3", 256)
    text = configuration(declared(), around, TEMPLATE)
    options = read_by_supervisord(text, tmp_path)
    command = options.process_group_configs[0].process_configs[0].command
    assert shlex.split(command)[5] == f"{odd}/plan.json"


@pytest.mark.parametrize("folder", ["/run/a\nb", "/run/a ;b", "/run/100%"])
def test_a_path_that_supervisord_cannot_hold_is_refused(folder: str) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        configuration(declared(), Surroundings(folder, "/s", "/usr/bin/python3", 256), TEMPLATE)


def test_a_check_runs_in_the_surroundings_of_its_program() -> None:
    programs = json.loads(plan(declared(), AROUND))["programs"]
    check, webapp = programs["webapp.ready"], programs["webapp"]
    assert check["command"] == ["/usr/bin/check", "--all"]
    for key in ("user", "directory", "environment", "env_files", "limits"):
        assert check[key] == webapp[key]
    assert (check["fifo"], check["capture"], check["check_of"]) == (None, False, "webapp")
    assert webapp["fifo"] == "/run/supervise/fifo/webapp"
    assert programs["spool"]["fifo"] is None


def test_the_same_declaration_gives_the_same_bytes() -> None:
    assert configuration(declared(), AROUND, TEMPLATE) == configuration(declared(), AROUND, TEMPLATE)
    assert plan(declared(), AROUND) == plan(declared(), AROUND)
