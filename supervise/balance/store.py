"""Edge: the balancer's files: the published configuration, generations, wishes, the cookie's key, ``/nodes``.

Everything is replaced whole (temporary file, fsync, rename, fsync of the folder) and read back in whatever state a
crash left it. Which generation is the last is said by the names of their folders alone.

    balance_dir/generations/000042/{haproxy.cfg,diff,generation.json}      rejected/000043.{cfg,txt}
                wishes.json  status.json  cookie.key  lock
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from logship.errors import Fault
from supervise.balance.generation import Generation, folder_name, numbers, surplus
from supervise.balance.membership import is_name
from supervise.balance.render import TEMPLATE_NAME
from supervise.balance.wishes import Wishes, read_wishes
from supervise.render import replace, sync_folder

FILE_BYTES_MAX = 4 << 20
"""No file of ours is longer; a longer one is not read."""


class Store:
    """The files below ``balance_dir``, the published file, the template, and the folder of nodes."""

    def __init__(self, balance_dir: Path, published: Path, nodes: Path, templates: Path) -> None:
        self.folder = balance_dir
        self.published_path = published
        self._candidate = published.with_name(f".{published.name}.next")
        self._nodes = nodes
        self._template = _Watched(templates / TEMPLATE_NAME)
        self._published = _Watched(published)
        self._wishes = _Watched(balance_dir / "wishes.json")
        self._written_nodes: dict[str, str] | None = None
        self._known_wishes = ("", Wishes())
        self._status = ""
        self._lock: int | None = None

    def open(self) -> None:
        """Make the folders, take the lock, clear away what a crash left. Raises Fault when another balancer runs."""
        try:
            for folder in (self._generations, self._rejected, self._nodes):
                folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Fault("balance with", str(self.folder), "another balancer works there", "one is enough") from None
        except OSError as error:
            raise Fault("use", str(error.filename or self.folder), error.strerror or str(error)) from None
        for left in self._generations.glob(".new-*"):
            shutil.rmtree(left, ignore_errors=True)

    def is_running(self) -> bool:
        """Whether some process balances with these files now."""
        try:
            descriptor = os.open(self.folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def cookie_key(self) -> bytes:
        """The key in cookie.key; made at the first call. Raises Fault."""
        path = self.folder / "cookie.key"
        text = _read(path)
        if not text.strip():
            replace(path, secrets.token_hex(32) + "\n", 0o600)
            text = _read(path)
        return text.strip().encode()

    # What is given: template, wishes, the published file. Read again only when they changed.

    def template(self) -> str:
        """The template's text. Raises Fault."""
        return self._template.text()

    def published(self) -> str:
        """What HAProxy would start with; "" where there is none."""
        try:
            return self._published.text()
        except Fault:
            return ""

    def wishes(self) -> Wishes:
        """What operators asked for; nothing where nobody did. Raises ValueError or Fault for a damaged file."""
        text = self._wishes.text() if self._wishes.path.exists() else Wishes().text()
        if text != self._known_wishes[0]:
            self._known_wishes = (text, read_wishes(text))
        return self._known_wishes[1]

    def wish(self, alter: Callable[[Wishes], Wishes]) -> Wishes:
        """Replace the wishes by what ``alter`` makes of them, one caller at a time. Raises ValueError or Fault."""
        try:
            descriptor = os.open(self.folder / "wishes.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Fault("write", str(self._wishes.path), error.strerror or str(error), "be root in ha") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            wishes = alter(self.wishes())
            replace(self._wishes.path, wishes.text(), 0o644)
        finally:
            os.close(descriptor)
        return wishes

    # Publishing: the very file that was checked is renamed into place.

    def propose(self, text: str) -> Path:
        """Write a configuration beside the published one, for the check. Raises Fault."""
        replace(self._candidate, text, 0o644)
        return self._candidate

    def publish(self) -> None:
        """Put the proposed file in the place of the published one. Raises Fault."""
        try:
            self._candidate.replace(self.published_path)
            sync_folder(self.published_path.parent)
        except OSError as error:
            raise Fault("publish", str(self.published_path), error.strerror or str(error)) from None

    # Generations.

    @property
    def _generations(self) -> Path:
        return self.folder / "generations"

    @property
    def _rejected(self) -> Path:
        return self.folder / "rejected"

    def generation_numbers(self) -> list[int]:
        """The generations kept, oldest first."""
        try:
            return numbers(path.name for path in self._generations.iterdir())
        except OSError:
            return []

    def generation(self, number: int) -> dict[str, Any] | None:
        """The record of a generation; None where it cannot be read."""
        try:
            record = json.loads(_read(self._generations / folder_name(number) / "generation.json"))
        except ValueError:
            return None
        return record if isinstance(record, dict) else None

    def generation_file(self, number: int, name: str) -> str:
        """``haproxy.cfg`` or ``diff`` of a generation; "" where it cannot be read."""
        return _read(self._generations / folder_name(number) / name)

    def record(self, generation: Generation, text: str, diff: str) -> None:
        """Keep a generation, and forget the oldest ones. Raises Fault."""
        folder = self._generations / folder_name(generation.number)
        building = self._generations / f".new-{folder.name}"
        record = json.dumps(generation.record(), indent=1) + "\n"
        try:
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir()
            for name, content in (("haproxy.cfg", text), ("diff", diff), ("generation.json", record)):
                _write_synced(building / name, content)
            sync_folder(building)
            building.rename(folder)
            sync_folder(self._generations)
        except OSError as error:
            raise Fault("keep generation", str(generation.number), error.strerror or str(error)) from None
        for number in surplus(self.generation_numbers()):
            shutil.rmtree(self._generations / folder_name(number), ignore_errors=True)
            for suffix in ("cfg", "txt"):
                (self._rejected / f"{folder_name(number)}.{suffix}").unlink(missing_ok=True)

    def reject(self, number: int, text: str, message: str) -> None:
        """Keep a configuration that did not pass, and why. Raises Fault."""
        replace(self._rejected / f"{folder_name(number)}.cfg", text, 0o644)
        replace(self._rejected / f"{folder_name(number)}.txt", message + "\n", 0o644)

    # What others look at.

    def status(self, record: Mapping[str, Any]) -> None:
        """Replace status.json if it says anything new. Raises Fault."""
        text = json.dumps(record, indent=1, sort_keys=True) + "\n"
        if text != self._status:
            replace(self.folder / "status.json", text, 0o644)
            self._status = text

    def read_status(self) -> dict[str, Any]:
        """The last status; {} where there is none."""
        try:
            record = json.loads(_read(self.folder / "status.json") or "{}")
        except ValueError:
            return {}
        return record if isinstance(record, dict) else {}

    def nodes(self, files: Mapping[str, str]) -> None:
        """Make the folder of nodes hold these files (names are node names), and no others. Raises Fault."""
        if self._written_nodes is None:
            self._written_nodes = {path.name: _read(path) for path in self._nodes.iterdir() if is_name(path.name)}
        for name in sorted(self._written_nodes.keys() - files.keys()):
            (self._nodes / name).unlink(missing_ok=True)
            del self._written_nodes[name]
        for name, text in sorted(files.items()):
            if self._written_nodes.get(name) != text:
                replace(self._nodes / name, text, 0o644)
                self._written_nodes[name] = text


class _Watched:
    """A file that is read again only when its size, inode or time changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._text = ""

    def text(self) -> str:
        """Its text. Raises Fault when it cannot be read."""
        try:
            facts = self.path.stat()
            seen = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
            if seen != self._seen:
                if facts.st_size > FILE_BYTES_MAX:
                    raise Fault("read", str(self.path), f"it is longer than {FILE_BYTES_MAX} bytes")
                self._text = self.path.read_text(encoding="utf-8")
                self._seen = seen
        except (OSError, UnicodeDecodeError) as error:
            self._seen = None
            raise Fault("read", str(self.path), getattr(error, "strerror", None) or str(error)) from None
        return self._text


def _read(path: Path) -> str:
    """A file's text, "" where it cannot be read."""
    with contextlib.suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
        return file.read(FILE_BYTES_MAX)
    return ""


def _write_synced(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
