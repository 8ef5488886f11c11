"""What the benchmarks conclude from their numbers; how fast anything is, no test says."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import capture_report, ship
from bench.balancer import Stored, Tally, configuration
from bench.capture_report import Idle, Outcome, Side
from bench.content import BODY_BYTES, SEGMENT_BYTES, contents
from bench.intake import Measured
from bench.ship import Way
from bench.table import table

TREE = Path(__file__).resolve().parents[2]
LINE = b'10.0.0.1:4 [x] http http/<NOSRV> 200 "GET / HTTP/1.1" id=0 pid=%d lc=1 tt=0 n=%d\n'
QUIET = Idle(0.001, 28.0, 44.0)
ALL = Stored(lines=1000, torn=0, repeated=0, bytes=0)


def never(_: Path) -> Measured:
    raise AssertionError("nothing is measured here")


def way(rates: list[float], base: Way | None = None, peak: float = 50, ship_peak: float = 40) -> Way:
    """A row whose rounds had these rates, in MiB/s."""
    return Way("a way", never, base, [Measured(100, 100 / rate, 1, peak, 1, ship_peak) for rate in rates])


def pair(file: list[float], ours: list[float]) -> list[Side]:
    return [Side("file", file, [1.0]), Side("ours", ours, [1.0])]


def test_a_ratio_is_that_of_a_round_and_their_median_is_judged() -> None:
    """The machine was four times slower in the second round, for both."""
    copy = way([400, 100, 400])
    assert ship.missed([copy, way([160, 40, 100], copy)]) == []
    (told,) = ship.missed([copy, way([80, 20, 400], copy)])
    assert "0.20 of the plain copy" in told


def test_memory_beyond_its_bound_is_told_of_shippers_and_of_the_collector_but_not_of_the_copy() -> None:
    copy = way([100], peak=900)
    told = ship.missed([copy, way([100], copy, peak=256, ship_peak=64)])
    assert ["a shipper had 64 MiB" in told[0], "the collector had 256 MiB" in told[1], len(told)] == [True, True, 2]


def test_a_spool_of_the_benchmark_holds_what_its_digest_says(tmp_path: Path) -> None:
    content = contents(16, compressible=False)
    content.begin_spool(tmp_path / "i", 2)
    content.end_spool(tmp_path / "i")
    names = [f"{offset:020}" for offset in range(0, 16 * BODY_BYTES, SEGMENT_BYTES)]
    for program in ("p0", "p1"):
        found = sorted((tmp_path / "i" / program).iterdir())
        assert [path.name for path in found] == names
        assert hashlib.sha256(b"".join(path.read_bytes() for path in found)).hexdigest() == content.digest
    assert json.loads((tmp_path / "i" / "identity.json").read_text())["incarnation"] == "i"


def test_lines_are_counted_through_any_cuts_and_a_torn_or_repeated_one_is_told() -> None:
    text = b"[NOTICE] started\n" + b"".join(LINE % (7, number) for number in range(1, 6)) + LINE % (7, 5)
    for size in (1, 7, 4096):
        tally = Tally()
        for start in range(0, len(text), size):
            tally.take(text[start : start + size])
        assert tally.result() == Stored(lines=6, torn=0, repeated=1, bytes=len(text))
    tally = Tally()
    tally.take((LINE % (7, 1)).replace(b" n=1", b"") + LINE[:40])
    assert tally.result().torn == 2


def test_each_target_of_the_capture_that_is_missed_is_told() -> None:
    good = Outcome("ours", 1, 1000, 0, ALL, 0)
    assert capture_report.missed({1: pair([100, 50], [95, 46])}, [good], QUIET) == []
    (told,) = capture_report.missed({1: pair([100, 50], [80, 40])}, [good], QUIET)
    assert "1 thread: 0.80 of the rate" in told
    (told,) = capture_report.missed({}, [Outcome("ours", 2, 1010, 9, ALL, 9)], QUIET)
    assert "2 threads: 1 missing" in told
    (told,) = capture_report.missed({}, [Outcome("ours", 2, 1009, 9, ALL, 8)], QUIET)
    assert "dropped 9 lines, and the ledger says 8" in told
    (told,) = capture_report.missed({}, [Outcome("ours", 1, 1009, 9, ALL, 9)], QUIET)
    assert "must drop none" in told
    assert len(capture_report.missed({}, [good], Idle(0.03, 46.0, 60.0))) == 2


def test_what_a_file_misses_is_no_fault_of_ours() -> None:
    assert capture_report.missed({}, [Outcome("file", 1, 1009, 9, ALL)], QUIET) == []


def test_haproxy_of_the_benchmark_logs_as_the_images_do() -> None:
    text = configuration(2)
    template = (TREE / "templates" / "haproxy.cfg.j2").read_text()
    log = next(line for line in template.splitlines() if line.strip().startswith("log-format"))
    assert log in text.splitlines()
    assert "    nbthread 2" in text.splitlines()
    assert "stick-table" in text


def test_a_table_is_markdown() -> None:
    assert table(("a", "long head"), [["longer cell", "1"]]).splitlines() == [
        "| a           | long head |",
        "| ----------- | --------: |",
        "| longer cell |         1 |",
    ]


@pytest.mark.parametrize("module", ["bench.ship", "bench.capture"])
def test_a_benchmark_explains_itself_and_refuses_what_makes_no_sense(module: str) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *words], cwd=TREE, capture_output=True, text=True, check=False
        )

    assert "--quick" in run("--help").stdout
    refused = run("--rounds", "-1")
    assert (refused.returncode, "at least 1" in refused.stderr) == (2, True)


def test_a_round_of_each_way_of_taking_in_stores_what_was_sent(tmp_path: Path) -> None:
    """Small, once, and whatever the verdict: every way compares what it stored with what it sent."""
    words = ["--mib", "32", "--rounds", "1", "--dir", str(tmp_path)]
    result = subprocess.run(
        [sys.executable, "-m", "bench.ship", *words], cwd=TREE, capture_output=True, text=True, check=False
    )
    assert result.returncode in (0, 1), result.stderr
    assert "ship to collect, noise" in result.stdout, result.stderr
    assert list(tmp_path.iterdir()) == []
