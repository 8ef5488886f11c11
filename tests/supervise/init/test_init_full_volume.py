"""A volume that takes no spool folder: the container starts all the same, and nothing that it says is lost."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logship.errors import Fault
from supervise.init.folders import begin_spool, make_spool
from tests.logship.ship.server import CollectorServer
from tests.supervise.init.conftest import until

Life = Any

TREE = Path(__file__).resolve().parents[3]
RESTART = "restart = { tries = 0, backoff_seconds = 0.2, backoff_seconds_max = 1, start_seconds = 1 }\n"
PROGRAMS = f"""
[program.ship]
command = ["{sys.executable}", "-m", "logship", "ship", "--to", "URL", "--instance", "1", "--drain-seconds", "0",
    "--spool", "RUN/spool", "--adopt", "VOLUME", "RUN/spools"]
directory = "{TREE}"
ready = {{ started = true }}
{RESTART}
[program.spool]
command = ["{sys.executable}", "-m", "logship", "spool", "--fifo-dir", "RUN/fifo", "--spool", "RUN/spool",
    "--copy-to", "", "--segment-bytes", "262144"]
directory = "{TREE}"
after = ["ship"]
capture = false
ready = {{ started = true }}
{RESTART}
[program.web]
command = ["{sys.executable}", "-c", "WRITER"]
"""
WRITER = """
import os, sys, time
for number in range(COUNT): os.write(1, f'LIFE {number:08}'.encode().ljust(4095, b'.') + bytes([10]))
open('RUN/wrote', 'w').close()
time.sleep(1000)
"""
LINE_BYTES = 4096


@pytest.fixture
def small_volume(life: Life) -> Iterator[Path]:
    """A tmpfs of 2 MiB where the spool folders lie."""
    folder: Path = life.spool_dir
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    life.close()
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(volume: Path) -> None:
    """To the last byte."""
    with contextlib.suppress(OSError), (volume / "ballast").open("ab", buffering=0) as ballast:
        while True:
            ballast.write(bytes(512))


def start(life: Life, url: str, name: str, lines: int) -> Path:
    """A life whose program says so many lines; its spool folder."""
    writer = WRITER.replace("LIFE", name).replace("COUNT", str(lines)).strip().replace("\n", "\\n")
    text = PROGRAMS.replace("WRITER", writer).replace("URL", url)
    life.start(text.replace("RUN", str(life.run_dir)).replace("VOLUME", str(life.spool_dir)))
    until("it runs", lambda: (life.run_dir / "state.json").exists() and life.state()["phase"] == "running")
    spool: Path = (life.run_dir / "spool").resolve()
    return spool


def own_events(folder: Path) -> list[dict[str, Any]]:
    lines = b"".join(path.read_bytes() for path in sorted((folder / "supervise").glob("0*"))).split(b"\n")
    return [json.loads(line) for line in lines[:-1]]


def said(server: CollectorServer, name: str) -> list[bytes]:
    """The lines of the program of one life that the collector holds, in the order of its streams."""
    data = b"".join(bytes(kept.data) for path, kept in sorted(server.model.streams.items()) if f"/web/{name}" in path)
    return [line[:LINE_BYTES] for line in data.split(b"\n") if line]


def test_a_volume_that_is_full_costs_no_start_and_no_line(life: Life, small_volume: Path) -> None:
    """An outage of the collector fills it; the next life keeps its spool beside it; shipping heals all by itself."""
    server = CollectorServer()
    server.stop()
    first = start(life, server.url, "first", 1000)
    until("all is written", (life.run_dir / "wrote").exists)
    told = first / "losses.jsonl"
    until("the volume refuses bytes", lambda: told.exists() and b"No space left" in told.read_bytes())
    fill(small_volume)
    assert life.end() == 0
    fill(small_volume)

    second = start(life, server.url, "second", 10)
    assert second.parent == life.run_dir / "spools"
    assert next(event for event in own_events(second) if event["event"] == "fault")["where"] == "spool"
    (warning,) = life.state()["warnings"]
    assert str(second) in warning
    assert "No space left on device" in warning
    assert not [*small_volume.glob(".new-*")], "what could not be finished is not left there"

    server.start()
    until("the lines of the life beside the volume are there", lambda: len(said(server, second.name)) == 10)
    until("what filled the volume is shipped and gone", lambda: not first.exists())
    held = {int(line[6:14]) for line in said(server, first.name) if len(line) == LINE_BYTES - 1}
    assert held >= set(range(200))
    kept = [each for path, each in server.model.streams.items() if f"/web/{first.name}" in path]
    losses = [loss for loss in server.model.losses.values() if f"/web/{first.name}" in (loss.stream or "")]
    lost = sum(loss.bytes or 0 for loss in losses) + sum(int(str(each.source.get("lost_bytes", 0))) for each in kept)
    assert sum(len(each.data) for each in kept) + lost == 1000 * LINE_BYTES
    assert lost > 0
    assert life.end() == 0

    third = start(life, server.url, "third", 10)
    assert third.parent == small_volume.resolve()
    assert life.state()["warnings"] == []
    until("what the life before kept beside it is gone", lambda: not second.exists())
    until("all of the third life is there", lambda: len(said(server, third.name)) == 10)
    assert len(said(server, second.name)) == 10
    assert life.end() == 0
    server.stop()


def held_open(folder: Path) -> list[str]:
    """What this process has open in a folder; other threads may open and close what they like elsewhere."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(str(each.readlink()))
    return [path for path in found if path.startswith(f"{folder}/")]


def test_a_folder_that_cannot_be_finished_leaves_neither_names_nor_locks(small_volume: Path) -> None:
    fill(small_volume)
    with pytest.raises(Fault, match="No space left on device"):
        make_spool(small_volume, "webapp", "3f2a9c", ["web"], 100)
    assert [path.name for path in small_volume.iterdir()] == ["ballast"]
    assert held_open(small_volume) == []


def test_no_place_at_all_is_a_fault_that_names_both(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Fault) as fault:
        begin_spool(tmp_path / "file" / "run", tmp_path / "file", "webapp", "3f2a9c", ["web"], 100)
    assert str(tmp_path / "file") in fault.value.subject
    assert "spools" in fault.value.subject
