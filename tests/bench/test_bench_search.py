"""What the benchmark of searching makes, asks and concludes; how fast anything is, no test says."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from bench import search_judge as judge
from bench.packages import Unavailable
from bench.search_ask import Viewer, WrongAnswer, ripgrep
from bench.search_judge import Row, Times
from bench.search_lines import PROGRAMS, RARE, Fleet
from bench.search_live import Intake, Latencies, _newest_stamp, write
from bench.search_questions import RAW, Question, compare
from logship.view.moment import own_ms

TREE = Path(__file__).resolve().parents[2]
NOBODY: Any = None


def missed(rows: Iterable[Row] | Row) -> list[bool]:
    return [row.missed for row in ([rows] if isinstance(rows, Row) else rows)]


def question(ours: Any, *others: Any) -> Question:
    asked = {f"{RAW}{number or ''}": (lambda said=said: (said, 1.0)) for number, said in enumerate(others)}
    return Question("what", lambda _: (ours, 1.0), asked, {RAW: 0.5})


def test_lines_are_always_the_same_and_each_says_its_time_which_rises() -> None:
    count = 30_000
    found = list(Fleet(count))
    assert found == list(Fleet(count))
    assert sum(text.count(b"\n") for _, _, text in found) == count
    seen: dict[int, int] = {}
    for now_ms, program, text in found:
        for line in text.splitlines():
            own = own_ms(line, now_ms)
            assert own is not None
            assert seen.get(program, 0) <= own <= now_ms
            seen[program] = own
    assert seen.keys() == set(range(len(PROGRAMS)))


def test_a_few_lines_have_the_rare_word_and_two_the_needle() -> None:
    fleet = Fleet(30_000)
    lines = [(program, line) for _, program, text in fleet for line in text.decode().splitlines()]
    assert sum("deadlock" in line for _, line in lines) == RARE
    needle = fleet.needle()
    holders = [PROGRAMS[program].form for program, line in lines if needle in line]
    assert sorted(holders) == ["json", "ours"]
    forms = Counter(PROGRAMS[program].form for program, _ in lines)
    assert 0.8 < forms["ours"] / len(lines) < 0.84


def test_who_says_something_else_is_told_before_anything_is_timed() -> None:
    assert compare(question([1, 2], [1, 2], [1, 2]), NOBODY) == [1, 2]
    with pytest.raises(WrongAnswer, match=r"ours says \[1, 2\] \(2 in all\), ripgrep on raw1 says \[1\]"):
        compare(question([1, 2], [1, 2], [1]), NOBODY)
    with pytest.raises(WrongAnswer, match="nothing was found"):
        compare(question([], []), NOBODY)


def test_a_ratio_is_that_of_a_round_and_their_median_is_judged() -> None:
    """The machine was four times slower in the second round, for both."""
    times = Times(question(1, 1))
    for ours, other in [(0.4, 1.0), (1.6, 4.0), (1.0, 1.0)]:
        times.take_round(ours, {RAW: other})
    (row,) = times.rows()
    assert (row.seen, row.missed, row.details) == ("0.40", False, "ours 1000, ripgrep on raw 1000")
    times.take_round(0.9, {RAW: 1.0})
    times.take_round(0.9, {RAW: 1.0})
    assert missed(times.rows()) == [True]


def test_each_target_that_is_missed_is_told() -> None:
    assert missed(judge.stored(40, 100, 25)) == [False]
    assert missed(judge.stored(41, 100, 25)) == [True]
    assert missed(judge.sealed(100, 5, 2, 511)) == [False, False]
    assert missed(judge.sealed(100, 6, 2, 512)) == [True, True]
    assert missed(judge.tail([0.024, 0.026, 0.02], [0.003] * 3)) == [False, False]
    assert missed(judge.tail([0.026, 0.026, 0.02], [0.002] * 3)) == [True, True]
    assert missed(judge.first_rows({"a": [0.1], "b": [0.3, 0.1, 0.1]})) == [False]
    assert missed(judge.first_rows({"a": [0.1], "b": [0.3, 0.3, 0.1]})) == [True]


def test_the_slowest_hundredth_is_judged_of_lines_found_and_of_appends() -> None:
    slow = Latencies([0.01] * 98 + [0.5] * 2)
    quick = Latencies([0.01] * 99 + [0.5])
    assert missed(judge.found([slow])) == [True]
    assert missed(judge.found([Latencies([0.01] * 98 + [0.4] * 2)])) == [False]
    assert quick.share_ms(0.5) == 10
    assert missed(judge.intake([Intake(Latencies([0.01]), Latencies([0.03]), 1)])) == [False]
    assert missed(judge.intake([Intake(Latencies([0.01]), slow, 1)])) == [True]


def test_the_program_that_logs_says_when_each_line_was_written(tmp_path: Path) -> None:
    write(tmp_path / "live.log", 0.05)
    lines = (tmp_path / "live.log").read_bytes().splitlines()
    assert len(lines) > 10
    assert own_ms(lines[0], 2**60) is None  # not believed long after
    assert f"id={_newest_stamp(tmp_path / 'live.log'):020}".encode() in lines[-1]


@pytest.fixture
def searcher() -> str:
    try:
        return ripgrep()
    except Unavailable as error:
        pytest.skip(f"no ripgrep: {error}")


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    words = ("--lines", "6000", "--rounds", "1", "--dir", str(folder), *words)
    return subprocess.run(
        [sys.executable, "-m", "bench.search", *words], cwd=TREE, capture_output=True, text=True, check=False
    )


@pytest.mark.usefixtures("searcher")
def test_a_few_lines_are_sealed_and_searched_and_every_answer_is_compared(tmp_path: Path) -> None:
    """Small, once, and whatever the verdict."""
    result = run(tmp_path, "--parts", "seal,search,tail")
    assert result.returncode in (0, 1), result.stderr
    assert result.stderr.count("all say the same") == 6, result.stdout + result.stderr
    for what in ("needle", "one-minute", "seal, memory", "last 100 lines", "first rows", "Beside it: others used"):
        assert what in result.stdout, result.stdout + result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@pytest.mark.usefixtures("searcher")
def test_lines_that_are_written_meanwhile_are_found(tmp_path: Path) -> None:
    result = run(tmp_path, "--parts", "live", "--live-seconds", "3")
    assert "line written to found" in result.stdout, result.stdout + result.stderr
    assert "intake p99" in result.stdout


def test_the_benchmark_explains_itself_and_refuses_what_makes_no_sense(tmp_path: Path) -> None:
    assert "--keep" in run(tmp_path, "--help").stdout
    refused = run(tmp_path, "--rounds", "0")
    assert (refused.returncode, "at least 1" in refused.stderr) == (2, True)


def test_a_viewer_that_refuses_gives_no_time(tmp_path: Path) -> None:
    view = Viewer(0, 9)
    with pytest.raises(ConnectionRefusedError):
        view.ask("/api/logs")
    assert list(tmp_path.iterdir()) == []
