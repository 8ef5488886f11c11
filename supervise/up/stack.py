"""Edge: the project's images and containers, through compose (either version) and the docker command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from supervise.up.progress import Container, Disk, bytes_of, together
from supervise.up.request import Request
from supervise.up.shell import Shell

BUILD_SECONDS = 900
COMPOSE_SECONDS = 300
LOOK_SECONDS = 30
LOG_LINES = 8
LABEL = "com.docker.compose"
TARGETS = ("base", "ha", "webapp", "collector")
"""The images of images/Dockerfile; base is what the others' users build on, so compose knows nothing of it."""


class Stack:
    """One compose project of this checkout."""

    def __init__(self, shell: Shell, tree: Path, request: Request, compose: tuple[str, ...], base: str = "") -> None:
        self._shell = shell
        self._tree = tree
        self._compose = (*compose, "-f", str(tree / "compose.yaml"), "-p", request.project)
        self._mine = f"label={LABEL}.project={request.project}"
        # A project of another name has images of its own, so that removing them takes nothing from this one.
        self._namespace = shell.environment.get("LOGSHIP_IMAGES") or request.project
        self._tag = shell.environment.get("LOGSHIP_TAG") or "local"
        self._base = base
        self._variables = {
            **{name: str(port) for name, port in request.ports.items()},
            # Only compose's own builds would use it, and version 1 replaces every container of a service when a build
            # argument differs from the one a container was started with: the same for every command, then.
            "BASE_IMAGE": "",
            "LOGSHIP_IMAGES": self._namespace,
            "LOGSHIP_TAG": self._tag,
        }

    @property
    def images(self) -> list[str]:
        """The names of the project's images."""
        return [f"{self._namespace}/{target}:{self._tag}" for target in TARGETS]

    def build(self) -> None:
        """Build every image. Raises Fault with the builder's last lines."""
        words = ["docker", "build", "-q", "--force-rm", "-f", str(self._tree / "images" / "Dockerfile")]
        arguments = ["--build-arg", f"BASE_IMAGE={self._base}"]
        for target, name in zip(TARGETS, self.images, strict=True):
            operation = f"build the image {name}"
            self._shell.must(
                operation, *words, *arguments, "--target", target, "-t", name, str(self._tree), seconds=BUILD_SECONDS
            )

    def up(self, nodes: int) -> None:
        """Start what is not running and replace what changed."""
        self._run("start the stack", "up", "-d", "--no-build", "--remove-orphans", "--scale", f"webapp={nodes}")

    def scale(self, nodes: int) -> None:
        """Change the number of webapps and touch nothing else, whatever the variables of the ports say now."""
        self._run("scale webapp", "up", "-d", "--no-build", "--no-recreate", "--scale", f"webapp={nodes}", "webapp")

    def down(self, *, volumes: bool) -> None:
        """Stop and remove containers and networks, and the volumes if asked for."""
        self._run("stop the stack", "down", "--remove-orphans", *(["--volumes"] if volumes else []))
        for item in self._ids("ps", "-aq"):  # what compose itself does not look after: `compose run`, other files
            self._shell.must("remove the container", "docker", "rm", "--force", item, seconds=60)
        for item in self._ids("network", "ls", "-q"):
            self._shell.must("remove the network", "docker", "network", "rm", item, seconds=60)
        if volumes:
            for item in self._ids("volume", "ls", "-q"):
                self._shell.must("remove the volume", "docker", "volume", "rm", item, seconds=60)

    def remove_images(self) -> tuple[list[str], list[str]]:
        """Remove the project's images; the names of the removed, and of the kept with why.

        Older builds and the classic builder's stages have no name, only a title. They are of use to no container, and
        to another project of this checkout as a cache at most.
        """
        removed, kept = [], []
        for name in self.images:
            outcome = self._shell.run("docker", "image", "rm", name, seconds=60)
            if outcome.status == 0:
                removed.append(name)
            elif "no such image" not in outcome.text.lower():
                kept.append(f"{name}: {outcome.last}")
        for title in (*TARGETS, "code", "lake"):
            mark = f"label=org.opencontainers.image.title=logship/{title}"
            self._shell.run("docker", "image", "prune", "--force", "--filter", mark, seconds=60)
        return removed, kept

    def containers(self) -> list[Container]:
        """Every container of the services, running or not; those of ``compose run`` are left out."""
        ids = self._ids("ps", "-aq")
        found = self._inspect("inspect", ids)
        items = [_container(item) for item in found if item["Config"]["Labels"].get(f"{LABEL}.oneoff") != "True"]
        return sorted(items, key=lambda item: (item.service, item.number))

    def counts(self) -> dict[str, int]:
        """How many containers, networks and volumes there are."""
        listings = {"container": ("ps", "-aq"), "network": ("network", "ls", "-q"), "volume": ("volume", "ls", "-q")}
        return {kind: len(self._ids(*words)) for kind, words in listings.items()}

    def disk(self) -> Disk:
        """What images and volumes take, by the engine's own account."""
        histories = {name: self._history(name) for name in self.images}
        text = self._shell.run("docker", "system", "df", "-v", "--format", "{{json .}}", seconds=LOOK_SECONDS).text
        try:
            volumes = json.loads(text)["Volumes"] or []
        except (ValueError, KeyError):
            volumes = []
        mine = set(self._ids("volume", "ls", "-q"))
        return Disk(
            images={name: sum(count for _, count in history) for name, history in histories.items() if history},
            together=together(list(histories.values())),
            volumes=sum(bytes_of(item["Size"]) for item in volumes if item["Name"] in mine),
        )

    def _history(self, name: str) -> list[tuple[str, int]]:
        words = ("docker", "history", "--no-trunc", "--human=false", "--format", "{{json .}}", name)
        outcome = self._shell.run(*words, seconds=LOOK_SECONDS)
        lines = [json.loads(line) for line in outcome.text.splitlines()] if outcome.status == 0 else []
        return [(f"{item['CreatedAt']} {item['CreatedBy']}", int(item["Size"])) for item in reversed(lines)]

    def last_words(self, container: Container) -> str:
        """What a container that is not well says about it: the end of its output, and its health check's answer."""
        output = self._shell.run("docker", "logs", "--tail", str(LOG_LINES), container.id, seconds=LOOK_SECONDS).text
        form = "{{with .State.Health}}{{range .Log}}{{.Output}}{{end}}{{end}}"
        check = self._shell.run("docker", "inspect", "--format", form, container.id, seconds=LOOK_SECONDS).text.strip()
        answer = f"its health check says: {check.splitlines()[-1]}" if check else ""
        return "\n".join(part for part in (output.rstrip(), answer) if part) or "nothing"

    def _run(self, operation: str, *words: str) -> None:
        self._shell.must(operation, *self._compose, *words, seconds=COMPOSE_SECONDS, environment=self._variables)

    def _ids(self, *words: str) -> list[str]:
        command = ("docker", *words, "--filter", self._mine)
        return self._shell.must("look at the project", *command, seconds=LOOK_SECONDS).split()

    def _inspect(self, command: str, ids: list[str]) -> list[dict[str, Any]]:
        """Descriptions of those that are still there: one that went in the meantime is no error."""
        if not ids:
            return []
        outcome = self._shell.run("docker", command, *ids, seconds=LOOK_SECONDS)
        text = outcome.text[outcome.text.find("[") :]
        found, _ = json.JSONDecoder().raw_decode(text)
        return list(found)


def _container(item: dict[str, Any]) -> Container:
    labels, state = item["Config"]["Labels"], item["State"]
    ports = item["NetworkSettings"]["Ports"] or {}
    return Container(
        id=item["Id"],
        service=labels.get(f"{LABEL}.service", "?"),
        number=int(labels.get(f"{LABEL}.container-number", "0")),
        status=state["Status"],
        health=state.get("Health", {}).get("Status", "none"),
        exit_status=state["ExitCode"],
        restarts=item["RestartCount"],
        ports={
            int(name.partition("/")[0]): f"{bound[0]['HostIp'] or '0.0.0.0'}:{bound[0]['HostPort']}"
            for name, bound in ports.items()
            if bound
        },
    )
