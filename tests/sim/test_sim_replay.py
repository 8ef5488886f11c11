"""A seed is one history, wherever it is played; a failure is told by a shorter one; the command says both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim import lab
from tests.sim.__main__ import main
from tests.sim.plan import make
from tests.sim.play import play, play_seed
from tests.sim.shrink import shrunk

TREE = Path(__file__).resolve().parents[2]
SEEDS = range(100, 140)
SCRIPT = "import sys; from tests.sim.play import play_seed; [print(play_seed(int(s)).trace) for s in sys.argv[1:]]"


@pytest.mark.parametrize("hash_seed", ["0", "12345", "random"])
def test_a_seed_is_the_same_history_in_another_process(hash_seed: str, traces: list[str]) -> None:
    """Also played backwards, so that nothing is left of one that the next could see."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, reversed(SEEDS))],
        cwd=TREE,
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(TREE)},
        capture_output=True,
        check=True,
        timeout=600,
    )
    assert done.stdout.decode().split() == traces[::-1]


@pytest.fixture(scope="module")
def traces() -> list[str]:
    found = [play_seed(seed).trace for seed in SEEDS]
    assert len({*found}) == len(SEEDS), "seeds are different histories"
    return found


@pytest.mark.timeout(600)
def test_a_failure_is_told_by_a_shorter_history_that_fails_the_same_way() -> None:
    patches = lab.patches_of("no digest check")
    (outcome,) = lab.look(range(100), "no digest check", failures_max=1, workers=1).failures
    short = shrunk(outcome.plan, lambda plan: play(plan, patches).violated == outcome.violated, 150)
    assert play(short, patches).violated == outcome.violated == "bytes identical"
    assert short.size < outcome.plan.size
    assert any(fate.kind == "garble" for _, fate in short.fates)


def test_a_replayed_seed_tells_what_happens(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "17"]) == 0
    told = capsys.readouterr().out
    assert "every invariant holds" in told
    assert str(make(17).knobs) in told
    assert "collect starts" in told


def test_many_seeds_end_with_what_went_wrong_in_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "20"]) == 0
    told = capsys.readouterr().out
    assert "20 seeds" in told
    assert "0 violations" in told
    assert "kill collect" in told


@pytest.mark.timeout(600)
def test_a_mutation_is_found_told_and_can_be_played_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "100", "--mutation", "no digest check", "--no-shrink"]) == 1
    told = capsys.readouterr().out
    assert "bytes identical" in told
    again = told.strip().splitlines()[-1]
    assert again.endswith('MUTATION="no digest check"')
    seed = again.partition("SEED=")[2].split()[0]
    assert main(["--seed", seed, "--mutation", "no digest check", "--no-shrink"]) == 1
    assert "bytes identical" in capsys.readouterr().out
