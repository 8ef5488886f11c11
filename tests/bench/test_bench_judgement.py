"""What the benchmarks conclude from their numbers; how fast anything is, no test says."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import capture_report, latency, rivals, taking_in
from bench.balancer import Stored, Tally, configuration
from bench.capture_report import Idle, Outcome, Side
from bench.content import BODY_BYTES, SEGMENT_BYTES, contents
from bench.delivery import Delivered, Run, catch_up, deliver
from bench.intake import Measured
from bench.latency import Ages
from bench.loglines import BLOCK_BYTES, Lines, some_lines
from bench.ours import Logship
from bench.peer import Failed, Started, digests_of_lines
from bench.table import table
from bench.taking_in import Way

TREE = Path(__file__).resolve().parents[2]
LINE = b'10.0.0.1:4 [x] http http/<NOSRV> 200 "GET / HTTP/1.1" id=0 pid=%d lc=1 tt=0 n=%d\n'
QUIET = Idle(0.001, 28.0, 44.0)
ALL = Stored(lines=1000, torn=0, repeated=0, bytes=0)


def never(_: Path) -> Measured:
    raise AssertionError("nothing is measured here")


def way(rates: list[float], base: Way | None = None, peak: float = 50, ship_peak: float = 40) -> Way:
    """A row whose rounds had these rates, in MiB/s."""
    return Way("a way", never, base, found=[Measured(100, 100 / rate, 1, peak, 1, ship_peak) for rate in rates])


def pair(file: list[float], ours: list[float]) -> list[Side]:
    return [Side("file", file, [1.0]), Side("ours", ours, [1.0])]


def test_a_ratio_is_that_of_a_round_and_their_median_is_judged() -> None:
    """The machine was four times slower in the second round, for both."""
    copy = way([400, 100, 400])
    assert taking_in.missed([copy, way([160, 40, 100], copy)]) == []
    (told,) = taking_in.missed([copy, way([80, 20, 400], copy)])
    assert "0.20 of the plain copy" in told


def test_of_the_whole_way_the_ratio_is_printed_and_not_judged() -> None:
    copy = way([400])
    whole = Way("a way", never, copy, judged=False, found=way([80]).found)
    assert whole.row()[2] == "0.20"
    assert taking_in.missed([copy, whole]) == []


def test_memory_beyond_its_bound_is_told_of_shippers_and_of_the_collector_but_not_of_the_copy() -> None:
    copy = way([100], peak=900)
    told = taking_in.missed([copy, way([100], copy, peak=256, ship_peak=64)])
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


def test_a_round_of_each_way_of_taking_in_stores_what_was_sent(tmp_path: Path) -> None:
    """Small, once, and whatever the verdict: every way compares what it stored with what it sent."""
    words = ["--parts", "taking-in", "--mib", "32", "--rounds", "1", "--dir", str(tmp_path)]
    result = subprocess.run(
        [sys.executable, "-m", "bench.ship", *words], cwd=TREE, capture_output=True, text=True, check=False
    )
    assert result.returncode in (0, 1), result.stderr
    assert "ship to collect, noise" in result.stdout, result.stderr
    assert list(tmp_path.iterdir()) == []


def delivered(rate: float, collect: float = 1.0, ship: float = 1.0) -> Delivered:
    return Delivered(100, 100 / rate, collect, ship, 40, 40)


def test_ours_is_measured_by_the_fastest_peer_of_the_same_round_whatever_that_one_promises() -> None:
    """The machine was four times slower in the second round, for all."""
    rounds = [
        {"logship, file": delivered(400), "safe": delivered(20), "fast": delivered(90)},
        {"logship, file": delivered(100), "safe": delivered(5), "fast": delivered(22)},
        {"logship, file": delivered(400), "safe": delivered(99)},
    ]
    assert rivals.rate_missed(rounds, 4.0) == []
    (told,) = rivals.rate_missed(rounds, 4.5)
    assert "logship, file: 4.44 times the fastest peer" in told


def test_each_side_is_measured_by_the_thriftiest_peer_on_that_side() -> None:
    one = {"logship, file": delivered(1, 3.4, 3.6), "a": delivered(1, 10, 30), "b": delivered(1, 30, 10)}
    (told,) = rivals.cpu_missed([one])
    assert "shippers: 0.36 of the CPU" in told
    assert rivals.cpu_missed([{**one, "logship, file": delivered(1, 3.4, 3.4)}]) == []


def test_the_slowest_hundredth_of_the_lines_is_judged_alone_and_beside_rsyslogs() -> None:
    def found(p99: float) -> Ages:
        return Ages([0.001] * 98 + [p99 / 1000] * 2, 0.1, 0.1)

    assert rivals.latency_missed([{"logship, file": found(20), "rsyslog": found(10)}]) == []
    (told,) = rivals.latency_missed([{"logship, file": found(21), "rsyslog": found(10)}])
    assert "p99 is 2.10 times rsyslog's" in told
    (told,) = rivals.latency_missed([{"logship, file": found(100), "rsyslog": found(90)}])
    assert "it must be under 100" in told


def test_lines_of_the_benchmark_are_as_many_bytes_as_was_asked_and_say_who_wrote_them() -> None:
    text = some_lines("w03", 1, 100_000)
    assert len(text) == 100_000
    lines = text.splitlines(keepends=True)
    assert all(line.startswith(b"w03 ") and line.endswith(b"\n") for line in lines)
    assert 230 < len(text) / len(lines) < 290
    assert len(set(lines)) == len(lines)


def test_lines_of_several_writers_in_one_file_are_told_apart(tmp_path: Path) -> None:
    blocks = [some_lines(writer, 1, 10_000).splitlines(keepends=True) for writer in ("w00", "w01")]
    mixed = b"".join(line for pair in zip(*blocks, strict=False) for line in pair)
    (tmp_path / "out").write_bytes(mixed)
    wanted = {
        f"w0{number}": hashlib.sha256(b"".join(block[: min(map(len, blocks))])).hexdigest()
        for number, block in enumerate(blocks)
    }
    assert digests_of_lines(tmp_path / "out") == wanted


def test_ours_delivers_what_was_written_by_files_and_by_spools_and_after_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.delivery.OUTAGE_SECONDS", 0)
    ways: list[tuple[str, Callable[[Path], Delivered]]] = [
        ("file", lambda folder: deliver(Logship(), folder, 2, 8)),
        ("spool", lambda folder: deliver(Logship(spool=True), folder, 1, 4)),
        ("outage", lambda folder: catch_up(Logship(), folder, 1, 4)),
    ]
    for name, work in ways:
        folder = tmp_path / name
        folder.mkdir()
        found = work(folder)
        assert found.mib == (8 if name == "file" else 4)
        assert found.collect_cpu + found.ship_cpu > 0, "in hundredths of a second: one of them may be none"


def test_a_wrong_byte_is_no_result(tmp_path: Path) -> None:
    with Started() as started:
        run = Run(Logship(), tmp_path, 1, 4, started)
        run.warm_up()
        run.write()
        run.wait(run.total)
        run.compare()
        with run.sources[0].path.open("ab") as file:
            file.write(b"w00 x\n")
        run.wait(run.total + 6)
        with pytest.raises(Failed, match="what arrived of w00 is not what was written"):
            run.compare()


def test_every_line_that_is_written_at_a_steady_rate_is_seen(tmp_path: Path) -> None:
    found = latency.ages(Logship(), tmp_path, 0.3)
    assert len(found.sorted_ages) > 1000
    assert 0 < found.share(0.5) <= found.share(0.99)


def test_a_part_of_lines_is_their_beginning() -> None:
    lines = Lines(0, 2 * BLOCK_BYTES)
    assert b"".join(lines.part(BLOCK_BYTES)) == next(iter(lines))
