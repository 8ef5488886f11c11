"""The Dockerfile and what surrounds it: both builders can read it, the layers are in the right order."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path

import pytest

from supervise.cli import main

TREE = Path(__file__).resolve().parents[2]
TEXT = (TREE / "images" / "Dockerfile").read_text(encoding="utf-8")
IMAGES = ("base", "ha", "webapp", "collector")
CLASSIC = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN", "STOPSIGNAL", "USER",
    "WORKDIR",
}  # fmt: skip


def instructions() -> list[tuple[str, str]]:
    """The instructions of the file: word and arguments, continued lines joined, comments left out."""
    lines = [line for line in TEXT.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", " ", "\n".join(lines))
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


def stage(name: str) -> list[tuple[str, str]]:
    """The instructions of one stage, its FROM first; empty where there is no such stage."""
    stages: dict[str, list[tuple[str, str]]] = {"": []}
    current = ""
    for word, rest in instructions():
        if word == "FROM":
            current = rest.rpartition(" AS ")[2]
            stages[current] = []
        stages[current].append((word, rest))
    return stages.get(name, [])


def test_only_what_the_classic_builder_knows_is_used() -> None:
    """Measured: a syntax line needs a registry, mounts, heredocs, --chmod and --link fail without BuildKit."""
    assert {word for word, _ in instructions()} <= CLASSIC
    assert not re.search(r"^#\s*(syntax|escape|check)\s*=", TEXT, re.MULTILINE | re.IGNORECASE)
    flags = {"COPY": {"--from"}, "HEALTHCHECK": {"--interval", "--timeout", "--start-period", "--retries"}}
    for word, rest in instructions():
        used = itertools.takewhile(lambda item: item.startswith("--"), rest.split())
        assert {item.partition("=")[0] for item in used} <= flags.get(word, set()), (word, rest)
        assert "<<" not in rest, (word, rest)


def test_the_base_image_is_an_argument_with_the_official_one_as_default() -> None:
    assert instructions()[0] == ("ARG", "BASE_IMAGE=debian:trixie-slim")
    assert ("FROM", "${BASE_IMAGE} AS packages") in instructions()


@pytest.mark.parametrize("image", IMAGES)
def test_every_image_is_a_target_whose_packages_do_not_depend_on_our_code(image: str) -> None:
    """A change of code must not install packages again: no apt in the stage that copies code, nor after it."""
    own = stage(image)
    assert own, f"no stage {image}"
    assert not [rest for word, rest in own if word == "RUN" and "apt-get" in rest]
    parent = own[0][1].split()[0]
    assert not [rest for word, rest in stage(parent) if word == "COPY" and "--from=code" in rest]


def test_every_installation_leaves_no_caches() -> None:
    for word, rest in instructions():
        if word == "RUN" and "apt-get install" in rest:
            assert "--no-install-recommends" in rest
            assert "apt-get clean" in rest
            assert "/var/lib/apt/lists/*" in rest
            assert "/var/cache/apt/*.bin" in rest


def test_nothing_is_fetched_but_by_apt() -> None:
    for tool in ("curl", "wget", "pip", "git clone", "npm"):
        assert not [rest for word, rest in instructions() if word == "RUN" and re.search(rf"\b{tool} ", rest)], tool
    assert not [rest for word, rest in instructions() if "://" in rest]


def test_pid_1_is_supervise_init_and_the_health_check_is_cheap() -> None:
    packages = dict(stage("packages"))
    assert packages["ENTRYPOINT"] == '["/usr/local/bin/supervise", "init"]'
    assert packages["STOPSIGNAL"] == "SIGTERM"
    assert packages["HEALTHCHECK"].startswith("--interval=2s ")


def test_the_context_of_the_build_holds_the_code_and_the_wheels_alone() -> None:
    lines = (TREE / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line and not line.startswith("#")]
    assert kept[0] == "*"
    folders = {"supervise", "logship", "templates", "images", "wheels"}
    assert {line for line in kept if line.startswith("!")} == {f"!{folder}" for folder in folders}
    copied = {rest.split()[0].split("/")[0] for word, rest in instructions() if word == "COPY" and "--from" not in rest}
    assert copied == folders


@pytest.mark.parametrize("image", IMAGES)
def test_the_graces_nest(image: str) -> None:
    """The programs' stops together < the container's < the engine's patience, or the engine kills what still works."""
    declaration = tomllib.loads((TREE / "images" / image / "supervise.toml").read_text(encoding="utf-8"))
    stop_seconds = declaration["container"].get("stop_seconds", 15)
    assert sum(program.get("stop", {}).get("seconds", 5) for program in declaration["program"].values()) < stop_seconds
    compose = (TREE / "compose.yaml").read_text(encoding="utf-8")
    grace = re.search(r"stop_grace_period: (\d+)s", compose)
    assert grace
    assert stop_seconds < int(grace[1])


@pytest.mark.parametrize("image", IMAGES)
def test_the_declaration_is_of_its_image_and_keeps_a_spool(image: str) -> None:
    declaration = tomllib.loads((TREE / "images" / image / "supervise.toml").read_text(encoding="utf-8"))
    assert declaration["container"]["service"] == image
    spool = declaration["program"]["spool"]
    assert spool["command"][:2] == ["/usr/local/bin/logship", "spool"]
    assert spool["capture"] is False
    assert spool["restart"]["tries"] == 0
    assert spool["after"] == ["ship"], "ship ends last: it sends what spool took at its end"
    for name, program in declaration["program"].items():
        assert name == "ship" or program["after"], f"{name} would be stopped after the spool"


@pytest.mark.parametrize("image", IMAGES)
def test_every_declaration_is_free_of_faults(image: str, capsys: pytest.CaptureFixture[str]) -> None:
    declaration = TREE / "images" / image / "supervise.toml"
    assert main(["check", "--no-files", str(declaration)], {}) == 0
    assert capsys.readouterr().out.startswith("ok: ")
