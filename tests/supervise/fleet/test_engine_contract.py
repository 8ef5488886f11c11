"""What the fleet relies on in an engine: the tests' engine of folders and the real one keep the same promises."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from logship.errors import Fault
from supervise.fleet.container import NUMBER, PROJECT, SERVICE, Container
from supervise.fleet.fanout import at_once
from supervise.fleet.fleet import Asked
from tests.supervise.fleet.places import FolderEngine, container

STATE = "/run/supervise/state.json"
IMAGE = "logship/os:trixie"


class Renamed:
    """An engine seen under the project name that the contract uses."""

    def __init__(self, engine: Any, project: str) -> None:
        self._engine, self._project = engine, project

    def containers(self, project: str, include_stopped: bool = False) -> list[Container]:
        found: list[Container] = self._engine.containers(
            self._project if project == "logship" else project, include_stopped
        )
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def folders(tmp_path: Path) -> Iterator[Asked]:
    engine = FolderEngine(tmp_path)
    for number in (10, 2):
        engine.add(container("web", number), {STATE: b"12345", "/run/folder/x": b""})
    engine.add(container("ha", 1, state="exited"), {STATE: b"12345"})
    yield engine


def real(_tmp_path: Path) -> Iterator[Asked]:
    import docker

    client = docker.from_env()
    from supervise.fleet.engine import Engine

    project = f"h-fleet-{secrets.token_hex(3)}"
    script = f"mkdir -p /run/supervise /run/folder; printf 12345 > {STATE}; exec sleep 600"
    made = []
    try:
        for service, number in (("web", 10), ("web", 2), ("ha", 1)):
            labels = {PROJECT: project, SERVICE: service, NUMBER: str(number)}
            name = f"{project}-{service}-{number}"
            made.append(
                client.containers.run(
                    IMAGE, ["sh", "-c", script], detach=True, name=name, labels=labels, network_mode="none", init=True
                )
            )
        engine = Engine.connect({})
        deadline = time.monotonic() + 60
        while not all(engine.read_file(item, STATE, 100) == b"12345" for item in engine.containers(project)):
            assert time.monotonic() < deadline, "the containers wrote no file"
            time.sleep(0.05)
        made[-1].stop(timeout=5)
        yield Renamed(engine, project)
    finally:
        for one in made:
            one.remove(force=True)
        client.close()


@pytest.fixture(scope="module", params=[folders, pytest.param(real, marks=pytest.mark.engine)], ids=["folders", "real"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """web/2 and web/10 run, ha/1 has stopped; state.json is five bytes, /run/folder a folder."""
    make: Callable[[Path], Iterator[Asked]] = request.param
    yield from make(tmp_path_factory.mktemp("containers"))


@pytest.fixture
def web(engine: Asked) -> Container:
    return next(item for item in engine.containers("logship") if item.number == 2)


@pytest.fixture
def stopped(engine: Asked) -> Container:
    return next(item for item in engine.containers("logship", include_stopped=True) if item.service == "ha")


def fault_of(act: Callable[[], object]) -> Fault:
    with pytest.raises(Fault) as caught:
        act()
    return caught.value


def test_containers_come_by_service_and_number_and_stopped_ones_only_when_asked_for(engine: Asked) -> None:
    assert [item.label for item in engine.containers("logship")] == ["web/2", "web/10"]
    assert [item.label for item in engine.containers("logship", include_stopped=True)] == ["ha/1", "web/2", "web/10"]
    assert engine.containers("no-such-project") == []


def test_a_container_says_whether_it_runs(web: Container, stopped: Container) -> None:
    assert (web.is_running, stopped.is_running) == (True, False)
    assert web.status.startswith("Up")
    assert stopped.status.startswith("Exited (")
    assert len(web.id) == 64


def test_a_file_is_read_whole(engine: Asked, web: Container) -> None:
    assert engine.read_file(web, STATE, 5) == b"12345"


def test_a_file_of_a_stopped_container_is_read_too(engine: Asked, stopped: Container) -> None:
    assert engine.read_file(stopped, STATE, 5) == b"12345"


def test_no_file_is_none(engine: Asked, web: Container) -> None:
    assert engine.read_file(web, "/run/supervise/nothing", 5) is None
    assert engine.read_file(web, "/no/such/folder/nothing", 5) is None


def test_a_file_longer_than_allowed_and_a_folder_are_faults(engine: Asked, web: Container) -> None:
    assert "longer than 4 bytes" in str(fault_of(lambda: engine.read_file(web, STATE, 4)))
    assert "not a regular file" in str(fault_of(lambda: engine.read_file(web, "/run/folder", 1 << 20)))


def test_a_command_has_its_status_and_both_outputs(engine: Asked, web: Container) -> None:
    result = engine.exec(web, ["sh", "-c", "echo out; echo err >&2; exit 7"], 30)
    assert (result.status, result.stdout, result.stderr) == (7, b"out\n", b"err\n")


def test_a_large_output_comes_whole(engine: Asked, web: Container) -> None:
    assert len(engine.exec(web, ["head", "-c", "3000000", "/dev/zero"], 60).stdout) == 3_000_000


def test_a_command_that_takes_too_long_is_a_fault_with_status_5(engine: Asked, web: Container) -> None:
    fault = fault_of(lambda: engine.exec(web, ["sleep", "20"], 0.3))
    assert (fault.status, fault.cause) == (5, "it took longer than 0.3 s")


def test_a_command_in_a_stopped_container_is_a_fault_with_status_4(engine: Asked, stopped: Container) -> None:
    fault = fault_of(lambda: engine.exec(stopped, ["true"], 30))
    assert fault.status == 4
    assert "is not running" in fault.cause


def test_output_is_followed_while_the_command_runs(engine: Asked, web: Container) -> None:
    """The command's input stays open until the reader closes, and its end tells the command that the reader went."""
    stream = engine.exec_stream(web, ["sh", "-c", "echo ready; cat > /dev/null"])
    try:
        assert next(iter(stream)) == (1, b"ready\n")
    finally:
        stream.close()


def test_a_followed_command_that_ends_has_its_status(engine: Asked, web: Container) -> None:
    stream = engine.exec_stream(web, ["sh", "-c", "echo out; exit 3"])
    assert list(stream) == [(1, b"out\n")]
    assert stream.status() == 3
    stream.close()


def test_it_may_be_used_from_many_threads(engine: Asked, web: Container) -> None:
    """Every answer goes to who asked: 40 commands at once, more than there are connections."""
    answers = at_once(lambda number: engine.exec(web, ["echo", str(number)], 120).stdout, range(40))
    assert answers == [b"%d\n" % number for number in range(40)]
    files = at_once(lambda path: engine.read_file(web, path, 100), list(itertools.repeat(STATE, 40)))
    assert files == [b"12345"] * 40


def test_a_container_that_is_gone_is_a_fault_and_not_a_missing_file(engine: Asked, web: Container) -> None:
    if isinstance(engine, FolderEngine):
        engine.faults["gone"] = Fault("read", "it", "No such container", status=4)
    gone = replace(web, id="0" * 64, name="gone")
    assert fault_of(lambda: engine.read_file(gone, STATE, 5)).status == 4
