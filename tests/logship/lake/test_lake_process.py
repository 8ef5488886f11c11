"""``logship seal`` as a process: killed at any step, on a full disk, beside a collector, and what it says."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import xxhash

from logship.errors import Fault
from logship.lake import merging, tokens
from logship.lake.folder import LAKE, Folder, load
from logship.lake.manifest import Sidecar
from tests.logship.lake.failing import MERGING, POINTS
from tests.logship.lake.lakes import rebuilt
from tests.logship.lake.lakes import seal as seal_once
from tests.logship.lake.test_lake_lines import of_lake, of_viewer
from tests.logship.view.shelf import Shelf
from tests.logship.view.viewing import TREE

LOGSHIP = [sys.executable, "-m", "tests.logship.awake"]
PATIENCE_SECONDS = 120
KILLS = int(os.environ.get("LOGSHIP_TEST_SEAL_KILLS", "5"))


def run(words: list[str], **how: object) -> subprocess.CompletedProcess[str]:
    """One run of a command to its end."""
    environment = {**os.environ, **{name: str(value) for name, value in how.items()}}
    return subprocess.run(
        words, cwd=TREE, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS, env=environment
    )


def segments(shelf: Shelf, count: int, lines: int = 50) -> bytes:
    """Finished segments of one stream; its bytes."""
    written = b""
    for number in range(count):
        data = b"".join(b"%d line%d \xff\n" % (number, line) for line in range(lines)) + b"goes on "
        shelf.append("a/1/x/i", data, packed=True)
        written += data
        shelf.rotate()
    return written


def is_whole(store: Path, written: bytes) -> bool:
    """Whether every line that has an end is in the lake, once."""
    found = b"".join(data for _, _, data in rebuilt(store))
    return found == written[: written.rfind(b"\n") + 1] and of_lake(store) == of_viewer(store, 1 << 62)


def nothing_is_over(store: Path) -> bool:
    """Whether files and filters are those that the manifest names, to the byte, and the filters have all tokens."""
    manifest = load(store)
    assert manifest is not None
    lake = store / LAKE
    for file in manifest.files:
        content = (lake / f"{file.name}.tokens").read_bytes()
        assert file.tokens == Sidecar(len(content), xxhash.xxh3_128_hexdigest(content))
        with duckdb.connect() as connection:
            found = connection.execute("SELECT encode(line) FROM read_parquet(?)", [str(lake / file.name)]).fetchall()
        directory = tokens.parse(content)
        assert isinstance(directory, tokens.Directory)
        (group,) = directory.groups
        filters = content[directory.starts[0] :]
        keys = {key for (line,) in found for key in tokens.keys(bytes(line))}
        assert group.rows == len(found)
        assert all(is_answered(filters, tokens.hashed(key)) for key in keys)
    names = [file.name for file in manifest.files]
    names += [one.name for one in manifest.leaving]  # those that were merged stay for a minute
    named = {f"{name}{ending}" for name in names if name.endswith(".parquet") for ending in ("", ".tokens")}
    there = {str(path.relative_to(lake)) for path in lake.glob("day=*/*")}
    assert there == named, (sorted(there - named), sorted(named - there), manifest.leaving)
    return True


def is_answered(filters: bytes, number: int) -> bool:
    if not filters:
        return True  # nearly all of its lines' bytes are of tokens of their own: all of it is read
    begin = tokens.block(number, len(filters) // tokens.BLOCK_BYTES) * tokens.BLOCK_BYTES
    return tokens.is_in(filters[begin : begin + tokens.BLOCK_BYTES], number)


def test_once_seals_what_is_finished_and_says_so(shelf: Shelf) -> None:
    written = segments(shelf, 2)
    result = run([*LOGSHIP, "seal", "--store", str(shelf.folder), "--once"])
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("logship seal: 100 lines, ")
    said = [json.loads(line) for line in result.stderr.splitlines()]
    assert [line["event"] for line in said] == ["sealing", "sealed", "sealed", "stopped"]
    assert is_whole(shelf.folder, written)


@pytest.mark.parametrize("point", [*POINTS])
def test_killed_at_a_step_the_next_start_goes_on_and_leaves_nothing_over(shelf: Shelf, point: str) -> None:
    written = segments(shelf, 2)
    words = ["seal", "--store", str(shelf.folder), "--once"]
    killed = run([sys.executable, "-m", "tests.logship.lake.failing", point, *words])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    seal_once(shelf.folder)
    assert is_whole(shelf.folder, written)
    assert nothing_is_over(shelf.folder)


@pytest.mark.parametrize("point", [*MERGING])
def test_killed_at_a_step_of_merging_every_line_is_there_once_and_the_next_start_merges(
    shelf: Shelf, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = segments(shelf, 4)
    words = ["seal", "--store", str(shelf.folder), "--once"]
    killed = run([sys.executable, "-m", "tests.logship.lake.failing", point, *words])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert is_whole(shelf.folder, written)
    monkeypatch.setattr(merging, "FILES_MIN", 4)
    done = seal_once(shelf.folder)
    assert is_whole(shelf.folder, written)
    assert len(done.manifest.files) == 1
    seal_once(shelf.folder, now_ms=lambda: 0)  # the small ones have left long ago
    assert nothing_is_over(shelf.folder)


def test_killed_at_any_moment_again_and_again_nothing_is_lost_or_twice(shelf: Shelf) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    written = segments(shelf, 30, 400)
    words = [*LOGSHIP, "seal", "--store", str(shelf.folder)]
    for _ in range(KILLS):
        process = subprocess.Popen(words, cwd=TREE, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        process.stderr.readline()  # it works
        time.sleep(chance.random() * 0.3)
        process.kill()
        process.wait()
        process.stderr.close()
    seal_once(shelf.folder)
    assert is_whole(shelf.folder, written)
    assert nothing_is_over(shelf.folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("left_bytes", [0, 4096, 65_536])
def test_on_a_full_disk_nothing_is_published_and_with_room_it_goes_on(small_disk: Path, left_bytes: int) -> None:
    shelf = Shelf(small_disk / "store")
    data = random.randbytes(100_000).hex().encode() + b"\n"
    for _ in range(2):
        shelf.append("a/1/x/i", data)
    shelf.rotate()
    ballast = small_disk / "ballast"
    left = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    ballast.write_bytes(bytes(left - left_bytes))
    words = [*LOGSHIP, "seal", "--store", str(small_disk / "store"), "--once", "--disk-free-min", "0"]
    full = run(words)
    assert full.returncode == 1
    assert "Traceback" not in full.stderr
    assert list((small_disk / "store").glob("lake/day=*/*")) == []
    ballast.unlink()
    assert run(words).returncode == 0
    assert is_whole(small_disk / "store", data * 2)
    assert nothing_is_over(small_disk / "store")
    shelf.close()


@pytest.mark.parametrize("left_bytes", [4096, 49_152])
def test_on_a_full_disk_nothing_is_merged_and_with_room_it_is(
    small_disk: Path, left_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the end of the disk is met while the file is written, since its estimate is taken away."""
    monkeypatch.setattr(Folder, "free_bytes", lambda _: 1 << 40)
    shelf = Shelf(small_disk / "store")
    written = b""
    for _ in range(4):
        data = random.randbytes(20_000).hex().encode() + b"\n"
        shelf.append("a/1/x/i", data, packed=True)
        shelf.rotate()
        written += data
    before = seal_once(small_disk / "store").manifest
    monkeypatch.setattr(merging, "FILES_MIN", 4)
    ballast = small_disk / "ballast"
    left = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    ballast.write_bytes(bytes(left - left_bytes))
    with pytest.raises(Fault, match="the disk is full"):
        seal_once(small_disk / "store")
    assert load(small_disk / "store") == before
    assert len(list((small_disk / "store").glob("lake/day=*/*.parquet"))) == 4
    assert not list((small_disk / "store").glob("lake/day=*/.fresh*"))
    assert is_whole(small_disk / "store", written)
    ballast.unlink()
    assert len(seal_once(small_disk / "store").manifest.files) == 1
    assert is_whole(small_disk / "store", written)
    shelf.close()


def test_a_disk_that_fills_while_duckdb_writes_is_a_full_disk(small_disk: Path) -> None:
    """The estimate of the room that is needed is taken away, so that the write itself meets the end of the disk."""
    shelf = Shelf(small_disk / "store")
    data = random.randbytes(150_000).hex().encode() + b"\n"
    shelf.append("a/1/x/i", data, packed=True)
    shelf.rotate()
    ballast = small_disk / "ballast"
    left = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
    ballast.write_bytes(bytes(left - 40_960))
    code = "import os,sys; from tests.logship import awake; awake.stay_awake(); "
    code += "from logship.lake.folder import Folder; Folder.free_bytes = lambda _: 1 << 40; "
    code += "from logship.cli import main; sys.exit(main(sys.argv[1:], os.environ))"
    full = run([sys.executable, "-c", code, "seal", "--store", str(small_disk / "store"), "--once"])
    assert full.returncode == 1
    assert "the disk is full" in full.stderr
    assert list((small_disk / "store").glob("lake/day=*/*")) == []
    ballast.unlink()
    seal_once(small_disk / "store")
    assert is_whole(small_disk / "store", data)
    shelf.close()


def test_a_disk_that_fills_while_filters_are_written_is_a_full_disk(small_disk: Path) -> None:
    """What they take is made more than is left, once the file itself is written."""
    shelf = Shelf(small_disk / "store")
    written = segments(shelf, 1)
    code = "import os,sys; from tests.logship import awake; awake.stay_awake(); "
    code += "from logship.lake import seal; from logship.lake.folder import Folder; "
    code += "Folder.free_bytes = lambda _: 1 << 40; real = seal.pack_filters; "
    code += "seal.pack_filters = lambda made: real(made) + bytes(1 << 20); "
    code += "from logship.cli import main; sys.exit(main(sys.argv[1:], os.environ))"
    full = run([sys.executable, "-c", code, "seal", "--store", str(small_disk / "store"), "--once"])
    assert full.returncode == 1
    assert "the disk is full" in full.stderr
    assert list((small_disk / "store").glob("lake/day=*/*")) == []
    seal_once(small_disk / "store")
    assert is_whole(small_disk / "store", written)
    assert nothing_is_over(small_disk / "store")
    shelf.close()


def test_without_the_library_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['duckdb'] = None; from logship.cli import main; sys.exit(main(['seal'], {}))"
    result = run([sys.executable, "-c", code])
    assert result.returncode == 1
    assert "duckdb: it is not installed" in result.stderr
    assert "pip install" in result.stderr


@pytest.mark.parametrize("has_lake", [False, True])
def test_where_it_is_optional_it_says_so_once_and_waits_to_be_stopped(tmp_path: Path, has_lake: bool) -> None:
    if has_lake:
        (tmp_path / LAKE).mkdir()
        (tmp_path / LAKE / "manifest.json").write_text("{}")
    code = "import os, sys; sys.modules['nanoarrow'] = None; from logship.cli import main; "
    code += f"sys.exit(main(['seal', '--optional', '--store', {str(tmp_path)!r}], os.environ))"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=TREE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    told = json.loads(process.stderr.readline())
    assert (told["event"], told["cause"]) == ("off", "nanoarrow is not installed: nothing is sealed")
    assert (f"move {tmp_path / LAKE} away" in told["hint"]) == has_lake
    assert process.poll() is None
    process.terminate()
    assert process.wait(PATIENCE_SECONDS) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.parametrize(
    ("words", "environment", "files"),
    [
        ([], {}, 3),
        (["--keep-bytes", "1"], {}, 0),
        ([], {"LOGSHIP_KEEP_BYTES": "1"}, 0),
        (["--keep-bytes", "1", "--lake-keep-bytes", "0"], {}, 3),
        (["--keep-bytes", "0", "--lake-keep-bytes", "1"], {}, 0),
        (["--keep-days", "1"], {}, 0),
        (["--keep-days", "1", "--lake-keep-days", "36500"], {}, 3),
        (["--lake-keep-streams", "b/*=1"], {}, 3),
        (["--lake-keep-streams", "a/*=1"], {}, 0),
    ],
)
def test_the_lake_is_kept_as_the_journal_is_unless_it_has_a_setting_of_its_own(
    shelf: Shelf, words: list[str], environment: dict[str, str], files: int
) -> None:
    shelf.now_ms = int(time.time() * 1000) - 3 * 86_400_000
    segments(shelf, 3)
    command = [*LOGSHIP, "seal", "--store", str(shelf.folder), "--once", *words]
    result = run(command, **environment)
    assert result.returncode == 0, result.stderr
    manifest = load(shelf.folder)
    assert manifest is not None
    assert len(manifest.files) == files


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (["--lake-keep-bytes=-2"], {}, "--lake-keep-bytes"),
        ([], {"LOGSHIP_LAKE_KEEP_DAYS": "many"}, "LOGSHIP_LAKE_KEEP_DAYS"),
        ([], {"LOGSHIP_LAKE_KEEP_STREAMS": "web/*=soon"}, "--lake-keep-streams"),
    ],
)
def test_a_setting_that_cannot_be_is_a_usage_error(words: list[str], environment: dict[str, str], said: str) -> None:
    result = run([*LOGSHIP, "seal", *words], **environment)
    assert result.returncode == 2
    assert said in result.stderr


def test_it_gives_way_to_whatever_else_there_is_to_do(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "logship", "seal", "--store", str(tmp_path / "store")]
    process = subprocess.Popen(words, cwd=TREE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert json.loads(process.stderr.readline())["event"] == "waiting"
    assert os.sched_getscheduler(process.pid) == os.SCHED_IDLE
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
    process.kill()
    process.wait()
    process.stderr.close()


def test_a_store_that_is_not_there_yet_is_waited_for_and_a_stop_ends_it_in_order(tmp_path: Path) -> None:
    words = [*LOGSHIP, "seal", "--store", str(tmp_path / "store")]
    assert run([*words, "--once"]).returncode == 1
    process = subprocess.Popen(words, cwd=TREE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert json.loads(process.stderr.readline())["event"] == "waiting"
    shelf = Shelf(tmp_path / "store")
    assert json.loads(process.stderr.readline())["event"] == "sealing"
    segments(shelf, 1)
    assert json.loads(process.stderr.readline())["event"] == "sealed"
    other = run([*words, "--once"])
    assert other.returncode == 1
    assert "another process works in it" in other.stderr
    process.terminate()
    assert json.loads(process.stderr.readline())["event"] == "stopped"
    assert process.wait(PATIENCE_SECONDS) == 0
    process.stderr.close()
    shelf.close()
