"""Programs of Debian that a benchmark runs without installing them: fetched by apt, unpacked side by side.

rsyslog and syslog-ng exclude each other as installed packages; unpacked, each lies in a folder of its own with the
libraries that this machine does not have. What is unpacked is kept for the next run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


class Unavailable(Exception):
    """A peer cannot be had here; the text says why."""


@dataclass(frozen=True)
class Unpacked:
    """Programs in ``folder``, with the version of the first package."""

    folder: Path
    version: str

    def program(self, name: str) -> str:
        """Where it lies."""
        return str(self.folder / "usr" / "sbin" / name)

    def library(self, name: str) -> Path:
        """The folder of a library of this name, wherever this machine's architecture puts it."""
        found = sorted(self.folder.glob(f"**/{name}"))
        if not found:
            raise Unavailable(f"{name} is not in the packages in {self.folder}")
        return found[0]

    def environment(self) -> dict[str, str]:
        """Ours, with the libraries that were unpacked."""
        folders = dict.fromkeys(str(path.parent) for path in sorted(self.folder.glob("**/*.so.*")))
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(folders)}


def unpacked(name: str, packages: tuple[str, ...], cache: Path) -> Unpacked:
    """``packages`` and what they need beyond this machine's, below ``cache``. Raises Unavailable."""
    folder = cache / name
    note = folder / "version"
    if not note.exists():
        shutil.rmtree(folder, ignore_errors=True)
        fresh = cache / f".{name}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        (fresh / "deb").mkdir(parents=True)
        for package in _missing(packages):
            _run(["apt-get", "download", package], fresh / "deb")
        for deb in sorted((fresh / "deb").glob("*.deb")):
            _run(["dpkg-deb", "-x", str(deb), str(fresh)], fresh)
        (fresh / "version").write_text(_version(fresh / "deb", packages[0]))
        fresh.rename(folder)
    return Unpacked(folder, note.read_text())


def _missing(packages: tuple[str, ...]) -> list[str]:
    """The packages and all that apt would install with them."""
    planned = _run(["apt-get", "install", "--simulate", "--no-install-recommends", *packages], Path("/"))
    found = [line.split()[1] for line in planned.splitlines() if line.startswith("Inst ")]
    return sorted({*packages, *found})


def _version(folder: Path, package: str) -> str:
    (deb,) = folder.glob(f"{package}_*.deb")
    return _run(["dpkg-deb", "-f", str(deb), "Version"], folder).strip()


def _run(words: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Unavailable(f"there is no {words[0]} on this machine: the peers come from Debian") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Unavailable(f"`{' '.join(words)}` failed: {said[-1] if said else done.returncode} (apt-get update?)")
    return done.stdout
