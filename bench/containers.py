"""Containers of a benchmark: started from the built images, found again by name, gone when the block ends."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

WAIT_SECONDS = 60


class Unable(Exception):
    """The benchmark cannot run here; the text says why and what to do."""


def docker(*words: str) -> str:
    """The docker command's output without its last newline. Raises Unable."""
    try:
        done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)
    except FileNotFoundError:
        raise Unable("there is no docker command; `make images` sets up what is missing") from None
    if done.returncode:
        raise Unable(f"docker {' '.join(words[:3])}: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")


def image(name: str) -> str:
    """The image's name as in compose.yaml. Raises Unable where it is not built."""
    full = f"{os.environ.get('LOGSHIP_IMAGES') or 'logship'}/{name}:{os.environ.get('LOGSHIP_TAG') or 'local'}"
    try:
        docker("image", "inspect", "-f", "{{.Id}}", full)
    except Unable as error:
        raise Unable(f"{error}; build the images with `make images`") from None
    return full


class Lab:
    """A network and the containers in it, named after this run."""

    def __init__(self) -> None:
        self._prefix = f"logship-bench-{secrets.token_hex(3)}"
        self._names: list[str] = []

    def begin(self) -> None:
        """Make the network."""
        docker("network", "create", self._prefix)

    def start(self, name: str, of: str, *options: str, files: Mapping[str, str], command: tuple[str, ...] = ()) -> None:
        """A container ``name`` of the image ``of`` that has these texts in these places."""
        full = self.full(name)
        self._names.append(full)  # before it is there: whatever ends this call in its midst, it is removed
        docker(
            "create", "--name", full, "--network", self._prefix, "--network-alias", name, *options, image(of), *command
        )
        with tempfile.TemporaryDirectory() as folder:
            for place, text in files.items():
                path = Path(folder) / Path(place).name
                path.write_text(text)
                path.chmod(0o644)
                docker("cp", str(path), f"{full}:{place}")
        docker("start", full)

    def full(self, name: str) -> str:
        """What the engine calls the container."""
        return f"{self._prefix}-{name}"

    def address(self, name: str) -> str:
        """The container's address, reachable from this host without any proxy."""
        return docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", self.full(name))

    def pids(self, name: str, *words: str) -> list[int]:
        """The host's numbers of the container's processes whose command lines have all these words."""
        told = docker("top", self.full(name), "-eo", "pid,args").splitlines()[1:]
        found = [line.split() for line in told]
        return [int(line[0]) for line in found if all(word in line for word in words)]

    def remove(self, *names: str) -> None:
        """Remove these containers; without names all there is, and the network."""
        for full in [self.full(name) for name in names] or [*self._names]:
            with contextlib.suppress(Unable):
                docker("rm", "-f", "-v", full)
            self._names.remove(full)
        if not names:
            with contextlib.suppress(Unable):
                docker("network", "rm", self._prefix)


@contextlib.contextmanager
def lab() -> Iterator[Lab]:
    """A lab, removed at the end."""
    found = Lab()
    try:
        found.begin()
        yield found
    finally:
        found.remove()


def wait(what: str, probe: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    """Until it is so. Raises Unable when it is not in time."""
    deadline = time.monotonic() + seconds
    while not probe():
        if time.monotonic() > deadline:
            raise Unable(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.2)
