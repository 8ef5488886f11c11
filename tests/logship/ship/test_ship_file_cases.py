"""What happens to files that are followed, a case each: one shipper lives through all, each in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.ship import followed
from tests.logship.ship.server import CollectorServer
from tests.logship.ship.spools import TREE, Shipper, until


class Living:
    """A shipper that follows ``*.log*`` of every folder of ``root``, and what has arrived."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.server = CollectorServer()
        self.shipper = Shipper(
            self.server.url, options=["--follow", str(root / "*" / "*.log*")], log=root / "ship.json"
        )

    def folder(self, name: str) -> Path:
        """A folder of a case."""
        made = self.root / name
        made.mkdir()
        return made

    def stored(self, folder: Path) -> list[bytes]:
        """What has arrived of the files of a folder, the first born first; streams without a byte are left out."""
        with self.server.lock:
            kept = sorted(self.server.model.streams.items())
            found = [bytes(each.data) for _, each in kept if str(each.source["path"]).startswith(f"{folder}/")]
        return [content for content in found if content]

    def losses(self) -> list[int | None]:
        """What is said to be lost, of all."""
        with self.server.lock:
            return [loss.bytes for loss in self.server.model.losses.values()]

    def arrived(self, folder: Path, *contents: bytes) -> None:
        """Wait until just these contents are there."""
        until(lambda: self.stored(folder) == list(contents), f"{contents!r:.300}, not {self.stored(folder)!r:.300}")


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    made = Living(tmp_path_factory.mktemp("living"))
    yield made
    made.shipper.kill()
    made.server.stop()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def born_later() -> None:
    """Streams are named, and so sorted here, by the second of a file's birth."""
    time.sleep(1.1)


@pytest.mark.case(2)
def test_a_file_that_is_made_while_the_shipper_runs_is_shipped_from_its_first_byte(living: Living) -> None:
    folder = living.folder("new")
    append(folder / "x.log", b"first\n")
    living.arrived(folder, b"first\n")
    append(folder / "x.log", b"second\n")
    living.arrived(folder, b"first\nsecond\n")


@pytest.mark.case(3)
def test_files_that_are_made_written_and_closed_between_two_looks_are_shipped_as_a_whole(living: Living) -> None:
    folder = living.folder("quick")
    for number in range(100):
        (folder / f"{number}.log").write_bytes(b"%d\n" % number)
    until(lambda: sorted(living.stored(folder)) == sorted(b"%d\n" % number for number in range(100)), "all are there")


@pytest.mark.case(4)
def test_of_hundreds_of_empty_files_each_is_known_by_itself_once_it_has_a_byte(living: Living, tmp_path: Path) -> None:
    folder = living.folder("empty")
    for number in range(300):
        (folder / f"{number}.log").touch()
    append(folder / "last.log", b"seen\n")
    living.arrived(folder, b"seen\n")
    for number in (7, 299):
        append(folder / f"{number}.log", b"%d\n" % number)
    until(lambda: sorted(living.stored(folder)) == [b"299\n", b"7\n", b"seen\n"], "those with bytes are there")
    assert tmp_path.name not in living.shipper.events()
    assert str(folder / "8.log") not in (living.root / "ship.json").read_text(), "of an empty file nothing is said"


@pytest.mark.case(9)
def test_a_link_that_leads_elsewhere_from_now_on_leaves_nothing_of_the_old_file_behind(living: Living) -> None:
    folder, targets = living.folder("link"), living.root / "targets"
    targets.mkdir()
    link = folder / "x.log"
    append(targets / "a", b"a 1\n")
    link.symlink_to(targets / "a")
    living.arrived(folder, b"a 1\n")
    born_later()
    append(targets / "b", b"b 1\n")
    append(targets / "a", b"a 2\n")
    (folder / "new").symlink_to(targets / "b")
    (folder / "new").rename(link)
    append(targets / "a", b"a 3, by a writer that still has it\n")
    until(lambda: len(living.stored(folder)) == 2, "the new one is shipped")
    living.arrived(folder, b"a 1\na 2\na 3, by a writer that still has it\n", b"b 1\n")


@pytest.mark.case(11)
def test_a_file_that_may_not_be_read_is_tried_again_and_shipped_when_it_may(tmp_path: Path) -> None:
    """Root may read everything, so the shipper is started without that power."""
    log = tmp_path / "x.log"
    log.write_bytes(b"whole\n")
    log.chmod(0)
    server = CollectorServer()
    ship = [sys.executable, "-m", "logship", "ship", "--to", server.url, "--follow", str(log)]
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
    words = [*(drop if os.geteuid() == 0 else []), *ship]
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(words, cwd=TREE, stderr=said)
    until(lambda: b"Permission denied" in (tmp_path / "said").read_bytes(), "it says that it may not")
    assert not server.model.streams
    log.chmod(0o600)
    until(lambda: [bytes(kept.data) for kept in server.model.streams.values()] == [b"whole\n"], "it is shipped")
    process.kill()
    process.wait()
    server.stop()


@pytest.mark.case(13)
def test_where_the_kernel_tells_of_no_change_files_are_found_and_shipped_by_looking(tmp_path: Path) -> None:
    """No instance of inotify is to be had in a name space of users that allows none."""
    log, server = tmp_path / "x.log", CollectorServer()
    ship = [sys.executable, "-m", "logship", "ship", "--to", server.url, "--follow", str(log)]
    none = 'echo 0 > /proc/sys/user/max_inotify_instances && echo none && exec "$0" "$@"'
    command = ["unshare", "-U", "-r", "sh", "-c", none, *ship]
    process = subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    if process.stdout.readline() != b"none\n":
        pytest.skip("no name space of users can be made here")
    content = b""
    for number in range(5):
        append(log, b"%d\n" % number)
        content += b"%d\n" % number
        until(lambda: [bytes(kept.data) for kept in server.model.streams.values()] == [content], "it is there")  # noqa: B023
    process.kill()
    process.communicate()
    server.stop()


@pytest.mark.case(22)
def test_two_living_files_with_the_same_beginning_are_both_shipped(living: Living) -> None:
    folder = living.folder("same")
    for name in ("a.log", "b.log"):
        append(folder / name, b"the same header\n" * 1000)
    same = b"the same header\n" * 1000
    living.arrived(folder, same, same)
    append(folder / "b.log", b"b\n")
    until(lambda: sorted(living.stored(folder)) == [same, same + b"b\n"], "each goes on by itself")


@pytest.mark.case(25, 31)
def test_a_file_that_is_renamed_within_the_pattern_moved_away_and_back_is_one_stream(living: Living) -> None:
    folder, elsewhere = living.folder("moved"), living.root / "elsewhere"
    place = log = folder / "x.log"
    append(log, b"1\n")
    living.arrived(folder, b"1\n")
    for number, target in enumerate((folder / "x.log.1", elsewhere, folder / "y.log", log), 2):
        place = place.rename(target)
        append(place, b"%d\n" % number)
        whole = b"".join(b"%d\n" % each for each in range(1, number + 1))
        until(lambda: whole in living.stored(folder), f"{whole!r} is one stream")  # noqa: B023  # called at once
    assert len(living.stored(folder)) == 1


@pytest.mark.case(29)
def test_a_file_that_is_deleted_while_it_is_open_is_shipped_to_its_end(living: Living) -> None:
    folder = living.folder("deleted")
    with (folder / "x.log").open("ab", buffering=0) as writer:
        writer.write(b"named\n")
        living.arrived(folder, b"named\n")
        (folder / "x.log").unlink()
        writer.write(b"without a name\n")
        living.arrived(folder, b"named\nwithout a name\n")
        writer.write(b"the last word\n")
    living.arrived(folder, b"named\nwithout a name\nthe last word\n")


@pytest.mark.case(32)
def test_a_file_a_day_is_a_stream_a_day_in_the_order_of_birth(living: Living) -> None:
    folder = living.folder("days")
    for day in (23, 24, 25):
        append(folder / f"app-202611{day}.log", b"day %d\n" % day)
        born_later()
    living.arrived(folder, b"day 23\n", b"day 24\n", b"day 25\n")


@pytest.mark.case(34)
def test_rotation_at_the_very_moment_of_a_look_loses_and_doubles_nothing(living: Living) -> None:
    """Two hundred in a row, without a rest: at some of them the shipper is just looking."""
    folder = living.folder("fast")
    log = folder / "x.log"
    for number in range(200):
        append(log, b"%d\n" % number)
        log.rename(folder / f"x.log-{number:06}")
        if number % 20 == 0:
            time.sleep(0.05)
    wanted = sorted(b"%d\n" % number for number in range(200))
    until(lambda: sorted(living.stored(folder)) == wanted, "each is there")
    time.sleep(1)
    assert sorted(living.stored(folder)) == wanted, "and once"


@pytest.mark.case(36)
def test_times_of_files_from_the_future_and_the_past_change_nothing(living: Living) -> None:
    folder = living.folder("times")
    log = folder / "x.log"
    content = b""
    for number, moment in enumerate((4_000_000_000, 0, 1_000_000_000, 4_000_000_000)):
        append(log, b"%d\n" % number)
        os.utime(log, (moment, moment))
        content += b"%d\n" % number
        living.arrived(folder, content)
    born_later()
    log.rename(folder / "x.log.1")
    os.utime(folder / "x.log.1", (4_000_000_000, 4_000_000_000))
    append(log, b"new\n")
    os.utime(log, (0, 0))
    living.arrived(folder, content, b"new\n")


@pytest.mark.case(42)
def test_what_was_shipped_stays_as_it_was_when_the_file_is_rewritten_in_place(living: Living) -> None:
    folder, before = living.folder("rewritten"), len(living.losses())
    log = folder / "x.log"
    lines = b"".join(b"%05d\n" % number for number in range(2000))
    append(log, lines)
    living.arrived(folder, lines)
    with log.open("r+b") as file:  # far from its end: nobody looks there again
        file.write(b"other")
    append(log, b"more\n")
    living.arrived(folder, lines + b"more\n")
    with log.open("r+b") as file:  # in the last 4 KiB
        file.seek(-100, os.SEEK_END)
        file.write(b"other")
    until(lambda: len(living.stored(folder)) == 2, "what is there now is a new stream")
    assert living.stored(folder)[0] == lines + b"more\n"
    until(lambda: living.stored(folder)[1] == log.read_bytes(), "as a whole")
    assert len(living.losses()) == before + 1


@pytest.mark.case(43)
def test_the_hole_that_a_writer_without_o_append_makes_of_an_emptied_file_is_there_as_nuls(living: Living) -> None:
    folder = living.folder("hole")
    log = folder / "x.log"
    with log.open("wb", buffering=0) as writer:
        writer.write(b"line\n" * 2000)
        living.arrived(folder, b"line\n" * 2000)
        os.truncate(log, 0)
        writer.write(b"goes on at its old place\n")
        until(lambda: len(living.stored(folder)) == 2, "it is another stream")
        living.arrived(folder, b"line\n" * 2000, bytes(10_000) + b"goes on at its old place\n")


@pytest.mark.case(37, 45)
def test_a_log_that_is_cleared_by_hand_begins_anew_and_what_was_shipped_stays(living: Living) -> None:
    folder = living.folder("cleared")
    log = folder / "x.log"
    contents = [b"turn %d\n" % turn * (100 - turn) for turn in range(3)]
    for turn, content in enumerate(contents):
        append(log, content)
        until(lambda: len(living.stored(folder)) == turn + 1, "it is there")  # noqa: B023  # called at once
        until(lambda: living.stored(folder)[-1] == content, "as a whole")  # noqa: B023
        os.truncate(log, 0)
        time.sleep(1.2)  # so long that a look falls in between; if none does, the file is still shorter than it was
    assert living.stored(folder) == contents


@pytest.mark.case(19)
def test_of_more_rotations_than_files_are_kept_what_is_left_is_shipped_and_the_loss_recorded(tmp_path: Path) -> None:
    log, server = tmp_path / "x.log", CollectorServer()

    def ship() -> None:
        assert Shipper(server.url, options=["--follow", str(log), "--once"]).process.wait(120) == 0

    append(log, b"first\n")
    ship()
    append(log, b"what nobody saw\n")
    for content in (b"second\n", b"third\n"):
        born_later()
        log.replace(log.with_name("x.log.1"))  # one is kept
        append(log, content)
    ship()
    kept = [kept for _, kept in sorted(server.model.streams.items())]
    assert [bytes(each.data) for each in kept] == [b"first\n", b"second\n", b"third\n"]
    (loss,) = server.model.losses.values()
    assert (loss.bytes, kept[0].closed) == (None, True)
    assert loss.stream == min(server.model.streams)
    server.stop()


@pytest.mark.case(8)
@pytest.mark.parametrize("kind", ["FIFO", "folder"])
def test_what_was_opened_is_judged_not_what_was_there_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Between the look at a path and its opening somebody puts something else there."""
    log = tmp_path / "x.log"
    log.write_bytes(b"a file\n")
    real = os.open

    def late(path: str, *flags: int) -> int:
        log.unlink()
        os.mkfifo(log) if kind == "FIFO" else log.mkdir()
        return real(path, *flags)

    monkeypatch.setattr("logship.ship.followed.os.open", late)
    with pytest.raises(followed.NoFile):
        followed.open_file(str(log))


@pytest.mark.long
@pytest.mark.case(33)
def test_a_writer_that_goes_on_in_a_rotated_file_after_a_rest_is_heard(living: Living) -> None:
    folder = living.folder("held")
    log = folder / "x.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"before\n")
        living.arrived(folder, b"before\n")
        log.rename(folder / "x.log.1")
        born_later()
        append(log, b"new\n")
        contents = b"before\n"
        for pause in (1, 13):  # shorter and longer than the 10 s after which a rotated file is taken to be over
            time.sleep(pause)
            writer.write(b"after %d s\n" % pause)
            contents += b"after %d s\n" % pause
            until(lambda: contents + b"new\n" == b"".join(living.stored(folder)), "it is there", 30)  # noqa: B023


def test_nothing_of_all_that_was_said_to_be_lost_but_what_was_rewritten(living: Living) -> None:
    """Runs last: a loss of known size among these cases would be one that did not happen."""
    assert [size for size in living.losses() if size] == []
