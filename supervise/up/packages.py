"""Edge: Debian's and Ubuntu's packages, by apt-get."""

from __future__ import annotations

import re

from logship.errors import Fault
from supervise.up.shell import Shell

UPDATE_SECONDS = 180
INSTALL_SECONDS = 900
LOCK_SECONDS = 120
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}


def available(shell: Shell, names: list[str]) -> set[str]:
    """Those packages that this release has, as far as the lists on this machine tell."""
    text = shell.run("apt-cache", "policy", *names, seconds=60, environment=QUIET).text
    return {
        match["name"]
        for match in re.finditer(r"^(?P<name>\S+):\n  Installed: .*\n  Candidate: (?P<version>.*)$", text, re.MULTILINE)
        if match["version"] != "(none)"
    }


def choose(wanted: tuple[str, ...], there: set[str]) -> list[str]:
    """The names to install: of ``a|b`` the first that is there, ``a?`` only where it is. Raises Fault for none."""
    chosen = []
    for name in wanted:
        found = next((item for item in name.rstrip("?").split("|") if item in there), "")
        if found:
            chosen.append(found)
        elif not name.endswith("?"):
            names = name.replace("|", " or ")
            raise Fault("install", names, "this release has no such package", "look at /etc/apt/sources.list")
    return chosen


def install(shell: Shell, wanted: tuple[str, ...]) -> list[str]:
    """Install packages and return their names; what else is installed stays (--no-remove). Raises Fault on failure.

    ``apt-get update`` may fail for a list of somebody else's: what counts is whether the packages are there.
    """
    update = shell.run("apt-get", "-q", "update", seconds=UPDATE_SECONDS, environment=QUIET)
    names = [item for name in wanted for item in name.rstrip("?").split("|")]
    try:
        chosen = choose(wanted, available(shell, names))
    except Fault as fault:
        said = f"{fault.cause}; apt-get update ended with status {update.status}: {update.last}"
        raise Fault(fault.operation, fault.subject, said, fault.hint) from None
    options = ["-q", "-y", "--no-install-recommends", "--no-remove", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}"]
    shell.must("install packages", "apt-get", *options, "install", *chosen, seconds=INSTALL_SECONDS, environment=QUIET)
    return chosen
