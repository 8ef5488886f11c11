"""What stands for ``os`` and ``fcntl`` in the code under test: its system calls, done by a simulated kernel.

Every call is a step at which the calling process may end or others may come between. Only what the code under test
uses is here, and a call that is not here fails loudly: nothing of a simulated world reaches the real disk. The tests
``test_contract_*`` hold it to the real one.
"""

from __future__ import annotations

import errno
import fcntl as real_fcntl
import fnmatch
import glob as real_glob
import os as real
import stat
from collections.abc import Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from tests.sim.disk import PAGE, FileSystem, Inode
from tests.sim.engine import Engine
from tests.sim.facts import Entry, Facts, Listing
from tests.sim.process import OpenFile, Process


class Named:
    """What has its path as ``text``: what stands for ``Path``."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __fspath__(self) -> str:
        return self.text


Name = str | Named | real.PathLike[str]


@lru_cache(maxsize=65536)
def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)


_strerror = lru_cache(real.strerror)


def refused(number: int, name: object = "") -> OSError:
    """An OSError as the kernel would give it."""
    return OSError(number, _strerror(number), str(name))


class Paths:
    """``os.path``: there are no links but those to descriptors and to the newest segment."""

    realpath = staticmethod(real.path.normpath)
    split = staticmethod(real.path.split)
    splitext = staticmethod(real.path.splitext)
    samestat = staticmethod(real.path.samestat)


class Os:
    """``os`` and ``fcntl`` for whichever process runs."""

    path = Paths
    fspath = staticmethod(real.fspath)
    fsencode = staticmethod(real.fsencode)
    strerror = staticmethod(real.strerror)
    O_RDONLY, O_WRONLY, O_RDWR = real.O_RDONLY, real.O_WRONLY, real.O_RDWR
    O_CREAT, O_TRUNC, O_EXCL, O_APPEND = real.O_CREAT, real.O_TRUNC, real.O_EXCL, real.O_APPEND
    O_CLOEXEC, O_DIRECTORY, O_NONBLOCK, O_NOCTTY = real.O_CLOEXEC, real.O_DIRECTORY, real.O_NONBLOCK, real.O_NOCTTY
    SCHED_IDLE, sched_param = real.SCHED_IDLE, real.sched_param
    SPLICE_F_NONBLOCK, MFD_CLOEXEC = real.SPLICE_F_NONBLOCK, real.MFD_CLOEXEC

    def __init__(self, engine: Engine, epoch: float = 1_795_464_901.0) -> None:
        self.engine = engine
        self.epoch = epoch
        self.processes: dict[int, Process] = {}

    @property
    def process(self) -> Process:
        """Who calls."""
        task = self.engine.current
        assert task is not None, "a system call outside of any process"
        return task.owner  # type: ignore[return-value]  # the only owner of threads there is

    def enter(self) -> Process:
        """A system call begins."""
        process: Process = self.engine.current.owner  # type: ignore[union-attr,assignment]  # ``process``, but at once
        if process.dead or process.fuse:
            process.enter()
        elif process.linger and process.random.random() < process.linger:  # as ``Process.enter`` has it
            self.engine.block(process.random.random() * 0.01)
        return process

    # Names.

    def find(self, process: Process, path: Name) -> Inode:
        """What has this name. Raises OSError."""
        text = path.text if isinstance(path, Named) else real.fspath(path)
        above, _, name = text.rpartition("/")
        folder = process.fs.known.get(above)
        if folder is None:
            folder = process.fs.root
            for part in _parts(above):
                folder = self._in(folder, part, text)
            if folder.is_folder:
                process.fs.known[above] = folder
        found = folder.names.get(name)
        return found if found is not None else self._in(folder, name, text)

    def _in(self, folder: Inode, name: str, path: str) -> Inode:
        if not name:  # "/" alone, or at the end
            return folder
        found = folder.names.get(name)
        if found is None:
            raise refused(errno.ENOENT if folder.is_folder else errno.ENOTDIR, path)
        return found

    def parent(self, process: Process, path: Name) -> tuple[Inode, str]:
        """The folder of a name, and the name in it. Raises OSError."""
        text = path.text if isinstance(path, Named) else real.fspath(path)
        folder, _, name = text.rpartition("/")
        found = self.find(process, folder or "/")
        if not found.is_folder:
            raise refused(errno.ENOTDIR, path)
        return found, name

    def tell(self, folder: Inode, what: int) -> None:
        """Tell those who watch a folder."""
        for told, wanted in folder.watchers:
            if wanted & what:
                self.engine.after(0.0, told)

    def open(self, path: Name, flags: int, _mode: int = 0o777) -> int:
        process = self.enter()
        text = path.text if isinstance(path, Named) else real.fspath(path)
        if text == "/dev/null":
            return process.add(OpenFile(Inode(FileSystem(process.random, lambda: 0.0), stat.S_IFCHR, 1), flags))
        folder, name = self.parent(process, text)
        inode = folder.names.get(name)
        if inode is not None and inode.kind == stat.S_IFLNK:
            return process.add(self._linked(inode.target))
        if inode is None:
            if not flags & real.O_CREAT:
                raise refused(errno.ENOENT, path)
            inode = process.fs.create(folder, name, stat.S_IFREG)
            self.tell(folder, real_fcntl.DN_CREATE)
        if flags & real.O_DIRECTORY and not inode.is_folder:
            raise refused(errno.ENOTDIR, path)
        if inode.is_folder and flags & (real.O_WRONLY | real.O_RDWR):
            raise refused(errno.EISDIR, path)
        if flags & real.O_TRUNC and inode.data:
            process.fs.truncate(inode, 0)
        return process.add(OpenFile(inode, flags))

    def _linked(self, target: str) -> OpenFile:
        """A link to /proc/PID/fd/N."""
        if not target.startswith("/proc/"):
            raise refused(errno.ENOENT, target)
        _, proc, pid, _, number = target.split("/")
        holder = self.processes.get(int(pid)) if proc == "proc" else None
        if holder is None or holder.dead:
            raise refused(errno.ENOENT, target)
        return OpenFile(holder.files[int(number)].inode, real.O_RDWR)

    def stat(self, path: Name) -> Facts:
        return Facts(self.find(self.enter(), path), self.epoch)

    def scandir(self, path: Name, names_alone: bool = False) -> Any:
        process = self.enter()
        folder = self.find(process, path)
        if not folder.is_folder:
            raise refused(errno.ENOTDIR, path)
        names = sorted(folder.names)
        if len(names) > 1:  # in any order
            at = int(process.random.random() * len(names))
            names = names[at:] + names[:at]
        if names_alone:
            return names
        text, inodes = path.text if isinstance(path, Named) else real.fspath(path), folder.names
        return Listing([Entry(self, text, name, inodes[name]) for name in names])

    def listdir(self, path: Name) -> list[str]:
        return self.scandir(path, names_alone=True)  # type: ignore[no-any-return]

    # Descriptors.

    def birth_ns(self, descriptor: int) -> int:
        """statx(2)."""
        return Facts(self._file(self.enter(), descriptor).inode, self.epoch).birth_ns

    def close(self, descriptor: int) -> None:
        process = self.process
        if process.dead:
            process.enter()
        self._file(process, descriptor)
        process.files.pop(descriptor).close()

    def fstat(self, descriptor: int) -> Facts:
        process = self.enter()
        return Facts(self._file(process, descriptor).inode, self.epoch)

    def read(self, descriptor: int, size: int) -> bytes:
        process = self.enter()
        file = self._file(process, descriptor)
        if file.inode.kind == stat.S_IFIFO:
            if not file.inode.data:
                raise refused(errno.EAGAIN)
            data = bytes(file.inode.data[:size])
            del file.inode.data[:size]
            return data
        data = bytes(file.inode.data[file.position : file.position + size])
        file.position += len(data)
        return data

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        process = self.enter()
        return bytes(self._file(process, descriptor).inode.data[offset : offset + size])

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        process = self.process
        file = self._file(process, descriptor)
        if file.flags & real.O_APPEND:
            file.position = len(file.inode.data)
        written = self._write(process, file, file.position, data)
        file.position += written
        return written

    def pwrite(self, descriptor: int, data: bytes | memoryview, offset: int) -> int:
        process = self.process
        return self._write(process, self._file(process, descriptor), offset, data)

    def pwritev(self, descriptor: int, buffers: Sequence[bytes | memoryview], offset: int) -> int:
        process = self.process
        return self._write(process, self._file(process, descriptor), offset, b"".join(buffers))

    def _write(self, process: Process, file: OpenFile, offset: int, data: bytes | memoryview) -> int:
        if process.fuse == 1 and len(data) > 1 and process.fuse_call in ("", "write", "pwrite"):  # ends in its midst
            process.fs.write(file.inode, offset, data[: process.random.randrange(1, len(data))])
            process.met["killed in the midst of a write"] += 1
        process.enter()
        if file.inode.kind == stat.S_IFCHR or not data:
            return len(data)
        return file.inode.fs.write(file.inode, offset, data)

    def fchmod(self, descriptor: int, _mode: int) -> None:
        self._file(self.enter(), descriptor)

    def nice(self, _by: int) -> None:
        """All are equal here."""

    def sched_setscheduler(self, *_: object) -> None:
        """All are equal here."""

    def ftruncate(self, descriptor: int, size: int) -> None:
        process = self.enter()
        inode = self._file(process, descriptor).inode
        inode.fs.truncate(inode, size)

    def fsync(self, descriptor: int) -> None:
        process = self.enter()
        inode = self._file(process, descriptor).inode
        inode.fs.sync(inode)

    fdatasync = fsync

    def statvfs(self, path: Name) -> Any:
        process = self.enter()
        self.find(process, path)
        return SimpleNamespace(f_frsize=PAGE, f_bavail=process.fs.free // PAGE)

    def pipe2(self, _flags: int) -> tuple[int, int]:
        process = self.enter()
        inode = Inode(FileSystem(process.random, lambda: 0.0), stat.S_IFIFO, 1)
        return process.add(OpenFile(inode, real.O_RDONLY)), process.add(OpenFile(inode, real.O_WRONLY))

    def memfd_create(self, name: str, _flags: int = 0) -> int:
        process = self.enter()
        inode = Inode(FileSystem(process.random, lambda: 0.0), stat.S_IFREG, 1)
        inode.name = name
        return process.add(OpenFile(inode, real.O_RDWR))

    def splice(self, source: int, target: int, count: int, *, offset_dst: int | None = None, **_: int) -> int:
        process = self.enter()
        pipe, file = self._file(process, source).inode, self._file(process, target)
        if file.flags & real.O_APPEND:
            raise refused(errno.EINVAL)
        data = bytes(pipe.data[:count])
        if not data:
            raise refused(errno.EAGAIN)
        if file.inode.kind != stat.S_IFCHR:
            data = data[: file.inode.fs.write(file.inode, offset_dst or 0, data)]
        del pipe.data[: len(data)]
        if pipe.drained is not None:
            pipe.drained(data, file.inode, offset_dst or 0)
        pipe.taken += len(data)
        return len(data)

    def urandom(self, size: int) -> bytes:
        return self.process.random.randbytes(size)

    def getpid(self) -> int:
        return self.process.pid

    def _file(self, process: Process, descriptor: int) -> OpenFile:
        file = process.files.get(descriptor)
        if file is None:
            process.enter()  # a dead process has no files
            raise refused(errno.EBADF, descriptor)
        return file


class Fcntl:
    """``fcntl``."""

    LOCK_EX, LOCK_NB = real_fcntl.LOCK_EX, real_fcntl.LOCK_NB
    F_DUPFD_CLOEXEC, F_NOTIFY = real_fcntl.F_DUPFD_CLOEXEC, real_fcntl.F_NOTIFY
    DN_CREATE, DN_RENAME, DN_DELETE = real_fcntl.DN_CREATE, real_fcntl.DN_RENAME, real_fcntl.DN_DELETE
    DN_MODIFY, DN_MULTISHOT = real_fcntl.DN_MODIFY, real_fcntl.DN_MULTISHOT

    def __init__(self, os: Os) -> None:
        self._os = os

    def flock(self, descriptor: int, _operation: int) -> None:
        process = self._os.enter()
        file = self._os._file(process, descriptor)
        if file.inode.holder not in (None, file):
            raise refused(errno.EAGAIN)
        file.inode.holder = file

    def fcntl(self, descriptor: int, command: int, argument: int = 0) -> int:
        process = self._os.enter()
        file = self._os._file(process, descriptor)
        if command == self.F_DUPFD_CLOEXEC:
            file.users += 1
            return process.add(file, argument)
        assert command == self.F_NOTIFY
        file.inode.watchers.append((lambda: process.signal(29), argument))
        return 0

    def ioctl(self, descriptor: int, _request: int, _argument: bytes) -> bytes:
        """FIONREAD."""
        process = self._os.enter()
        return len(self._os._file(process, descriptor).inode.data).to_bytes(4, "little")


class Glob:
    """``glob``, for patterns in the last part of a path."""

    has_magic = staticmethod(real_glob.has_magic)

    def __init__(self, os: Os) -> None:
        self._os = os

    def glob(self, pattern: str, recursive: bool = False) -> list[str]:  # noqa: ARG002  # glob's own
        folder, _, last = pattern.rpartition("/")
        assert not real_glob.has_magic(folder), pattern
        try:
            names = self._os.listdir(folder)
        except OSError:
            return []
        return [f"{folder}/{name}" for name in names if name[0] != "." and fnmatch.fnmatchcase(name, last)]
