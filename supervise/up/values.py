"""The values of ``make up``: what this machine is like, and what is to be done (core)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What a step does; the first group prepares the machine, the second is the work itself."""

    INSTALL = "install packages"
    FORGET = "remove a stale pid file"
    START = "start the engine"
    COMMANDS = "install the commands"
    PULL = "pull the base image"
    MAKE = "make the base image"
    FETCH = "fetch the wheels"
    BUILD = "build the images"
    RUN = "run the stack"


@dataclass(frozen=True)
class Step:
    """One thing to do: ``topic`` begins its line, ``subjects`` are what it is done to."""

    action: Action
    topic: str
    text: str
    reason: str
    subjects: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.topic}: {self.text} ({self.reason})"


@dataclass(frozen=True)
class Holder:
    """Who holds a wanted port: ``variable`` moves ours, ``text`` names them, ``ours``: this project's container."""

    port: int
    variable: str
    text: str
    ours: bool = False


@dataclass(frozen=True)
class Facts:
    """This machine, as far as the plan depends on it. The defaults are a bare Debian, asked by root.

    ``docker`` path of the command, ``chosen_engine`` what points it elsewhere (DOCKER_HOST, a context), ``engine`` the
    version that answers, else ``engine_error``; ``dockerd`` path of the daemon; ``starter`` systemd, service or hand;
    ``stale_pids`` pid files of daemons that are gone; ``compose`` the command's words; ``ensurepip`` whether a venv
    can be made; ``venv_package`` where that comes from; ``commands`` whether .venv holds what pyproject.toml says;
    ``images`` those of the base images that are here; ``pull_error`` what a pull of this run answered; ``wheels``
    whether those of the collector's image are here, ``wheels_error`` why this run could not fetch them.
    """

    system: str = "Debian GNU/Linux 12 (bookworm)"
    apt: bool = True
    root: bool = True
    docker: str = ""
    chosen_engine: str = ""
    engine: str = ""
    engine_error: str = ""
    dockerd: str = ""
    starter: str = "hand"
    stale_pids: tuple[str, ...] = ()
    compose: tuple[str, ...] = ()
    compose_version: str = ""
    ensurepip: bool = False
    venv_package: str = "python3-venv"
    commands: bool = False
    images: frozenset[str] = frozenset()
    pull_error: str = ""
    wheels: bool = False
    wheels_error: str = ""
    mmdebstrap: bool = False
    holders: tuple[Holder, ...] = ()
    missing_tools: tuple[str, ...] = ()
