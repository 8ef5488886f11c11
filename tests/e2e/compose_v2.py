"""Compose version 2 on a machine whose release has only version 1: the binary out of Debian 13's package.

Uses plain apt in a private root: the machine's own Debian source with the release's name swapped, signed as ever;
nothing is installed and the machine's apt state stays as it is. By hand:

    python3 -m tests.e2e.compose_v2 FOLDER        prints the path of the binary
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

RELEASE = "trixie"
PACKAGE = "docker-compose"
PLUGIN = "usr/libexec/docker/cli-plugins/docker-compose"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SECONDS = 300
FIELDS = "$(ORIGIN)|$(LABEL)|$(CODENAME)|$(REPO_URI)|$(COMPONENT)"


class Unavailable(Exception):
    """Compose version 2 cannot be had here; ``str()`` says why."""


def fetch(folder: Path) -> Path:
    """The binary, downloaded into ``folder`` unless it is there. Raises Unavailable."""
    binary = folder / PLUGIN
    if binary.is_file():
        return binary
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable("no apt-get and dpkg-deb on this machine")
    options = private_root(folder, debian_source())
    run("update", "apt-get", *options, "update", folder=folder)
    run("download", "apt-get", *options, "download", PACKAGE, folder=folder)
    (package,) = folder.glob(f"{PACKAGE}_*.deb")
    run("unpack", "dpkg-deb", "-x", str(package), str(folder), folder=folder)
    package.unlink()
    if not binary.is_file():
        raise Unavailable(f"the package {PACKAGE} of {RELEASE} has no {PLUGIN}")
    return binary


def debian_source() -> str:
    """Address of the machine's main Debian source: the first that is neither security nor updates."""
    listed = run("list the sources", "apt-get", "indextargets", "--format", FIELDS, "Created-By: Packages")
    for line in listed.splitlines():
        origin, label, codename, address, component = line.split("|")
        if (origin, label, component) == ("Debian", "Debian", "main") and "-" not in codename:
            return address
    raise Unavailable("apt has no Debian source on this machine (or no lists yet: apt-get update)")


def private_root(folder: Path, address: str) -> list[str]:
    """Folders for an apt of our own below ``folder``, and the options that make apt use them alone."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    (folder / "sources.list").write_text(f"deb {signed}{address} {RELEASE} main\n", encoding="utf-8")
    settings = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def run(what: str, *words: str, folder: Path | None = None) -> str:
    """Run a command in ``folder`` and return its output. Raises Unavailable with what it said."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"cannot {what}: no end after {SECONDS} s") from None
    if done.returncode:
        raise Unavailable(f"cannot {what}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


if __name__ == "__main__":
    target = Path(sys.argv[1]).absolute()
    target.mkdir(parents=True, exist_ok=True)
    print(fetch(target))
