"""The settings of logship's own commands: one that they cannot take keeps the container from starting, and is said."""

from __future__ import annotations

from typing import Any

import pytest

from logship.errors import Fault
from supervise.init import outlets
from supervise.init.values import Program

Life = Any

SPOOL = Program("spool", ("/usr/local/bin/logship", "spool", "--fifo-dir", "/f"), capture=False)


@pytest.mark.parametrize(
    ("command", "environment", "said"),
    [
        (["spool"], {"LOGSHIP_SPOOL_BYTES_MAX": "1MiB"}, "LOGSHIP_SPOOL_BYTES_MAX: '1MiB' is no whole number"),
        (["spool"], {"LOGSHIP_SPOOL_BYTES_MAX": "1048576"}, r"\(LOGSHIP_SPOOL_BYTES_MAX\): 1048576 is out of range"),
        (["spool", "--segment-bytes", "8MiB"], {}, "--segment-bytes: '8MiB' is no whole number"),
        (["ship", "--adopt", "/a", "/b"], {"LOGSHIP_CHUNK_BYTES_MAX": "1"}, "--chunk-bytes-max: 1 is out of range"),
        (["ship", "--drain-seconds=x"], {}, "--drain-seconds: 'x' is no float"),
        (["collect"], {"LOGSHIP_KEEP_BYTES": "8GiB"}, "LOGSHIP_KEEP_BYTES: '8GiB' is no whole number"),
    ],
)
def test_a_setting_that_a_command_would_end_with_is_a_fault(
    command: list[str], environment: dict[str, str], said: str
) -> None:
    program = Program("a", ("/usr/local/bin/logship", *command))
    with pytest.raises(Fault, match=said) as raised:
        outlets.check((program,), environment)
    assert raised.value.status == 2


@pytest.mark.parametrize(
    ("program", "environment"),
    [
        (SPOOL, {}),
        (SPOOL, {"LOGSHIP_SPOOL_BYTES_MAX": "", "LOGSHIP_SPOOL_CONTAINER_BYTES_MAX": "0"}),
        (Program("x", ("/usr/bin/other", "spool")), {"LOGSHIP_SPOOL_BYTES_MAX": "1MiB"}),
        (Program("x", ("/bin/logship", "spool", "--spool-bytes-max", "99999999")), {"LOGSHIP_SPOOL_BYTES_MAX": "1MiB"}),
        (
            Program("x", ("/bin/logship", "spool"), environment=(("LOGSHIP_KEEP_BYTES", "9"),)),
            {"LOGSHIP_KEEP_BYTES": "x"},
        ),
        (Program("x", ("/bin/logship", "spool"), env_files=("/e",)), {"LOGSHIP_SPOOL_BYTES_MAX": "1MiB"}),
        (Program("x", ("/bin/logship", "ship", "--drain-seconds", "2", "--once", "--adopt", "/a", "/b")), {}),
        (Program("x", ("/bin/logship",)), {}),
    ],
)
def test_a_command_that_would_start_is_left_alone(program: Program, environment: dict[str, str]) -> None:
    outlets.check((program,), environment)


def test_pid_1_says_it_where_docker_logs_shows_it_and_changes_nothing(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGSHIP_SPOOL_BYTES_MAX", "1MiB")
    command = life.folder / "logship"
    command.write_text("#!/bin/sh\nsleep 1000\n")
    command.chmod(0o755)
    life.start(f'[program.spool]\ncommand = ["{command}", "spool"]\ncapture = false\n')
    assert life.status() == 2
    assert life.output.read_text() == (
        "supervise init: cannot take the setting LOGSHIP_SPOOL_BYTES_MAX: '1MiB' is no whole number\n"
        "  hint: give bytes: 1048576\n"
    )
    assert not life.run_dir.exists()
    assert not life.spool_dir.exists()
