"""What stands for ``pathlib.Path`` in the code under test: the same names, on the simulated disk."""

from __future__ import annotations

import errno
import fcntl
import fnmatch
import io
import stat
from collections.abc import Iterator
from functools import total_ordering
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, cast

from tests.sim.facts import Facts
from tests.sim.kernel import Named, Os, refused


def sim_path(text: str) -> Path:
    """A path of the simulated disk, as production code takes it."""
    return cast("Path", SimPath(text))


_new = object.__new__


@total_ordering
class SimPath(Named):
    """An absolute path of the simulated disk of whichever process runs. Text inside, since worlds are full of them."""

    os: ClassVar[Os]
    __slots__ = ()

    def __init__(self, path: Any, *more: Any) -> None:
        text = path if type(path) is str else path.__fspath__()
        for part in more:
            text = f"{text}/{part}"
        assert text.startswith("/"), f"{text!r} is not absolute: it would be looked for on the real disk"
        self.text = text if len(text) == 1 else text.rstrip("/")

    # As text.

    def __truediv__(self, name: Any) -> SimPath:
        made = _new(SimPath)
        text = self.text
        made.text = f"{text}/{name}" if text != "/" else f"/{name}"
        return made

    __str__ = Named.__fspath__

    def __repr__(self) -> str:
        return f"SimPath({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SimPath) and self.text == other.text

    def __lt__(self, other: SimPath) -> bool:
        return self.text.split("/") < other.text.split("/")

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def name(self) -> str:
        return self.text.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> SimPath:
        return SimPath(self.text.rpartition("/")[0] or "/")

    def with_name(self, name: str) -> SimPath:
        return self.parent / name

    # On the disk.

    def stat(self) -> Facts:
        return self.os.stat(self)

    def exists(self) -> bool:
        try:
            self.os.stat(self)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def is_dir(self) -> bool:
        try:
            return stat.S_ISDIR(self.os.stat(self).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def resolve(self, strict: bool = False) -> SimPath:
        if strict:
            self.os.stat(self)
        return self

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:  # noqa: ARG002  # pathlib's own
        os = self.os
        process = os.enter()
        try:
            folder, name = os.parent(process, self)
        except FileNotFoundError:
            if not parents or self.parent == self:
                raise
            self.parent.mkdir(parents=True, exist_ok=True)
            folder, name = os.parent(process, self)
        found = folder.names.get(name)
        if found is None:
            process.fs.create(folder, name, stat.S_IFDIR)
            os.tell(folder, fcntl.DN_CREATE)
        elif not (exist_ok and found.is_folder):
            raise refused(errno.EEXIST, self)

    def rmdir(self) -> None:
        process = self.os.enter()
        folder, name = self.os.parent(process, self)
        if self.os.find(process, self).names:
            raise refused(errno.ENOTEMPTY, self)
        process.fs.unlink(folder, name)

    def unlink(self, missing_ok: bool = False) -> None:
        process = self.os.enter()
        try:
            found = self.os.find(process, self)
        except FileNotFoundError:
            if missing_ok:
                return
            raise
        if found.is_folder:
            raise refused(errno.EISDIR, self)
        folder, name = self.os.parent(process, self)
        process.fs.unlink(folder, name)
        self.os.tell(folder, fcntl.DN_DELETE)

    def rename(self, target: Any) -> SimPath:
        os = self.os
        process = os.enter()
        os.find(process, self)
        (folder, name), (other, new) = os.parent(process, self), os.parent(process, target)
        if (folder, name) != (other, new):
            process.fs.rename(folder, name, other, new)
            os.tell(other, fcntl.DN_RENAME)
        return SimPath(target)

    def replace(self, target: Any) -> SimPath:
        return self.rename(target)

    def touch(self, mode: int = 0o666) -> None:
        self.os.close(self.os.open(self, self.os.O_WRONLY | self.os.O_CREAT, mode))

    def symlink_to(self, target: str) -> None:
        process = self.os.enter()
        folder, name = self.os.parent(process, self)
        process.fs.create(folder, name, stat.S_IFLNK).target = str(target)

    def readlink(self) -> PurePosixPath:
        """What the link says, which may lead nowhere (the note of what is acknowledged on a full disk)."""
        found = self.os.find(self.os.enter(), self)
        if found.kind != stat.S_IFLNK:
            raise refused(errno.EINVAL, self)
        return PurePosixPath(found.target)

    def iterdir(self) -> Iterator[SimPath]:
        return iter([self / entry.name for entry in self.os.scandir(self)])

    def glob(self, pattern: str) -> Iterator[SimPath]:
        return iter([path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, pattern)])

    def open(self, mode: str = "rb") -> io.BytesIO:
        assert mode == "rb", "the code under test opens files by path for reading alone"
        return io.BytesIO(self.read_bytes())

    def read_bytes(self) -> bytes:
        descriptor = self.os.open(self, self.os.O_RDONLY)
        try:
            return self.os.pread(descriptor, 1 << 40, 0)
        finally:
            self.os.close(descriptor)

    def write_bytes(self, data: bytes) -> int:
        os = self.os
        descriptor = os.open(self, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            written = 0
            while written < len(data):
                written += os.write(descriptor, data[written:])
        finally:
            os.close(descriptor)
        return len(data)

    def write_text(self, data: str, encoding: str = "utf-8") -> int:
        return self.write_bytes(data.encode(encoding))
