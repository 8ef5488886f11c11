"""Edge: the checkout's virtual environment with both commands in it.

A stamp in it says from what it was installed; while that is unchanged nothing is done again. An environment that
somebody else made (no stamp) is used, never cleared.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from logship.errors import Fault
from supervise.up.shell import Shell

STAMP = ".logship-stamp"
COMMANDS = ("supervise", "logship")
VENV_SECONDS = 120
PIP_SECONDS = 900


def digest_of(pyproject: bytes, python: str, tree: str) -> str:
    """What an installation depends on: the declared dependencies, the interpreter, and where the checkout lies.

    The place counts because the environment's scripts name it in their first line.
    """
    parts = (pyproject, python.encode(), tree.encode())
    return hashlib.sha256(b"".join(len(part).to_bytes(8) + part for part in parts)).hexdigest()


def _digest(tree: Path) -> str:
    """The interpreter counts by where it was installed: run from within the environment it is the same one."""
    return digest_of((tree / "pyproject.toml").read_bytes(), f"{sys.base_prefix} {sys.version}", str(tree))


def is_current(tree: Path, *, dev: bool) -> bool:
    """Whether .venv holds what pyproject.toml says, with the tools of the tests where ``dev`` asks for them."""
    folder = tree / ".venv"
    if not all((folder / "bin" / name).exists() for name in ("python", *COMMANDS)):
        return False
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(stamp, dict) and stamp.get("digest") == _digest(tree) and (stamp.get("dev") is True or not dev)


def install(shell: Shell, tree: Path, *, dev: bool) -> None:
    """Make the environment where there is none that works, and install the checkout into it, editable.

    Raises Fault where that fails, or where somebody else's broken environment is in the way.
    """
    folder = tree / ".venv"
    python, stamp = folder / "bin" / "python", folder / STAMP
    probe = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    works = python.exists() and shell.run(str(python), "-c", probe, seconds=30).status == 0
    if not works or (stamp.exists() and not _made_by_this_python(shell, python)):
        if folder.exists() and not stamp.exists() and any(folder.iterdir()):
            cause = "it is no working environment of Python 3.11 or newer, and was not made by this command"
            raise Fault("use", str(folder), cause, "move it away")
        words = [sys.executable, "-m", "venv", "--clear", str(folder)]
        shell.must("make the virtual environment", *words, seconds=VENV_SECONDS)
    was_dev = '"dev": true' in stamp.read_text(encoding="utf-8") if stamp.exists() else False
    stamp.write_text("{}\n", encoding="utf-8")  # ours, and not finished
    extras = "[dev]" if dev or was_dev else ""
    words = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable"]
    shell.must("install the commands", *words, f"{tree}{extras}", seconds=PIP_SECONDS)
    done = {"digest": _digest(tree), "dev": bool(extras)}
    stamp.write_text(json.dumps(done) + "\n", encoding="utf-8")


def _made_by_this_python(shell: Shell, python: Path) -> bool:
    probe = "import sys; print(sys.base_prefix, sys.version_info[:2])"
    return shell.run(str(python), "-c", probe, seconds=30).text.strip() == f"{sys.base_prefix} {sys.version_info[:2]}"
