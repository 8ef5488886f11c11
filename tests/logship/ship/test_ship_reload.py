"""SIGHUP: the settings file is read again, as a whole or not at all; nothing is lost, nothing comes twice."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logship.cli import main
from logship.errors import Fault
from logship.ship.given import read
from tests.logship.ship.server import CollectorServer
from tests.logship.ship.spools import Shipper, until


@pytest.fixture
def servers() -> Iterator[tuple[CollectorServer, CollectorServer]]:
    made = CollectorServer(), CollectorServer()
    yield made
    for each in made:
        each.stop()


class Configured:
    """A shipper that lives by a settings file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "logship.toml"
        self.log = folder / "ship.json"
        self.shipper: Shipper | None = None

    def write(self, to: CollectorServer, *patterns: Path) -> None:
        """What it is to do."""
        self.file.write_text(f"[ship]\nto = {json.dumps(to.url)}\nfollow = {json.dumps([*map(str, patterns)])}\n")

    def start(self) -> None:
        """As a process; the file alone says where to and what."""
        words = ["--config", str(self.file), "--drain-seconds", "30"]
        self.shipper = Shipper("", options=words, log=self.log)
        until(lambda: self.log.exists() and "started" in self.shipper_events(), "it has started")

    def hang_up(self) -> None:
        """SIGHUP, and wait for what it says to that."""
        assert self.shipper is not None
        before = len(self.said())
        self.shipper.process.send_signal(signal.SIGHUP)
        until(lambda: len(self.said()) > before, "it says what became of it")

    def said(self) -> list[dict[str, object]]:
        """What it says of its settings."""
        assert self.shipper is not None
        return [line for line in self.shipper.said() if str(line["event"]).startswith("settings ")]

    def shipper_events(self) -> list[str]:
        """What it logged."""
        assert self.shipper is not None
        return self.shipper.events()


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Configured]:
    made = Configured(tmp_path)
    yield made
    if made.shipper is not None:
        made.shipper.kill()


def contents(server: CollectorServer) -> dict[str, bytes]:
    """Each stream by the last name of its path; a chain of them joined."""
    with server.lock:
        found: dict[str, bytes] = {}
        for _, kept in sorted(server.model.streams.items()):
            name = Path(str(kept.source["path"])).name
            found[name] = found.get(name, b"") + bytes(kept.data)
        return found


def has(server: CollectorServer, **wanted: bytes) -> Callable[[], bool]:
    return lambda: all(contents(server).get(f"{name}.log") == content for name, content in wanted.items())


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@pytest.mark.case(104)
def test_patterns_come_and_go_while_files_grow_and_every_byte_is_there_once(
    servers: tuple[CollectorServer, CollectorServer], configured: Configured, tmp_path: Path
) -> None:
    server, _ = servers
    a, b = tmp_path / "a.log", tmp_path / "b.log"
    append(a, b"a1\n")
    append(b, b"b1\n")
    configured.write(server, a)
    configured.start()
    until(has(server, a=b"a1\n"), "the one is shipped")
    assert "b.log" not in contents(server)
    configured.write(server, b)
    append(a, b"a2, before anybody knew\n")
    configured.hang_up()
    until(has(server, a=b"a1\na2, before anybody knew\n", b=b"b1\n"), "the other one, and what the one had")
    until(lambda: all(kept.closed for kept in server.model.streams.values() if kept.source["path"] == str(a)), "closed")
    append(a, b"a3\n")
    append(b, b"b2\n")
    until(has(server, b=b"b1\nb2\n"), "only the other one is followed")
    time.sleep(0.5)
    assert contents(server)["a.log"] == b"a1\na2, before anybody knew\n"
    configured.write(server, tmp_path / "*.log")
    configured.hang_up()
    until(has(server, a=b"a1\na2, before anybody knew\na3\n", b=b"b1\nb2\n"), "both, each byte once")
    assert not server.model.losses
    assert configured.shipper is not None
    assert configured.shipper.stop() == 0


@pytest.mark.case(104)
def test_another_target_gets_all_that_the_files_hold_and_the_first_one_nothing_more(
    servers: tuple[CollectorServer, CollectorServer], configured: Configured, tmp_path: Path
) -> None:
    first, second = servers
    log = tmp_path / "a.log"
    lines = [b"%d %s\n" % (number, b"x" * 1000) for number in range(5000)]
    configured.write(first, log)
    append(log, b"".join(lines[:4000]))
    configured.start()
    until(lambda: contents(first), "it has begun")
    configured.write(second, log)
    configured.hang_up()
    append(log, b"".join(lines[4000:]))
    until(has(second, a=b"".join(lines)), "the new target has all")
    kept = contents(first)["a.log"]
    assert b"".join(lines).startswith(kept)
    configured.write(first, log)
    configured.hang_up()
    until(has(first, a=b"".join(lines)), "back again, the first one has all, once")
    assert not first.model.losses
    assert not second.model.losses


@pytest.mark.case(105)
@pytest.mark.parametrize("text", ['[ship]\nfollow = ["x.log"]\n', None])
def test_of_a_bad_new_file_the_fault_is_named_and_the_old_settings_go_on(
    servers: tuple[CollectorServer, CollectorServer], configured: Configured, tmp_path: Path, text: str | None
) -> None:
    server, _ = servers
    log = tmp_path / "a.log"
    append(log, b"1\n")
    configured.write(server, log)
    configured.start()
    until(has(server, a=b"1\n"), "it is shipped")
    if text is None:
        configured.file.unlink()
    else:
        configured.file.write_text(text)
    configured.hang_up()
    said = configured.said()[-1]
    assert (said["event"], said["level"]) == ("settings refused", "error")
    assert str(configured.file) in str(said["text"])
    assert "what was read before stays" in str(said["text"])
    append(log, b"2\n")
    until(has(server, a=b"1\n2\n"), "it goes on")


@pytest.mark.parametrize(
    ("text", "line", "cause"),
    [
        ('[ship]\nfollow = ["/a"\n', "", "Unclosed array"),
        ('[ship]\n\nfollow = ["x.log"]\n', ":3", "depends on the folder"),
        ('[ship]\nto = "https://collector"\n', ":2", "no plain http URL"),
        ('[ship]\nto = "http://127.0.0.1:1"\nfolow = []\n', ":3", "there is no folow"),
        ("[ship]\nto = 1\n", ":2", "no text"),
        ('[ship]\nfollow = "/a"\n', ":2", "no list of texts"),
        ('[ship]\nfollow = ["/a", 1]\n', ":2", "no list of texts"),
        ("ship = 1\n", ":1", "no table"),
        ("# \xff", "", "can't decode"),
    ],
)
def test_each_fault_of_a_settings_file_is_told_with_its_line(tmp_path: Path, text: str, line: str, cause: str) -> None:
    file = tmp_path / "logship.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(Fault) as caught:
        read(file)
    assert caught.value.status == 2
    assert cause in str(caught.value)
    assert f"{file}{line}" in str(caught.value)


def test_options_come_before_the_file_and_a_bad_file_is_refused_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "logship.toml"
    file.write_text('[ship]\nfollow = ["here.log"]\n')
    assert main(["ship", "--once", "--config", str(file)], {}) == 2
    assert f"{file}:2" in capsys.readouterr().err
    file.write_text('[ship]\nto = "http://127.0.0.1:1"\n[collect]\nkeep_days = 3\n')
    (tmp_path / "a.log").write_bytes(b"1\n")
    words = ["--to", "http://127.0.0.1:2", "--follow", str(tmp_path / "a.log"), "--patience-seconds", "0.2"]
    assert main(["ship", "--once", "--config", str(file), *words], {}) == 1
    said = [json.loads(each) for each in capsys.readouterr().err.splitlines()]
    assert said[0]["to"] == "http://127.0.0.1:2"
