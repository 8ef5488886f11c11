"""Contract of the disk and its names: the simulated kernel answers as the real one does."""

from __future__ import annotations

import errno
import os as real
import stat
from typing import Any

import pytest

from tests.sim.contract import Machine

NEW = real.O_RDWR | real.O_CREAT
READ = real.O_RDONLY


def put(on: Any, name: str, content: bytes) -> None:
    descriptor = on.os.open(on.root / name, NEW, 0o644)
    assert on.os.write(descriptor, content) == len(content)
    on.os.close(descriptor)


def content(on: Any, name: str) -> bytes:
    return bytes((on.root / name).read_bytes())


def names(on: Any) -> list[str]:
    with on.os.scandir(on.root) as entries:
        return sorted(entry.name for entry in entries)


def test_a_name_that_is_not_there_cannot_be_opened(machine: Machine) -> None:
    def body(on: Any) -> None:
        put(on, "file", b"")
        for path in (on.root / "no", on.root / "no" / "deeper"):
            with pytest.raises(FileNotFoundError):
                on.os.open(path, READ)
            with pytest.raises(FileNotFoundError):
                on.os.stat(path)
        with pytest.raises(FileNotFoundError):
            on.os.open(on.root / "no" / "deeper", NEW)
        with pytest.raises(NotADirectoryError):
            on.os.open(on.root / "file" / "deeper", READ)
        with pytest.raises(NotADirectoryError):
            on.os.open(on.root / "file", READ | real.O_DIRECTORY)
        with pytest.raises(IsADirectoryError):
            on.os.open(on.root, real.O_WRONLY)
        with pytest.raises(NotADirectoryError):
            on.os.scandir(on.root / "file")

    machine.run(body)


def test_bytes_are_where_they_were_written(machine: Machine) -> None:
    def body(on: Any) -> None:
        file = on.os.open(on.root / "file", NEW | real.O_TRUNC, 0o644)
        assert on.os.write(file, b"abc") == 3
        assert on.os.write(file, b"de") == 2
        assert on.os.pwrite(file, b"X", 1) == 1
        assert on.os.pwritev(file, [b"12", b"3"], 6) == 3
        assert on.os.pread(file, 100, 0) == b"aXcde\x00123"
        assert on.os.pread(file, 2, 3) == b"de"
        assert on.os.pread(file, 5, 9) == b""
        assert on.os.read(file, 100) == b"\x00123"
        on.os.ftruncate(file, 2)
        assert on.os.fstat(file).st_size == 2
        on.os.ftruncate(file, 4)
        assert on.os.pread(file, 100, 0) == b"aX\x00\x00"
        on.os.fsync(file)
        on.os.fdatasync(file)
        on.os.close(file)
        with pytest.raises(OSError, match="Bad file") as error:
            on.os.pread(file, 1, 0)
        assert error.value.errno == errno.EBADF
        on.os.close(on.os.open(on.root / "file", NEW | real.O_TRUNC))
        assert content(on, "file") == b""

    machine.run(body)


def test_appending_goes_to_the_end_whoever_else_writes(machine: Machine) -> None:
    def body(on: Any) -> None:
        one = on.os.open(on.root / "file", NEW | real.O_APPEND, 0o644)
        two = on.os.open(on.root / "file", NEW | real.O_APPEND)
        for file, word in ((one, b"a"), (two, b"b"), (one, b"c")):
            on.os.write(file, word)
        assert content(on, "file") == b"abc"

    machine.run(body)


def test_a_file_lives_as_long_as_it_is_open(machine: Machine) -> None:
    def body(on: Any) -> None:
        put(on, "old", b"old")
        put(on, "new", b"new")
        gone, kept = on.os.open(on.root / "old", READ), on.os.open(on.root / "new", READ)
        (on.root / "new").replace(on.root / "old")
        assert names(on) == ["old"]
        assert on.os.pread(gone, 9, 0) == b"old"
        assert on.os.pread(kept, 9, 0) == content(on, "old") == b"new"
        assert on.os.fstat(kept).st_ino == on.os.stat(on.root / "old").st_ino != on.os.fstat(gone).st_ino
        assert (on.os.fstat(gone).st_nlink, on.os.fstat(kept).st_nlink) == (0, 1)
        (on.root / "old").unlink()
        assert on.os.pread(kept, 9, 0) == b"new"
        (on.root / "old").unlink(missing_ok=True)
        with pytest.raises(FileNotFoundError):
            (on.root / "old").unlink()
        with pytest.raises(FileNotFoundError):
            (on.root / "old").rename(on.root / "new")

    machine.run(body)


def test_folders_hold_names(machine: Machine) -> None:
    def body(on: Any) -> None:
        deep = on.root / "a" / "b"
        with pytest.raises(FileNotFoundError):
            deep.mkdir()
        deep.mkdir(parents=True)
        with pytest.raises(FileExistsError):
            deep.mkdir()
        deep.mkdir(exist_ok=True)
        put(on, "a/b/file", b"x")
        with pytest.raises(OSError, match="not empty"):
            deep.rmdir()
        with on.os.scandir(on.root / "a") as entries:
            assert [(entry.name, entry.is_dir(), real.fspath(entry.path)) for entry in entries] == [
                ("b", True, str(deep))
            ]
        with on.os.scandir(deep) as entries:
            (entry,) = entries
            assert not entry.is_dir()
            assert entry.stat().st_size == 1
        (on.root / "a").rename(on.root / "c")
        assert content(on, "c/b/file") == b"x"
        assert (on.root / "c").is_dir()
        assert not (on.root / "a").exists()
        assert not (on.root / "c" / "b" / "file").is_dir()
        (on.root / "c" / "b" / "file").unlink()
        (on.root / "c" / "b").rmdir()
        assert [path.name for path in on.root.iterdir()] == ["c"]
        assert stat.S_ISDIR(on.os.stat(on.root / "c").st_mode)

    machine.run(body)


def test_a_folder_s_time_moves_with_its_names_alone(machine: Machine) -> None:
    def body(on: Any) -> None:
        put(on, "file", b"x")
        times = [on.os.stat(on.root).st_mtime_ns]

        def moved() -> bool:
            on.time.sleep(0.02)
            times.append(on.os.stat(on.root).st_mtime_ns)
            return bool(times[-1] > times[-2])

        on.time.sleep(0.02)
        put(on, "other", b"")
        assert moved()
        put(on, "file", b"longer")
        assert not moved()
        (on.root / "file").rename(on.root / "third")
        assert moved()
        (on.root / "other").unlink()
        assert moved()

    machine.run(body)


def test_a_lock_is_of_an_open_file_and_goes_with_its_last_descriptor(machine: Machine) -> None:
    def body(on: Any) -> None:
        exclusive = on.fcntl.LOCK_EX | on.fcntl.LOCK_NB
        put(on, "lock", b"")
        one, two = on.os.open(on.root / "lock", READ), on.os.open(on.root / "lock", READ)
        on.fcntl.flock(one, exclusive)
        on.fcntl.flock(one, exclusive)
        with pytest.raises(BlockingIOError):
            on.fcntl.flock(two, exclusive)
        high = on.fcntl.fcntl(one, on.fcntl.F_DUPFD_CLOEXEC, 200)
        assert high >= 200
        on.os.close(one)
        with pytest.raises(BlockingIOError):
            on.fcntl.flock(two, exclusive)
        on.os.close(high)
        on.fcntl.flock(two, exclusive)
        folder = on.os.open(on.root, READ | real.O_DIRECTORY)
        on.fcntl.flock(folder, exclusive)
        on.os.close(folder)
        on.os.close(two)

    machine.run(body)


def test_a_link_to_a_descriptor_leads_to_its_file(machine: Machine) -> None:
    def body(on: Any) -> None:
        memory = on.os.memfd_create("sink", on.os.MFD_CLOEXEC)
        (on.root / "link").symlink_to(f"/proc/{on.os.getpid()}/fd/{memory}")
        other = on.os.open(on.root / "link", real.O_RDWR)
        assert on.os.pwrite(other, b"lost", 3) == 4
        assert on.os.fstat(memory).st_size == 7
        on.os.close(other)
        on.os.close(memory)

    machine.run(body)


def test_a_file_keeps_its_time_of_birth_whatever_it_is_called(machine: Machine) -> None:
    def body(on: Any) -> None:
        put(on, "one", b"x")
        on.time.sleep(0.03)
        put(on, "two", b"y")
        first, second = on.os.open(on.root / "one", READ), on.os.open(on.root / "two", READ)
        born = on.birth_ns(first)
        if born is None:
            pytest.skip("this file system knows no time of birth")
        assert born < on.birth_ns(second) <= on.time.time_ns()
        (on.root / "one").rename(on.root / "three")
        put(on, "three", b"longer")
        assert on.birth_ns(first) == born

    machine.run(body)


def test_patterns_name_what_is_there(machine: Machine) -> None:
    def body(on: Any) -> None:
        for name in ("x.log", "y.log", "x.log.1", ".z.log", "x.txt"):
            put(on, name, b"")
        root = real.fspath(on.root)
        assert sorted(on.os.listdir(root)) == [".z.log", "x.log", "x.log.1", "x.txt", "y.log"]
        assert sorted(on.glob.glob(f"{root}/*.log", recursive=True)) == [f"{root}/x.log", f"{root}/y.log"]
        assert on.glob.glob(f"{root}/*.log[.-][0-9]*", recursive=True) == [f"{root}/x.log.1"]
        assert on.glob.glob(f"{root}/x.log", recursive=True) == [f"{root}/x.log"]
        assert on.glob.glob(f"{root}/no/*.log", recursive=True) == []
        assert on.os.path.realpath(f"{root}/x.log") == f"{root}/x.log"

    machine.run(body)
