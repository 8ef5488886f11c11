"""Edge: the wheels of the collector's image: fetched by pip on this machine, since a container may reach no index.

They lie in ``wheels/`` beside the list that pins them; one whose digest is not in the list is none. They are for the
Python of the image, not for the one that fetches them.
"""

from __future__ import annotations

import hashlib
import platform
import re
import sys
import tempfile
from pathlib import Path

from supervise.up.shell import Outcome, Shell

FOLDER = "wheels"
LIST = "requirements.txt"
FETCH_SECONDS = 300
PYTHON = "3.13"
"""Of Debian 13."""
GLIBC = (28, 27, 26, 17)
"""Minor versions of the C library that a wheel may ask for; Debian 13 has 41."""
_MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}
_PINNED = re.compile(r"^(?P<name>[\w-]+)==(?P<version>[\w.]+)((?:\s*\\\s*--hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)


def wanted(text: str) -> dict[str, frozenset[str]]:
    """By name and version, as in ``duckdb-2.0.1``, the digests that a list of requirements admits."""
    return {
        f"{match['name']}-{match['version']}": frozenset(re.findall(r"sha256:([0-9a-f]{64})", match[3]))
        for match in _PINNED.finditer(text)
    }


def are_there(tree: Path) -> bool:
    """Whether every wheel of the list is there, whole, and for machines like this one."""
    return all(_found(tree, name, digests) for name, digests in _listed(tree).items())


def fetch(shell: Shell, tree: Path) -> Outcome:
    """Fetch what the list names, and remove what it does not name any more; what pip said is told by the outcome."""
    folder = tree / FOLDER
    python = tree / ".venv" / "bin" / "python"
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as fresh:
        words = [str(python) if python.exists() else sys.executable, "-m", "pip", "download", "--quiet"]
        words += ["--disable-pip-version-check", "--retries", "1", "--timeout", "15"]
        words += ["--no-deps", "--require-hashes", "--only-binary=:all:", "--implementation", "cp"]
        words += ["--python-version", PYTHON, "--abi", f"cp{PYTHON.replace('.', '')}", "--abi", "abi3"]
        for minor in GLIBC:
            words += ["--platform", f"manylinux_2_{minor}_{_machine()}"]
        outcome = shell.run(*words, "-r", str(folder / LIST), "-d", fresh, seconds=FETCH_SECONDS)
        if outcome.status == 0:
            for old in folder.glob("*.whl"):
                old.unlink()
            for wheel in sorted(Path(fresh).glob("*.whl")):
                wheel.rename(folder / wheel.name)
    return outcome


def _listed(tree: Path) -> dict[str, frozenset[str]]:
    return wanted((tree / FOLDER / LIST).read_text(encoding="utf-8"))


def _found(tree: Path, name: str, digests: frozenset[str]) -> bool:
    paths = (tree / FOLDER).glob(f"{name}-*{_machine()}*.whl")
    return any(hashlib.sha256(path.read_bytes()).hexdigest() in digests for path in paths)


def _machine() -> str:
    machine = platform.machine().lower()
    return _MACHINES.get(machine, machine)
