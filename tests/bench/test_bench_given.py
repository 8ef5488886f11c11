"""What a benchmark is given: numbers that make no sense are refused, and a signal leaves nothing of it behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from bench import capture, lake, search, ship
from bench.given import ended_by_signals
from tests.logship.view.viewing import eventually

TREE = Path(__file__).resolve().parents[2]
MAINS: dict[str, Callable[[], int]] = {
    "bench.capture": capture.main, "bench.lake": lake.main, "bench.search": search.main, "bench.ship": ship.main,
}  # fmt: skip
REFUSED = [
    *((module, "--rounds", "0", "is no whole number of at least 1") for module in MAINS),
    ("bench.capture", "--rounds", "-1", "is no whole number of at least 1"),
    ("bench.capture", "--seconds", "0", "is no whole number of at least 1"),
    ("bench.capture", "--seconds", "1.5", "is no whole number of at least 1"),
    ("bench.lake", "--mib", "0", "is no whole number of at least 1"),
    ("bench.ship", "--mib", "0", "is no whole number of at least 1"),
    ("bench.ship", "--backlog-mib", "0", "is no whole number of at least 1"),
    ("bench.search", "--lines", "999", "is no whole number of at least 1,000"),
    ("bench.search", "--live-seconds", "0", "is no time to measure in"),
    *((module, "--wait", "-1", "is no number of seconds") for module in MAINS),
    ("bench.capture", "--wait", "nan", "is no number of seconds"),
    *((module, "--dir", "/proc/x", "nothing can be made in /proc/x") for module in MAINS if module != "bench.capture"),
    ("bench.ship", "--dir", "/proc", "nothing can be made in /proc"),
    ("bench.ship", "--dir", __file__, "File exists"),
]


@pytest.mark.parametrize(("module", "option", "value", "said"), REFUSED)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    module: str, option: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [module, f"{option}={value}"])
    with pytest.raises(SystemExit) as ended:
        MAINS[module]()
    assert ended.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("module", ["bench.ship", "bench.capture"])
def test_a_benchmark_explains_itself(module: str) -> None:
    found = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=TREE, capture_output=True, text=True, check=False
    )
    assert "--quick" in found.stdout


DOCKER = """\
#!/bin/sh
echo "$*" >> "$SAID"
case "$1" in inspect) echo starting;; esac
"""
"""An engine whose containers never get healthy."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_removes_the_containers_with_their_volumes_and_the_network(tmp_path: Path, number: int) -> None:
    said = tmp_path / "said"
    said.touch()
    for name, text in (("docker", DOCKER), ("wrk", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SAID": str(said)}
    command = [sys.executable, "-m", "bench.capture", "--quick"]
    with subprocess.Popen(command, cwd=TREE, env=environment, stderr=subprocess.PIPE) as bench:
        try:
            eventually(lambda: "inspect -f {{.State.Health" in said.read_text(), "it does not wait for the collector")
            bench.send_signal(number)
            _, err = bench.communicate()
        finally:
            bench.kill()
    assert (bench.returncode, err) == (128 + number, b"")
    asked = said.read_text().splitlines()
    (network,) = [line.split()[-1] for line in asked if line.startswith("network create")]
    assert asked[-2:] == [f"rm -f -v {network}-collector", f"network rm {network}"]


def test_one_more_signal_does_not_stop_the_removal() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    steps = []

    def work() -> NoReturn:
        with ended_by_signals():
            try:
                signal.raise_signal(signal.SIGTERM)
                steps.append("went on")
            finally:
                signal.raise_signal(signal.SIGTERM)
                signal.raise_signal(signal.SIGINT)
                steps.append("removed")
        raise AssertionError("it ended")

    with pytest.raises(SystemExit) as ended:
        work()
    assert (ended.value.code, steps) == (143, ["removed"])
    assert signal.getsignal(signal.SIGTERM) is handler
