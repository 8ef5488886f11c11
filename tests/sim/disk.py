"""A file system whose memory and platter are two things, as the kernel's page cache and a disk are.

What is written goes to the page cache, page by page; fsync of a file carries its pages and its size to the platter,
fsync of a folder its names. A crash of the host keeps of everything else what chance wants: any pages, any size
between, any of the changes of names, in their order. A page is 512 bytes, the sector, so pages tear, too. A sync that
fails drops the pages it was to write and calls them clean, as Linux does. Inode numbers are used again at once.

Left to others: paths, descriptors and processes (``kernel``).
"""

from __future__ import annotations

import errno
import heapq
import os
import stat
from collections import Counter
from collections.abc import Callable
from random import Random

from tests.sim.engine import Task

PAGE = 512


class Inode:
    """A file, folder, FIFO or link. ``data`` is what processes see, ``platter`` what is left after a crash."""

    __slots__ = (
        "born", "ctime", "data", "dirty", "drained", "fs", "holder", "is_folder", "kind", "links", "mtime", "name",
        "names", "number", "opened", "ops", "parent", "platter", "platter_names", "readers", "reserved", "taken",
        "target", "watchers",
    )  # fmt: skip

    def __init__(self, fs: FileSystem, kind: int, number: int) -> None:
        self.fs = fs
        self.kind = kind
        self.is_folder = kind == stat.S_IFDIR
        self.number = number
        self.data = bytearray()
        self.platter = bytearray()
        self.dirty: set[int] = set()
        self.names: dict[str, Inode] = {}
        self.platter_names: dict[str, Inode] = {}
        self.ops: list[tuple[str, str, Inode]] = []  # what a crash may forget: (name gone or "", name new or "", inode)
        self.mtime = self.ctime = self.born = 0.0
        self.links = 0
        self.opened = 0
        self.holder: object | None = None  # the open file that has the flock
        self.parent: Inode | None = None
        self.name = ""
        self.target = ""
        self.reserved = 0
        self.taken = 0  # of a FIFO: bytes that have left it
        self.readers: dict[Task, None] = {}  # of a FIFO: the threads that wait for bytes
        self.drained: Callable[[bytes, Inode, int], None] | None = None  # of a FIFO: who is told where bytes went
        self.watchers: list[tuple[Callable[[], None], int]] = []  # of a folder: who is told of changes, and of which

    @property
    def path(self) -> str:
        """Where it is, as it was last named."""
        return self.name if self.parent is None else f"{self.parent.path}/{self.name}"

    def allocated(self) -> int:
        """Bytes of the disk that it takes."""
        size = len(self.data)
        return -(-(size if size > self.reserved else self.reserved) // PAGE) * PAGE


class FileSystem:
    """The disk of one host. ``capacity`` bounds what all files take."""

    def __init__(self, random: Random, clock: Callable[[], float], capacity: int = 1 << 30, device: int = 0) -> None:
        self.random = random
        self.device = device
        self.capacity = capacity
        self.used = 0
        self.failing_syncs = 0  # so many fsyncs fail from now on
        self.torn = True  # whether a crash keeps any pages; else files keep a beginning (of what was not synced)
        self.clock = clock
        self.written: Callable[[Inode, int, bytes], None] = lambda _inode, _offset, _data: None
        self.removed: Callable[[Inode, str, Inode], None] = lambda _folder, _name, _inode: None
        self.met: Counter[str] = Counter()  # what went wrong, how often
        self.known: dict[str, Inode] = {}  # folders by path as they were found, until one loses its name
        self._free: list[int] = []
        self._next = 2
        self.root = self._new(stat.S_IFDIR)
        self.root.links = 1

    @property
    def free(self) -> int:
        """Bytes that can still be written."""
        return max(0, self.capacity - self.used)

    # Names.

    def create(self, folder: Inode, name: str, kind: int) -> Inode:
        """A new file, folder, FIFO or link. Raises OSError: a disk that is full may refuse the name itself."""
        if self.free < PAGE and kind == stat.S_IFREG and self.random.random() < 0.5:
            self.met["full disk: no name"] += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        inode = self._new(kind)
        self._link(folder, name, inode)
        folder.ops.append(("", name, inode))
        return inode

    def unlink(self, folder: Inode, name: str) -> None:
        """Remove a name."""
        inode = folder.names.pop(name)
        if inode.is_folder:
            self.known.clear()
        folder.ops.append((name, "", inode))
        folder.mtime = self.clock()
        self.removed(folder, name, inode)
        self._let_go(inode)

    def rename(self, folder: Inode, name: str, target: Inode, new: str) -> None:
        """Move a name, over another one where there is one: one step, which a crash keeps or forgets as a whole."""
        inode = folder.names.pop(name)
        if inode.is_folder:
            self.known.clear()
        replaced = target.names.get(new)
        self._link(target, new, inode)
        inode.links -= 1
        inode.ctime = self.clock()
        if target is folder:
            folder.ops.append((name, new, inode))
        else:  # never done by the code under test between folders whose crash matters
            folder.ops.append((name, "", inode))
            target.ops.append(("", new, inode))
        folder.mtime = self.clock()
        if replaced is not None:
            self._let_go(replaced)

    # Content.

    def write(self, inode: Inode, offset: int, data: bytes | memoryview) -> int:
        """Write what there is room for; how much. Raises OSError where there is room for nothing."""
        end = offset + len(data)
        before = inode.allocated()
        free = self.free
        room = before + free - free % PAGE
        if end > room:
            data = data[: max(0, room - offset)]
            end = offset + len(data)
            self.met["full disk: a write cut short" if data else "full disk: no write"] += 1
            if not data:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), inode.name)
        size = len(inode.data)
        if offset > size:
            inode.data.extend(bytes(offset - size))
        inode.data[offset:end] = data
        self.used += inode.allocated() - before
        inode.dirty.update(range((offset if offset < size else size) // PAGE, (end - 1) // PAGE + 1))
        inode.mtime = inode.ctime = self.clock()
        self.written(inode, offset, bytes(data))
        return len(data)

    def truncate(self, inode: Inode, size: int) -> None:
        """Cut, or lengthen by zeros."""
        before = inode.allocated()
        inode.reserved = 0
        old = len(inode.data)
        if size < old:
            del inode.data[size:]
        else:
            inode.data.extend(bytes(size - old))
        inode.dirty.update(range(min(size, old) // PAGE, max(size, old) // PAGE + 1))
        self.used += inode.allocated() - before
        inode.mtime = inode.ctime = self.clock()

    def reserve(self, inode: Inode, end: int) -> None:
        """Keep room up to ``end``. Raises OSError."""
        before, was = inode.allocated(), inode.reserved
        inode.reserved = max(was, end)
        if inode.allocated() - before > self.free:
            inode.reserved = was
            self.met["full disk: no room to keep"] += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), inode.name)
        self.used += inode.allocated() - before

    def sync(self, inode: Inode) -> None:
        """fsync(2). Raises OSError; then what was to be written is called clean and is not on the platter."""
        if self.failing_syncs:
            self.failing_syncs -= 1
            inode.dirty.clear()
            self.met["sync failed"] += 1
            raise OSError(errno.EIO, os.strerror(errno.EIO), inode.name)
        if inode.is_folder:
            inode.platter_names = dict(inode.names)
            inode.ops.clear()
            return
        size = len(inode.data)
        if len(inode.platter) < size:
            inode.platter.extend(bytes(size - len(inode.platter)))
        for page in inode.dirty:
            inode.platter[page * PAGE : (page + 1) * PAGE] = inode.data[page * PAGE : (page + 1) * PAGE]
        del inode.platter[size:]
        inode.dirty.clear()

    # The end of the host.

    def crash(self) -> None:
        """Only the platter is left, and what chance had brought there."""
        self.known.clear()
        todo, seen = [self.root], set()
        while todo:
            inode = todo.pop()
            if id(inode) in seen:
                continue
            seen.add(id(inode))
            inode.opened, inode.holder = 0, None
            inode.watchers, inode.readers, inode.reserved = [], {}, 0
            if inode.is_folder:
                self._crash_names(inode)
                todo.extend(inode.names.values())
            elif inode.kind == stat.S_IFREG:
                self._crash_content(inode)
        self._count(self.root)

    def _crash_names(self, folder: Inode) -> None:
        ops, chance = folder.ops, self.random
        if chance.random() < 0.5:
            kept = ops[: chance.randint(0, len(ops))]
        else:
            kept = [op for op in ops if chance.random() < 0.6]
        names = dict(folder.platter_names)
        for gone, new, inode in kept:
            if gone:
                names.pop(gone, None)
            if new:
                names = {name: other for name, other in names.items() if other is not inode}
                names[new] = inode
                inode.parent, inode.name = folder, new
        for name, inode in names.items():
            inode.parent, inode.name = folder, name
        if names != folder.names:
            self.met["crash: names lost"] += 1
        folder.names, folder.platter_names, folder.ops = names, dict(names), []

    def _crash_content(self, inode: Inode) -> None:
        chance, platter, size = self.random, inode.platter, len(inode.data)
        if inode.dirty and len(platter) != size:
            size = chance.choice([len(platter), size, chance.randint(min(len(platter), size), max(len(platter), size))])
        elif len(platter) != size:
            size = len(platter)  # a sync failed, and nothing was written since
        synced = len(platter)
        content = bytearray(platter[:size]) + bytes(max(0, size - synced))
        kept = lost = 0
        for page in sorted(inode.dirty):
            low, high = page * PAGE, min((page + 1) * PAGE, size)
            if low < high and (not self.torn or chance.random() < 0.6):
                content[low:high] = inode.data[low:high]
                kept += 1
            else:
                lost += 1
        if content != inode.data:
            self.met["crash: pages torn" if kept and lost else "crash: pages lost"] += 1
        inode.data, inode.platter, inode.dirty = content, bytearray(content), set()

    def _count(self, root: Inode) -> None:
        """What is linked is what there is."""
        self.used, todo, numbers = 0, [root], set()
        while todo:
            inode = todo.pop()
            if inode.number in numbers:  # its name came back, and the number had been given to another
                inode.number, self._next = self._next, self._next + 1
            numbers.add(inode.number)
            inode.links = 1
            self.used += inode.allocated()
            todo.extend(inode.names.values())
        self._free = sorted(set(range(2, self._next)) - numbers)

    # Inodes.

    def close(self, inode: Inode) -> None:
        """One open file less."""
        inode.opened -= 1
        if not inode.opened and not inode.links:
            self._drop(inode)

    def _new(self, kind: int) -> Inode:
        if self._free:
            number = heapq.heappop(self._free)
            self.met["inode used again"] += 1
        else:
            number, self._next = self._next, self._next + 1
        inode = Inode(self, kind, number)
        inode.mtime = inode.ctime = inode.born = self.clock()
        return inode

    def _link(self, folder: Inode, name: str, inode: Inode) -> None:
        folder.names[name] = inode
        inode.links += 1
        inode.parent, inode.name = folder, name
        folder.mtime = self.clock()

    def _let_go(self, inode: Inode) -> None:
        inode.links -= 1
        inode.ctime = self.clock()
        if not inode.links and not inode.opened:
            self._drop(inode)

    def _drop(self, inode: Inode) -> None:
        self.used -= inode.allocated()
        heapq.heappush(self._free, inode.number)


def make_folder(fs: FileSystem, path: str) -> Inode:
    """A folder that was there before the world began, for good."""
    folder = fs.root
    for part in path.strip("/").split("/"):
        found = folder.names.get(part)
        if found is None:
            found = fs.create(folder, part, stat.S_IFDIR)
            fs.sync(folder)
        folder = found
    return folder
