"""Edge: what this machine is like, asked anew for each plan; nothing is changed by asking."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

from supervise.up import ports, venv, wheels
from supervise.up.daemon import stale_pid_files
from supervise.up.plan import OS_IMAGE, SLIM_IMAGE, TOOLS
from supervise.up.request import Request
from supervise.up.shell import Shell
from supervise.up.values import Facts, Holder

ANSWER_SECONDS = 8
"""How long an engine may take to answer before it counts as silent."""


def gather(request: Request, shell: Shell, tree: Path, pull_error: str = "", wheels_error: str = "") -> Facts:
    """The facts that ``request`` depends on; the errors are what this run's own pull and fetch answered."""
    needs = request.needs
    release = _os_release()
    docker = shell.find("docker")
    chosen = chosen_engine(shell.environment)
    engine, error = _engine(shell) if docker and needs & {"engine", "running engine"} else ("", "")
    compose, version = _compose(shell) if needs & {"engine", "running engine"} else ((), "")
    names = (request.base_image,) if request.base_image else (OS_IMAGE, SLIM_IMAGE)
    return Facts(
        system=release.get("PRETTY_NAME", platform.platform()),
        apt="debian" in f"{release.get('ID', '')} {release.get('ID_LIKE', '')}" and Path("/usr/bin/apt-get").exists(),
        root=os.geteuid() == 0,
        docker=docker,
        chosen_engine=chosen,
        engine=engine,
        engine_error=error,
        dockerd=shell.find("dockerd"),
        starter=_starter(shell),
        stale_pids=() if engine or chosen else stale_pid_files(),
        compose=compose,
        compose_version=version,
        ensurepip=all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
        venv_package=_venv_package(),
        commands="commands" in needs and venv.is_current(tree, dev="dev" in needs),
        images=_images(shell, names) if engine and "images" in needs else frozenset(),
        pull_error=pull_error,
        wheels="images" in needs and wheels.are_there(tree),
        wheels_error=wheels_error,
        mmdebstrap=bool(shell.find("mmdebstrap")),
        holders=_holders(request, shell, bool(engine), chosen) if "ports" in needs else (),
        missing_tools=_missing_tools(shell) if "load" in needs else (),
    )


def chosen_engine(environment: Mapping[str, str]) -> str:
    """What points the docker command to an engine of somebody's choice; empty for this machine's own."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        if environment.get(name, "") not in ("", "default"):
            return f"{name}={environment[name]}"
    folder = environment.get("DOCKER_CONFIG") or f"{environment.get('HOME', '')}/.docker"
    try:
        settings = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    context = settings.get("currentContext", "") if isinstance(settings, dict) else ""
    return f"docker context {context}" if context not in ("", "default") else ""


def engine_version(shell: Shell) -> str:
    """The version of the engine that answers; empty for none."""
    return _engine(shell)[0]


def _engine(shell: Shell) -> tuple[str, str]:
    outcome = shell.run("docker", "version", "--format", "{{.Server.Version}}", seconds=ANSWER_SECONDS)
    if outcome.status == 124:
        return "", f"no answer within {ANSWER_SECONDS} s"
    return (outcome.last, "") if outcome.status == 0 else ("", outcome.last)


def _compose(shell: Shell) -> tuple[tuple[str, ...], str]:
    """Version 2 as docker's plug-in, else what is called docker-compose, of either version."""
    for words in (("docker", "compose"), ("docker-compose",)):
        if shell.find(words[0]):
            outcome = shell.run(*words, "version", "--short", seconds=30)
            if outcome.status == 0:
                return words, outcome.last.lstrip("v")
    return (), ""


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _starter(shell: Shell) -> str:
    if shell.find("systemctl") and Path("/run/systemd/system").is_dir():
        return "systemd"
    return "service" if shell.find("service") and Path("/etc/init.d/docker").exists() else "hand"


def _venv_package() -> str:
    """Debian's package for this interpreter: the one of the default Python has no number in its name."""
    if Path(sys.executable).resolve() == Path("/usr/bin/python3").resolve():
        return "python3-venv"
    return f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"


def _images(shell: Shell, names: tuple[str, ...]) -> frozenset[str]:
    inspect = ("docker", "image", "inspect", "--format", "{{.Id}}")
    return frozenset(name for name in names if shell.run(*inspect, name, seconds=30).status == 0)


def _missing_tools(shell: Shell) -> tuple[str, ...]:
    return tuple(name for name, packages in TOOLS.items() if not any(shell.find(item) for item in packages.split("|")))


def _holders(request: Request, shell: Shell, engine: bool, chosen: str) -> tuple[Holder, ...]:
    """Containers first: what listens for them is docker's own proxy, whose name helps nobody."""
    label = "com.docker.compose.project"
    form = f'{{{{.Names}}}}\t{{{{.Label "{label}"}}}}\t{{{{.Ports}}}}'
    text = shell.run("docker", "ps", "--format", form, seconds=30).text if engine else ""
    rows = [line.split("\t") for line in text.splitlines() if line.count("\t") == 2]
    local = not chosen or "unix://" in chosen
    found = []
    for variable, port in request.ports.items():
        row = next((row for row in rows if port in ports.published(row[2])), None)
        if row is not None:
            whose = f" of the project {row[1]}" if row[1] else ""
            found.append(Holder(port, variable, f"the container {row[0]}{whose}", ours=row[1] == request.project))
        elif local and (text := ports.listener(port)):
            found.append(Holder(port, variable, text))
    return tuple(found)
