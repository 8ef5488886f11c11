"""`logship doctor` as people and scripts meet it: what it prints, and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from logship.audit import doctor_cli
from logship.audit.doctor import ALL
from logship.audit.doctor_inside import Machine
from logship.audit.doctor_output import table
from logship.audit.lints.kinds import Kind
from logship.cli import main

TREE = Path(__file__).resolve().parents[3]
CFG = """\
global
    log 127.0.0.1:514 len 4096 local0
    nbthread 1
"""


def doctor(*words: str, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in the tree."""
    return subprocess.run(
        [sys.executable, "-m", "logship", "doctor", *words],
        cwd=TREE,
        input=text,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def cfg(tmp_path: Path) -> str:
    """A haproxy.cfg with one trap."""
    path = tmp_path / "haproxy.cfg"
    path.write_text(CFG)
    return str(path)


def test_a_finding_has_place_reason_line_and_remedy(cfg: str) -> None:
    result = doctor(cfg)
    assert result.returncode == 1
    place, why, now, write = result.stdout.splitlines()
    assert place == f"{cfg}:2: loss: lines go by UDP to 127.0.0.1:514 [haproxy-udp]"
    assert why.split(":", 1)[0].strip() == "why"
    assert now.split(None, 1) == ["now:", "log 127.0.0.1:514 len 4096 local0"]
    assert write.split(None, 1) == ["write:", "log stdout len 4096 format raw local0 info"]
    assert result.stderr == f"1 finding (1 loss) in {cfg}\n"


def test_json_is_a_record_a_line_and_nothing_else(cfg: str) -> None:
    result = doctor(cfg, "-o", "json")
    assert (result.returncode, result.stderr) == (1, "")
    (found,) = map(json.loads, result.stdout.splitlines())
    assert found.pop("why")
    assert found == {
        "file": cfg,
        "line": 2,
        "lint": "haproxy-udp",
        "severity": "loss",
        "what": "lines go by UDP to 127.0.0.1:514",
        "now": "log 127.0.0.1:514 len 4096 local0",
        "do": "replace",
        "write": "    log stdout len 4096 format raw local0 info",
    }


def test_nothing_found_is_success_and_says_so() -> None:
    result = doctor("tests/golden/supervisord.conf", "tests/golden/haproxy.cfg")
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == "nothing found in tests/golden/supervisord.conf, tests/golden/haproxy.cfg\n"


def test_a_file_may_come_through_a_pipe() -> None:
    result = doctor("-", "-o", "json", text=CFG)
    assert result.returncode == 1
    assert json.loads(result.stdout)["file"] == "stdin"


def test_settings_come_from_the_environment_too(tmp_path: Path) -> None:
    path = tmp_path / "supervise.toml"
    text = (TREE / "images/webapp/supervise.toml").read_text()
    path.write_text(text)
    assert doctor(str(path)).returncode == 0
    assert "declaration-outage" in doctor(str(path), "--rate-bytes", "1000000").stdout
    assert "declaration-outage" in doctor(str(path), LOGSHIP_RATE_BYTES="1000000").stdout
    assert doctor(str(path), "--rate-bytes", "1000000", "--outage-seconds", "60").returncode == 0
    assert "declaration-grace" in doctor(str(path), "--grace-seconds", "20").stdout


def test_a_lint_may_be_left_out(cfg: str) -> None:
    assert doctor(cfg, "--allow", "haproxy-udp").returncode == 0


def test_an_included_file_is_named_where_its_trap_is(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    main, part = tmp_path / "supervisord.conf", tmp_path / "conf.d" / "web.conf"
    main.write_text("[supervisord]\n\n[include]\nfiles = conf.d/*.conf\n")
    part.write_text("[program:web]\ncommand=/w\nautorestart=true\nstartsecs=2\nredirect_stderr=true\n")
    result = doctor(str(main))
    assert result.stdout.startswith(f"{part}:1: loss: ")
    assert "supervisord-auto-log" in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no/such/file"], "No such file"),
        (["README.md"], "--kind"),
        (["compose.yaml"], "docker compose config --format json"),
        (["logship"], "Is a directory"),
        (["tests/golden/haproxy.cfg", "--allow", "nothing"], "no such lint"),
        (["tests/golden/haproxy.cfg", "--rate-bytes", "-1"], "out of range"),
        (["tests/golden/haproxy.cfg", "--outage-seconds", "nan"], "out of range"),
        (["tests/golden/haproxy.cfg", "--rate-bytes", "x"], "no float"),
        (["tests/golden/haproxy.cfg", "--kind", "x"], "invalid choice"),
        (["tests/golden/haproxy.cfg", "--kind", "compose"], "not JSON"),
        (["--kind", "haproxy"], "no FILE"),
    ],
)
def test_bad_input_is_a_usage_error_that_says_what_to_do(words: list[str], said: str) -> None:
    result = doctor(*words)
    assert (result.returncode, result.stdout) == (2, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_what_its_own_program_would_refuse_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_text('global\n    description "open\n')
    result = doctor(str(path))
    assert result.returncode == 2
    assert f"{path}:2" in result.stderr


@pytest.mark.parametrize("kind", [kind.value for kind in Kind])
@pytest.mark.parametrize("content", ["foo bar\n", "", "# nothing but this\n", "{}\n"])
def test_what_is_none_of_its_kind_is_not_called_good(tmp_path: Path, kind: str, content: str) -> None:
    path = tmp_path / "file"
    path.write_text(content)
    result = doctor("--kind", kind, str(path))
    assert (result.returncode, result.stdout) == (2, ""), result.stderr
    assert str(path) in result.stderr


def test_where_nothing_runs_it_asks_for_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine without a process and without a file: on the one that the tests run on, anything may run."""
    monkeypatch.setattr(doctor_cli, "Machine", partial(Machine, root=tmp_path))
    assert main(["doctor"], {}) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "no supervisord, HAProxy or spool is set up here" in said.err
    assert "docker exec" in said.err


def test_the_document_has_every_lint_as_the_command_lists_it() -> None:
    rows = table(ALL)
    assert doctor("--list").stdout.splitlines() == rows
    assert "\n".join(rows) in (TREE / "docs/doctor.md").read_text(encoding="utf-8")


def test_lints_have_names_of_their_own_and_one_sentence_each() -> None:
    assert len({one.id for one in ALL}) == len(ALL)
    for one in ALL:
        assert one.why.endswith(".")
        assert "\n" not in one.why + one.title
