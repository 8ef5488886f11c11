"""``logship ship --follow`` as a real process: rotated, emptied, deleted files; every byte once, or told as lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logship.cli import main
from tests.logship.ship.server import CollectorServer
from tests.logship.ship.spools import Shipper, Spool, until

KILLS = int(os.environ.get("LOGSHIP_TEST_KILLS", "6"))
FAST = ["--chunk-bytes-max", "65536", "--patience-seconds", "60"]


@pytest.fixture
def server() -> Iterator[CollectorServer]:
    made = CollectorServer()
    yield made
    made.stop()


@pytest.fixture
def ship(server: CollectorServer, tmp_path: Path) -> Iterator[Callable[..., Shipper]]:
    made: list[Shipper] = []

    def start(*patterns: Path | str, once: bool = False) -> Shipper:
        options = ["--follow", *map(str, patterns), *FAST, *(["--once"] if once else [])]
        made.append(Shipper(server.url, options=options, log=tmp_path / "ship.json"))
        return made[-1]

    yield start
    for each in made:
        each.kill()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs" / "x.log"


def streams(server: CollectorServer) -> list[bytes]:
    """The contents of all streams, in the order in which the files were born and their streams made."""
    with server.lock:
        return [bytes(kept.data) for _, kept in sorted(server.model.streams.items())]


def sources(server: CollectorServer) -> list[dict[str, object]]:
    with server.lock:
        return [kept.source for _, kept in sorted(server.model.streams.items())]


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def born_later() -> None:
    """Files are told apart in the order of their birth, which the kernel counts in ticks of 4 to 10 ms."""
    time.sleep(0.03)


@pytest.mark.case(1, 6)
def test_a_file_is_shipped_as_it_grows_and_says_where_it_is(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path
) -> None:
    append(log, b"there before\n")
    ship(log)
    until(lambda: streams(server) == [b"there before\n"], "what was there is shipped")
    append(log, b"no newline yet")
    until(lambda: streams(server) == [b"there before\nno newline yet"], "an open line is shipped as it is")
    source = sources(server)[0]
    assert (source["path"], source["program"], source["service"]) == (str(log), "file", "host")
    assert source["inode"] == str(log.stat().st_ino)


@pytest.mark.case(74)
def test_a_restarted_shipper_goes_on_where_the_stream_ends(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path
) -> None:
    append(log, b"one\n" * 5000)
    assert ship(log, once=True).process.wait(120) == 0
    append(log, b"two\n")
    assert ship(log, once=True).process.wait(120) == 0
    assert streams(server) == [b"one\n" * 5000 + b"two\n"]
    assert not server.model.losses


@pytest.mark.case(17, 18)
def test_what_was_rotated_while_nobody_looked_is_shipped_once_and_in_order(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path
) -> None:
    append(log, b"first\n")
    assert ship(log, once=True).process.wait(120) == 0
    append(log, b"more of the first\n")
    for number, content in ((2, b"second\n"), (1, b"third\n")):
        born_later()
        for old in (2, 1):
            path = log.with_name(f"x.log.{old}")
            if path.exists():
                path.rename(log.with_name(f"x.log.{old + 1}"))
        log.rename(log.with_name("x.log.1"))
        append(log, content)
        assert number
    assert ship(log, once=True).process.wait(120) == 0
    assert streams(server) == [b"first\nmore of the first\n", b"second\n", b"third\n"]
    assert not server.model.losses
    assert ship(log, once=True).process.wait(120) == 0
    assert len(streams(server)) == 3


@pytest.mark.case(37, 40, 41)
def test_a_file_that_was_emptied_begins_a_new_stream_and_says_that_something_may_be_lost(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path
) -> None:
    append(log, b"a long first content\n")
    assert ship(log, once=True).process.wait(120) == 0
    log.write_bytes(b"short\n")
    assert ship(log, once=True).process.wait(120) == 0
    assert streams(server) == [b"a long first content\n", b"short\n"]
    assert sources(server)[1]["continues"]
    assert [loss.bytes for loss in server.model.losses.values()] == [None]
    log.write_bytes(b"other and longer than it was\n")
    assert ship(log, once=True).process.wait(120) == 0
    assert streams(server)[2] == b"other and longer than it was\n"


@pytest.mark.case(39)
def test_a_copy_that_was_made_before_a_file_was_emptied_goes_on_with_its_stream(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path
) -> None:
    append(log, b"begun\n")
    assert ship(log, once=True).process.wait(120) == 0
    append(log, b"written while nobody looked\n")
    born_later()
    shutil.copy(log, log.with_name("x.log.1"))
    log.write_bytes(b"new\n")
    assert ship(log, once=True).process.wait(120) == 0
    assert sorted(streams(server)) == [b"begun\nwritten while nobody looked\n", b"new\n"]
    assert not server.model.losses
    assert ship(log, once=True).process.wait(120) == 0
    assert len(streams(server)) == 2, "the copy is not shipped again"


def copied_and_emptied(log: Path, backups: int = 3) -> None:
    """As logrotate does with copytruncate."""
    born_later()
    for number in range(backups, 0, -1):
        path = log.with_name(f"x.log.{number}")
        if path.exists():
            path.rename(log.with_name(f"x.log.{number + 1}"))
    shutil.copy(log, log.with_name("x.log.1"))
    os.truncate(log, 0)


def renamed(log: Path) -> None:
    """As logrotate does without copytruncate."""
    for number in range(8, 0, -1):
        path = log.with_name(f"x.log.{number}")
        if path.exists():
            path.rename(log.with_name(f"x.log.{number + 1}"))
    log.rename(log.with_name("x.log.1"))


@pytest.mark.case(25, 39)
@pytest.mark.parametrize("between", [False, True])
def test_a_file_that_is_rotated_now_by_copying_it_and_now_by_renaming_it_is_shipped_once(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path, between: bool
) -> None:
    """Each shipper starts after both, and has seen nothing of it."""
    append(log, b"first\n")
    assert ship(log, once=True).process.wait(120) == 0
    for content in (b"second\n", b"fourth\n"):
        append(log, b"and more\n" if content == b"second\n" else b"third\n")
        copied_and_emptied(log)
        append(log, content)
        born_later()
        renamed(log)
        if between:
            assert ship(log, once=True).process.wait(120) == 0
    for _ in range(2):
        assert ship(log, once=True).process.wait(120) == 0
        assert sorted(streams(server)) == [b"first\nand more\n", b"fourth\n", b"second\n", b"third\n"]
        assert not server.model.losses


def test_a_file_that_was_emptied_before_its_first_look_is_read_from_its_copy(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path
) -> None:
    """It was found, and waited for the list of the files that the collector knows, when it was copied and emptied."""
    server.fault = lambda _method, _path: "refuse"
    append(log, b"first\n")
    ship(log)
    until(lambda: bool(server.requests), "it is tried")
    copied_and_emptied(log)
    server.fault = lambda _method, _path: ""
    until(lambda: any(streams(server)), "the copy is stored")
    append(log, b"second\n")
    until(lambda: len([*filter(None, streams(server))]) == 2, "what was written since is stored")
    assert sorted(filter(None, streams(server))) == [b"first\n", b"second\n"]
    assert not server.model.losses


def test_a_copy_of_a_file_that_is_still_empty_goes_on_with_its_stream(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path
) -> None:
    """Copied and emptied while there was no shipper, and nothing was written since."""
    append(log, b"begun\n")
    assert ship(log, once=True).process.wait(120) == 0
    append(log, b"written while nobody looked\n")
    copied_and_emptied(log)
    for _ in range(2):
        assert ship(log, once=True).process.wait(120) == 0
        assert streams(server) == [b"begun\nwritten while nobody looked\n"]
        assert not server.model.losses
    append(log, b"new\n")
    assert ship(log, once=True).process.wait(120) == 0
    assert sorted(streams(server)) == [b"begun\nwritten while nobody looked\n", b"new\n"]
    assert not server.model.losses


@pytest.mark.case(28)
def test_a_copy_of_a_file_that_was_not_emptied_yet_is_not_shipped_beside_it(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path
) -> None:
    """Between the two steps of copytruncate, before anything of the file was stored."""
    append(log, b"begun\n" * 2000)
    born_later()
    shutil.copy(log, log.with_name("x.log.1"))
    assert ship(log, once=True).process.wait(120) == 0
    assert streams(server) == [b"begun\n" * 2000]
    log.write_bytes(b"new\n")
    assert ship(log, once=True).process.wait(120) == 0
    assert sorted(streams(server)) == [b"begun\n" * 2000, b"new\n"]
    assert not server.model.losses


@pytest.mark.case(39)
def test_copies_that_nobody_has_read_go_before_the_file_that_was_emptied(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path
) -> None:
    """Copied and emptied twice before there was a shipper; a later look takes none of them again."""
    for content in (b"first\n", b"second\n"):
        append(log, content)
        copied_and_emptied(log)
    append(log, b"third\n")
    for _ in range(2):
        assert ship(log, once=True).process.wait(120) == 0
        assert streams(server) == [b"first\n", b"second\n", b"third\n"]
        assert not server.model.losses


@pytest.mark.case(39)
@pytest.mark.parametrize("refused", [("PUT", "POST"), ("POST",)])
def test_a_file_that_was_emptied_before_any_of_it_was_stored_goes_on_in_its_copies(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path, refused: tuple[str, ...]
) -> None:
    """It was seen, and refused, when it was copied and emptied, twice."""
    server.fault = lambda method, _: "refuse" if method in refused else ""
    append(log, b"first\n")
    ship(log)
    until(lambda: any(method in refused for method, _ in server.requests), "it is tried")
    copied_and_emptied(log)
    append(log, b"second\n")
    born_later()
    copied_and_emptied(log)
    append(log, b"third\n")
    born_later()
    server.fault = lambda _method, _path: ""
    until(lambda: len(streams(server)) == 3 and all(streams(server)), "all of it is stored")
    assert streams(server) == [b"first\n", b"second\n", b"third\n"]
    assert not server.model.losses


@pytest.mark.case(39, 84)
def test_a_stream_without_a_byte_does_not_make_the_copies_of_its_file_old(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path
) -> None:
    """The shipper was killed between making the stream and the first append."""
    server.fault = lambda method, _: "refuse" if method == "POST" else ""
    append(log, b"first\n")
    process = ship(log)
    until(lambda: "POST" in [method for method, _ in server.requests], "the stream is made")
    process.kill()
    server.fault = lambda _method, _path: ""
    copied_and_emptied(log)
    append(log, b"second\n")
    assert ship(log, once=True).process.wait(120) == 0
    assert sorted(filter(None, streams(server))) == [b"first\n", b"second\n"]
    assert ship(log, once=True).process.wait(120) == 0
    assert sorted(filter(None, streams(server))) == [b"first\n", b"second\n"]


@pytest.mark.case(4, 5, 7, 10, 27)
def test_links_lead_to_one_file_and_what_is_no_file_is_left_alone(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path
) -> None:
    append(log, b"once\n")
    log.with_name("hard.log").hardlink_to(log)
    log.with_name("soft.log").symlink_to(log)
    log.with_name("empty.log").touch()
    os.mkfifo(log.with_name("fifo.log"))
    log.with_name("folder.log").mkdir()
    log.with_name("old.log.gz").write_bytes(b"\x1f\x8b")
    assert ship(log.with_name("*.log*"), once=True).process.wait(120) == 0
    assert streams(server) == [b"once\n"]


@pytest.mark.case(20, 21, 23)
def test_an_inode_that_is_used_again_is_another_file(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path
) -> None:
    append(log, b"the first file\n")
    assert ship(log, once=True).process.wait(120) == 0
    log.unlink()
    born_later()
    append(log, b"the first file\nand another one\n")
    assert ship(log, once=True).process.wait(120) == 0
    assert streams(server) == [b"the first file\n", b"the first file\nand another one\n"]


def test_a_second_shipper_leaves_the_file_alone(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path, tmp_path: Path
) -> None:
    append(log, b"one\n")
    first = ship(log)
    until(lambda: streams(server) == [b"one\n"], "it is shipped")
    second = ship(log)
    until(lambda: "another shipper follows" in (tmp_path / "ship.json").read_text(), "the second one says so")
    first.kill()
    append(log, b"two\n")
    until(lambda: streams(server) == [b"one\ntwo\n"], "the second one takes over")
    second.kill()


def joined(server: CollectorServer) -> bytes:
    """All streams, in the order that the lines themselves say: each begins at a line."""
    contents = [content for content in streams(server) if content]
    return b"".join(sorted(contents, key=lambda content: int(bytes(content).split(b" ", 1)[0])))


@pytest.mark.case(14, 15, 16, 84)
def test_every_byte_of_a_file_that_rotates_arrives_once_while_the_shipper_is_killed(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    enough = threading.Event()
    written = bytearray()
    rotations = 0

    def write() -> None:
        nonlocal rotations
        sizes = random.Random(seed + 1)
        while not enough.is_set():
            with log.open("ab", buffering=0) as file:
                until_at = time.monotonic() + 0.3
                while time.monotonic() < until_at and not enough.is_set():
                    line = b"%d %s\n" % (len(written), b"x" * sizes.randrange(2000))
                    file.write(line)
                    written.extend(line)
                    time.sleep(0.003)
                for number in range(rotations, 0, -1):
                    log.with_name(f"x.log.{number}").rename(log.with_name(f"x.log.{number + 1}"))
                log.rename(log.with_name("x.log.1"))
                rotations += 1
                late = b"%d late\n" % len(written)  # by a writer that has not opened its new file yet
                file.write(late)
                written.extend(late)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    for _ in range(KILLS):
        process = ship(log)
        time.sleep(chance.uniform(0.5, 2))
        process.kill()
    enough.set()
    writer.join(60)
    assert ship(log, once=True).process.wait(180) == 0
    assert joined(server) == bytes(written)
    assert not server.model.losses
    print(f"{rotations} rotations, {len(written)} bytes, {len(streams(server))} streams")


@pytest.mark.case(38, 39)
def test_copies_of_a_file_that_is_emptied_again_and_again_are_not_shipped_beside_it(
    server: CollectorServer, ship: Callable[..., Shipper], log: Path
) -> None:
    """copytruncate under a living shipper that is killed: all lines once but for what is recorded as lost."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    written: list[bytes] = []
    process = ship(log)
    for turn in range(6):
        for _ in range(20):
            written.append(b"%d %s\n" % (len(written), b"x" * chance.randrange(2000)))
            append(log, written[-1])
            time.sleep(0.005)
        if turn % 2:
            process.kill()
            process = ship(log)
        for number in range(turn, 0, -1):
            log.with_name(f"x.log.{number}").rename(log.with_name(f"x.log.{number + 1}"))
        shutil.copy(log, log.with_name("x.log.1"))
        os.truncate(log, 0)
    time.sleep(0.5)
    process.kill()
    append(log, b"%d end\n" % len(written))
    written.append(b"%d end\n" % len(written))
    assert ship(log, once=True).process.wait(180) == 0
    found = [line for content in streams(server) for line in content.splitlines(keepends=True)]
    assert len(found) == len(set(found)), "a line came twice"
    missing = sum(map(len, set(written) - set(found)))
    told = list(server.model.losses.values())
    print(f"{missing} bytes are missing, {len(told)} records")
    assert not missing or told


def test_the_files_that_a_container_declares_are_followed_by_its_ship(
    server: CollectorServer, log: Path, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spools", host=socket.gethostname())
    identity = spool.path / "identity.json"
    identity.write_text(json.dumps({**json.loads(identity.read_text()), "files": [str(log.with_name("*.log"))]}))
    append(log, b"own file\n")
    spool.write("web", b"output\n")
    assert Shipper(server.url, spool.path, options=["--once"]).process.wait(120) == 0
    assert sorted(streams(server)) == [b"output\n", b"own file\n"]
    assert {(source["service"], source["program"]) for source in sources(server)} == {
        ("webapp", "file"), ("webapp", "web")
    }  # fmt: skip
    spool.end()


@pytest.mark.parametrize(
    ("words", "cause"),
    [(["--follow", "x.log"], "begins with /"), (["--follow", "/x.log", "--service", "A b"], "no service's name")],
)
def test_what_cannot_be_followed_is_refused_with_a_remedy(
    words: list[str], cause: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ship", "--to", "http://127.0.0.1:1", *words], {}) == 2
    assert cause in capsys.readouterr().err
