"""From facts about this machine to the next steps, each with its reason (core).

The plan is made anew after each step, so a step never relies on what an earlier one promised: installing the engine's
package may or may not have started it. ``lines_of`` prints the whole of it without doing any.
"""

from __future__ import annotations

from logship.errors import Fault
from supervise.up.request import Request
from supervise.up.values import Action, Facts, Step

OS_IMAGE = "logship/os:trixie"
"""The minimal Debian 13 that is made here where no registry answers."""

SLIM_IMAGE = "debian:trixie-slim"
"""The same from the registry."""

ENGINE = ("docker.io", "docker-cli?", "ca-certificates", "apparmor?")
COMPOSE = ("docker-compose-v2|docker-compose-plugin|docker-compose", "docker-buildx?")
MAKERS = ("mmdebstrap", "debian-archive-keyring")
"""Debian packages: ``a|b`` is the first of them that this release has, ``a?`` is left out where there is none."""

WORK = frozenset({Action.BUILD, Action.RUN})
"""The steps that are the work itself; all others prepare the machine for it."""

TOOLS = {"wrk": "wrk", "chromium": "chromium|chromium-browser"}
"""Programs of the tests and the packages they come in."""


def steps_of(request: Request, facts: Facts) -> tuple[Step, ...]:
    """What is still to be done, in order. Raises Fault where nothing that may be done here helps."""
    needs = request.needs
    steps: list[Step] = []
    if "running engine" in needs:
        _refuse_silence(facts)
    if "ports" in needs:
        _refuse_holders(facts)
    if needs & {"engine", "commands"}:
        steps += _packages(request, facts)
    if "engine" in needs and not facts.engine:
        steps += _engine(facts)
    if "commands" in needs and not facts.commands:
        text = ".venv/bin/supervise and .venv/bin/logship, installed by pip from this checkout"
        text += ", with the tools of the tests" if "dev" in needs else ""
        steps.append(Step(Action.COMMANDS, "commands", text, "not there, or not as pyproject.toml says"))
    if "images" in needs:
        steps += _base(request, facts)
        if not facts.wheels and not facts.wheels_error:
            text = "DuckDB and nanoarrow for the collector, by pip into wheels/, 26 MB"
            steps.append(Step(Action.FETCH, "wheels", text, "Debian has no packages of them"))
        reason = "the engine keeps the layers that did not change"
        steps.append(Step(Action.BUILD, "images", "build them", reason))
    if "stack" in needs:
        text = f"start ha, collector and webapp x {request.nodes}, and wait until all are healthy"
        steps.append(Step(Action.RUN, "stack", text, f"project {request.project}"))
    return tuple(steps)


def base_image(request: Request, facts: Facts) -> str:
    """The base image that is here and would be taken; empty where there is none yet."""
    wanted = (request.base_image,) if request.base_image else (OS_IMAGE, SLIM_IMAGE)
    return next((image for image in wanted if image in facts.images), "")


def lines_of(request: Request, facts: Facts) -> tuple[list[str], bool]:
    """The plan as text, with what stands already, and whether it can be done; a refusal is part of the text."""
    lines = [f"plan: make {request.command} would do this; nothing is done now"]
    lines += [f"   {line}" for line in standing(request, facts)]
    try:
        steps = steps_of(request, facts)
    except Fault as fault:
        return [*lines, f"   it would stop here: {fault}"], False
    return [*lines, *(f"{number:2d} {step}" for number, step in enumerate(steps, 1))], True


def standing(request: Request, facts: Facts) -> list[str]:
    """What is there already, a line a topic."""
    lines = []
    if facts.engine and facts.compose:
        where = f" at {facts.chosen_engine}" if facts.chosen_engine else ""
        lines.append(
            f"engine: {facts.engine} answers{where}; compose {facts.compose_version}, {' '.join(facts.compose)}"
        )
    if "ports" in request.needs and all(holder.ours for holder in facts.holders):
        how = "this project's own already" if facts.holders else "free"
        lines.append(f"ports: {', '.join(str(port) for port in request.ports.values())} are {how}")
    if "commands" in request.needs and facts.commands:
        lines.append("commands: .venv/bin/supervise and .venv/bin/logship are there")
    if "load" in request.needs and facts.missing_tools and not (facts.apt and facts.root):
        lines.append(f"tools: {' and '.join(facts.missing_tools)} not found; the tests that need them say so")
    if "images" in request.needs and base_image(request, facts):
        lines.append(f"base image: {base_image(request, facts)}")
    if "images" in request.needs and facts.wheels:
        lines.append("wheels: those of the collector are there")
    elif "images" in request.needs and facts.wheels_error:
        lines.append(f"wheels: there are none, so the collector seals nothing: {facts.wheels_error}")
    return lines


def _packages(request: Request, facts: Facts) -> list[Step]:
    wanted: list[str] = []
    why: list[str] = []
    if "engine" in request.needs:
        here = bool(facts.engine or facts.dockerd or (facts.chosen_engine and facts.docker))
        if not facts.docker or not here:
            wanted += ENGINE
            why.append("no docker command is found" if not facts.docker else "no engine answers and none is installed")
        if not facts.compose:
            wanted += COMPOSE
            why.append("no compose is found")
        if wanted and facts.chosen_engine:
            hint = f"install {names_of(wanted)}; nothing is installed while {facts.chosen_engine} is set"
            raise Fault("use the engine at", facts.chosen_engine, " and ".join(why), hint)
    if "commands" in request.needs and not facts.commands and not facts.ensurepip:
        wanted.append(facts.venv_package)
        why.append("this Python cannot make a virtual environment")
    if "load" in request.needs and facts.missing_tools and facts.apt and facts.root:
        wanted += [TOOLS[tool] for tool in facts.missing_tools]
        why.append(f"the tests use {' and '.join(facts.missing_tools)}")
    return [_install(facts, "engine" if "engine" in request.needs else "commands", wanted, why)] if wanted else []


def _install(facts: Facts, topic: str, packages: list[str], why: list[str]) -> Step:
    reason = ", ".join(why)
    if not facts.apt:
        docs = "Docker Engine and Compose (https://docs.docker.com/engine/install)"
        hint = docs if "docker.io" in packages or COMPOSE[0] in packages else names_of(packages)
        raise Fault("install packages on", facts.system, reason, f"install {hint} yourself, then say it again")
    if not facts.root:
        raise Fault(
            "install",
            names_of(packages),
            f"{reason}, and you are not root",
            f"sudo apt-get install {first_of(packages)}",
        )
    return Step(Action.INSTALL, topic, f"apt-get install {names_of(packages)}", reason, tuple(packages))


def names_of(packages: list[str] | tuple[str, ...]) -> str:
    """The packages for people to read: alternatives told apart, optional ones named as such."""
    return ", ".join(
        f"{name[:-1]} (where there is one)" if name.endswith("?") else name.replace("|", " or ") for name in packages
    )


def first_of(packages: list[str]) -> str:
    """The packages as words of a command line that works on Debian: no optional ones, the last alternative."""
    return " ".join(name.split("|")[-1] for name in packages if not name.endswith("?"))


def _engine(facts: Facts) -> list[Step]:
    """Steps to an engine that answers, once its packages are there."""
    if facts.docker:
        _refuse_chosen(facts)
        if "permission denied" in facts.engine_error.lower() and not facts.root:
            hint = "sudo usermod -aG docker $USER, log in again, then say it again"
            raise Fault("use", "the Docker engine", "it answers, but not to you", hint)
        if not facts.root:
            hint = "sudo systemctl start docker (or sudo service docker start), then say it again"
            raise Fault("start", "the Docker engine", "it does not answer, and you are not root", hint)
    reason = "the process it names is gone, or is no such daemon"
    steps = [Step(Action.FORGET, "engine", f"remove {path}", reason, (path,)) for path in facts.stale_pids]
    how = {
        "systemd": "systemctl start docker",
        "service": "service docker start",
        "hand": "dockerd, detached, its log in /var/log/logship-dockerd.log",
    }[facts.starter]
    reason = "it does not answer" if facts.dockerd else "unless it answers once it is installed"
    return [*steps, Step(Action.START, "engine", f"start it: {how}", reason, (facts.starter,))]


def _refuse_chosen(facts: Facts) -> None:
    if facts.chosen_engine:
        hint = "start it, or unset that to use this machine's own engine"
        raise Fault("reach the Docker engine of", facts.chosen_engine, facts.engine_error or "no answer", hint)


def _refuse_silence(facts: Facts) -> None:
    """Scaling and stopping start no engine: without one nothing of the project runs that they could change."""
    if facts.engine and facts.compose:
        return
    if facts.docker and not facts.engine:
        _refuse_chosen(facts)
    missing = "there is no docker command" if not facts.docker else facts.engine_error or "there is no compose"
    raise Fault("reach", "the Docker engine", missing, "make up brings the engine up")


def _refuse_holders(facts: Facts) -> None:
    held = [holder for holder in facts.holders if not holder.ours]
    if not held:
        return
    moves = [f"{holder.variable}={holder.port + 10000 if holder.port <= 55000 else 8000}" for holder in held]
    raise Fault(
        "take",
        " and ".join(f"port {holder.port}" for holder in held),
        "; ".join(f"{holder.port} is held by {holder.text}" for holder in held),
        f"stop it, or move ours, e.g. make up {' '.join(moves)}",
    )


def _base(request: Request, facts: Facts) -> list[Step]:
    """Local tag, else the registry, else made here; what BASE_IMAGE names is local or in a registry, never made."""
    if base_image(request, facts):
        return []
    name = request.base_image or SLIM_IMAGE
    if not facts.pull_error:
        otherwise = "" if request.base_image else f"; where no registry has it, mmdebstrap makes {OS_IMAGE}"
        return [Step(Action.PULL, "base image", f"docker pull {name}{otherwise}", "it is not here yet", (name,))]
    if request.base_image:
        raise Fault("find the base image", name, facts.pull_error, "leave BASE_IMAGE out, or build or load that image")
    steps = []
    if not facts.mmdebstrap:
        steps.append(_install(facts, "base image", list(MAKERS), [f"{name} could not be pulled"]))
    text = f"{OS_IMAGE}, made by mmdebstrap from {request.mirror or 'the archive of Debian'}, about half a minute"
    return [*steps, Step(Action.MAKE, "base image", text, f"no registry gave {name}", (OS_IMAGE,))]
