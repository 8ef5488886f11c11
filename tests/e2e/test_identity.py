"""What programs of a container write is what the collector holds, byte for byte, as a judge outside our code finds."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from pathlib import Path

import pytest

from tests.e2e.collected import Collected
from tests.e2e.judge import STREAMS
from tests.e2e.killing import Killer
from tests.e2e.stack import TREE, Stack, docker, eventually
from tests.e2e.test_images import inside

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

LONG = os.environ.get("LONG") == "1"
TROUBLE_SECONDS = 60 if LONG else 10
PLACE = "/judge"


class Trial:
    """A web node in which the judge writes its streams, and a collector."""

    def __init__(self, stack: Stack, folder: Path, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stack = stack
        self.seed = os.environ.get("SEED") or secrets.token_hex(4)
        print(f"SEED={self.seed}")
        self._seconds = seconds
        self._folder = folder / "judge"
        self._folder.mkdir()
        shutil.copy(TREE / "tests" / "e2e" / "judge.py", self._folder)
        declaration = folder / "supervise.toml"
        declaration.write_text(inside("webapp", "cat", "/etc/supervise/supervise.toml") + "\n" + self._programs())
        mounts = [f"{declaration}:/etc/supervise/supervise.toml:ro", f"{self._folder}:{PLACE}"]
        override = {"services": {"webapp": {"volumes": mounts}}}
        (folder / "override.yaml").write_text(json.dumps(override))
        monkeypatch.setenv("COMPOSE_FILE", f"{TREE / 'compose.yaml'}:{folder / 'override.yaml'}")
        stack.up(1, "webapp", "collector")
        eventually("both are healthy", lambda: len(self.ids()) == 2 and stack.healthy(), 90, explain=self._logs)
        self.node, self.collector = self.ids()
        self.incarnation = str(stack.state(self.node)["incarnation"])
        self.collected = Collected(stack)

    def _programs(self) -> str:
        told = ""
        for name in STREAMS:
            command = ["/usr/bin/python3", "-I", f"{PLACE}/judge.py", PLACE, name, self.seed, str(self._seconds)]
            told += f'\n[program.{name}]\ncommand = {json.dumps(command)}\nafter = ["spool"]\n'
        return told

    def _logs(self) -> str:
        return "\n".join(docker("logs", "--tail", "30", container, check=False) for container in self.ids())

    def ids(self) -> list[str]:
        """The node and the collector, as far as they run."""
        return [*self.stack.ids("webapp"), *self.stack.ids("collector")]

    def go(self) -> None:
        """The judge begins to write."""
        (self._folder / "go").touch()

    def said(self) -> dict[str, dict[str, object]]:
        """What the judge says it wrote; waits until it has written all."""

        def written() -> bool:
            return all((self._folder / f"{name}.json").exists() for name in STREAMS)

        eventually("all is written", written, seconds=self._seconds + 120)
        return {name: json.loads((self._folder / f"{name}.json").read_text()) for name in STREAMS}

    def found(self, lengths: dict[str, int]) -> dict[str, dict[str, object]]:
        """What the collector holds, once it is as long as it should be, or for two minutes is not."""

        def complete() -> bool:
            held = {name: self.collected.length(name, self.incarnation) for name in STREAMS}
            return self.collected.answers() and all(held[name] >= size for name, size in lengths.items())

        eventually("the collector answers", self.collected.answers, seconds=60)
        eventually("all has arrived", complete, seconds=120, every=0.5, explain=lambda: str(self.held()))
        found: dict[str, dict[str, object]] = {}
        for name in STREAMS:
            digest, count = hashlib.sha256(), 0
            for piece in self.collected.content(name, self.incarnation):
                digest.update(piece)
                count += len(piece)
            found[name] = {"bytes": count, "sha256": digest.hexdigest()}
        return found

    def held(self) -> dict[str, int]:
        """How much the collector has of each."""
        return {name: self.collected.length(name, self.incarnation) for name in STREAMS}

    def judged(self) -> None:
        """The judgement: every stream is what was written, in one piece, and nothing is lost anywhere."""
        said = self.said()
        began = time.monotonic()
        found = self.found({name: int(str(each["bytes"])) for name, each in said.items()})
        size = sum(int(str(each["bytes"])) for each in said.values())
        print(f"{size} bytes in {len(said)} streams; read back {time.monotonic() - began:.1f} s after the last of them")
        assert found == said
        assert {name: len(self.collected.chain(name, self.incarnation)) for name in STREAMS} == dict.fromkeys(
            STREAMS, 1
        )
        assert self.collected.losses() == []
        assert self.stack.state(self.node)["incarnation"] == self.incarnation, "the container was never restarted"


@pytest.mark.case(50, 51, 52, 53, 54, 55, 57, 58)
def test_every_stream_arrives_as_it_was_written(
    fresh_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NUL, CRLF, lone CR, empty lines, 1 MiB and 20 MB lines, broken UTF-8, noise, single bytes, no final newline."""
    trial = Trial(fresh_stack, tmp_path, 9, monkeypatch)
    trial.go()
    trial.judged()


@pytest.mark.case(47, 84, 85)
def test_kills_of_ship_spool_and_collect_at_random_change_no_byte(
    fresh_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(fresh_stack, tmp_path, TROUBLE_SECONDS + 2, monkeypatch)
    trial.go()
    killers = [
        Killer(trial.node, trial.seed, TROUBLE_SECONDS, "spool", "ship"),
        Killer(trial.collector, trial.seed, TROUBLE_SECONDS, "collect"),
    ]
    kills = killers[0].done() + killers[1].done()
    print(dict(kills))
    trial.judged()
    assert set(kills) == {"spool", "ship", "collect"}, "each was killed"


@pytest.mark.case(79)
def test_an_outage_of_the_collector_changes_no_byte(
    fresh_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(fresh_stack, tmp_path, TROUBLE_SECONDS + 6, monkeypatch)
    trial.go()
    eventually("some has arrived", lambda: min(trial.held().values()) > 0)
    docker("stop", trial.collector)
    time.sleep(TROUBLE_SECONDS)
    docker("start", trial.collector)
    trial.judged()
