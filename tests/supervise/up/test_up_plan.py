"""Facts about a machine lead to the steps a careful administrator would take, or to one sentence why none helps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from logship.errors import Fault
from supervise.up.plan import OS_IMAGE, SLIM_IMAGE, WORK, base_image, first_of, lines_of, standing, steps_of
from supervise.up.request import Request, request_of
from supervise.up.values import Action, Facts, Holder

UP = request_of("up", {})
TEST = request_of("test", {})
BARE = Facts()
READY = Facts(
    docker="/usr/bin/docker",
    engine="20.10.24",
    dockerd="/usr/sbin/dockerd",
    compose=("docker-compose",),
    compose_version="1.29.2",
    ensurepip=True,
    commands=True,
    images=frozenset({OS_IMAGE}),
    mmdebstrap=True,
    wheels=True,
)


def actions(facts: Facts, request: Request = UP) -> list[Action]:
    return [step.action for step in steps_of(request, facts)]


def refusal(facts: Facts, request: Request = UP) -> Fault:
    with pytest.raises(Fault) as caught:
        steps_of(request, facts)
    assert caught.value.status == 1
    assert caught.value.hint
    return caught.value


def test_a_bare_debian_gets_packages_an_engine_the_commands_and_a_base_image() -> None:
    steps = steps_of(UP, BARE)
    assert [step.action for step in steps] == [
        Action.INSTALL, Action.START, Action.COMMANDS, Action.PULL, Action.FETCH, Action.BUILD, Action.RUN,
    ]  # fmt: skip
    assert steps[0].subjects[0] == "docker.io"
    assert "python3-venv" in steps[0].subjects
    assert "docker-compose" in steps[0].text
    assert "unless it answers" in steps[1].reason


def test_a_machine_that_has_it_all_gets_the_work_alone() -> None:
    assert actions(READY) == [Action.BUILD, Action.RUN]
    assert all(step.action in WORK for step in steps_of(UP, READY))


@pytest.mark.parametrize(
    ("facts", "package"),
    [
        (replace(READY, compose=()), "docker-compose-v2|docker-compose-plugin|docker-compose"),
        (replace(READY, commands=False, ensurepip=False, venv_package="python3.12-venv"), "python3.12-venv"),
        (replace(READY, engine="", dockerd=""), "docker.io"),
        (replace(READY, engine="", docker=""), "docker.io"),
    ],
)
def test_what_is_missing_is_installed_and_nothing_that_is_there(facts: Facts, package: str) -> None:
    step = steps_of(UP, facts)[0]
    assert step.action is Action.INSTALL
    assert package in step.subjects
    assert ("docker.io" in step.subjects) == (package == "docker.io")


def test_an_installed_engine_that_is_silent_is_started_by_what_the_machine_has() -> None:
    for starter, words in (("systemd", "systemctl start"), ("service", "service docker"), ("hand", "detached")):
        steps = steps_of(UP, replace(READY, engine="", starter=starter))
        assert [step.action for step in steps] == [Action.START, Action.BUILD, Action.RUN]
        assert words in steps[0].text


def test_stale_pid_files_go_before_the_start() -> None:
    steps = steps_of(UP, replace(READY, engine="", stale_pids=("/run/a.pid", "/run/b.pid")))
    assert [step.action for step in steps[:3]] == [Action.FORGET, Action.FORGET, Action.START]
    assert [step.subjects for step in steps[:2]] == [("/run/a.pid",), ("/run/b.pid",)]


def test_who_is_not_root_is_told_the_command_to_type() -> None:
    fault = refusal(replace(BARE, root=False))
    assert "not root" in fault.cause
    assert fault.hint == "sudo apt-get install docker.io ca-certificates docker-compose python3-venv"
    assert "systemctl start docker" in refusal(replace(READY, root=False, engine="")).hint


def test_an_engine_that_answers_others_is_a_matter_of_the_group_docker() -> None:
    facts = replace(READY, root=False, engine="", engine_error="Got permission denied while trying to connect")
    assert "usermod -aG docker" in refusal(facts).hint


def test_another_system_is_told_what_to_install() -> None:
    fault = refusal(replace(BARE, apt=False, system="Fedora Linux 41"))
    assert fault.subject == "Fedora Linux 41"
    assert "Docker Engine and Compose" in fault.hint


CHOSEN = replace(READY, engine="", engine_error="connection refused", chosen_engine="DOCKER_HOST=tcp://h:1")


@pytest.mark.parametrize(
    "facts", [CHOSEN, replace(CHOSEN, docker=""), replace(CHOSEN, dockerd=""), replace(CHOSEN, compose=())]
)
def test_with_an_engine_of_ones_choice_nothing_is_installed_or_started(facts: Facts) -> None:
    assert "DOCKER_HOST=tcp://h:1" in str(refusal(facts))


def test_a_chosen_engine_that_answers_is_used() -> None:
    assert actions(replace(READY, dockerd="", chosen_engine="DOCKER_HOST=tcp://h:1")) == [Action.BUILD, Action.RUN]


def test_every_held_port_is_told_with_its_holder_and_the_variable_that_moves_ours() -> None:
    held = (Holder(80, "HTTP_PORT", "nginx (pid 7)"), Holder(8080, "VIEWER_PORT", "the container web"))
    fault = refusal(replace(BARE, holders=held))
    assert "80 is held by nginx (pid 7); 8080 is held by the container web" in fault.cause
    assert "HTTP_PORT=10080 VIEWER_PORT=18080" in fault.hint


def test_ports_held_by_our_own_stack_are_fine() -> None:
    facts = replace(READY, holders=(Holder(80, "HTTP_PORT", "the container logship_ha_1", ours=True),))
    assert actions(facts) == [Action.BUILD, Action.RUN]
    assert any("this project's own already" in line for line in standing(UP, facts))


def test_the_base_image_is_the_local_tag_then_the_registrys_then_made_here() -> None:
    assert base_image(UP, replace(READY, images=frozenset({SLIM_IMAGE, OS_IMAGE}))) == OS_IMAGE
    assert base_image(UP, replace(READY, images=frozenset({SLIM_IMAGE}))) == SLIM_IMAGE
    none = replace(READY, images=frozenset())
    assert base_image(UP, none) == ""
    assert actions(none)[0] is Action.PULL
    assert actions(replace(none, pull_error="no such host"))[0] is Action.MAKE
    bare = replace(none, pull_error="no such host", mmdebstrap=False)
    assert actions(bare)[:2] == [Action.INSTALL, Action.MAKE]
    assert "debian-archive-keyring" in steps_of(UP, bare)[0].subjects
    assert "mmdebstrap" in refusal(replace(bare, root=False)).hint
    assert "mmdebstrap" in refusal(replace(bare, apt=False)).hint


def test_a_base_image_of_ones_choice_is_never_replaced_by_another() -> None:
    chosen = request_of("up", {"BASE_IMAGE": "mine:1"})
    assert actions(READY, chosen)[0] is Action.PULL
    assert "mine:1" in str(refusal(replace(READY, pull_error="denied"), chosen))
    assert actions(replace(READY, images=frozenset({"mine:1"})), chosen) == [Action.BUILD, Action.RUN]


def test_the_wheels_of_the_collector_are_fetched_once_and_done_without_where_nobody_gives_them() -> None:
    none = replace(READY, wheels=False)
    assert actions(none) == [Action.FETCH, Action.BUILD, Action.RUN]
    assert actions(replace(none, wheels_error="no index")) == [Action.BUILD, Action.RUN]
    assert any("seals nothing: no index" in line for line in standing(UP, replace(none, wheels_error="no index")))
    assert any(line.startswith("wheels: ") for line in standing(UP, READY))


def test_the_tests_get_their_tools_from_packages_or_do_without() -> None:
    facts = replace(READY, missing_tools=("wrk", "chromium"))
    assert "chromium|chromium-browser" in steps_of(TEST, facts)[0].subjects
    other = replace(facts, apt=False)
    assert actions(other, TEST) == [Action.BUILD]
    assert "tools: wrk and chromium not found; the tests that need them say so" in standing(TEST, other)


def test_lint_and_unit_ask_for_no_engine() -> None:
    for command in ("lint", "unit"):
        assert actions(replace(BARE, ensurepip=True), request_of(command, {})) == [Action.COMMANDS]


@pytest.mark.parametrize("command", ["scale", "down"])
def test_scaling_and_stopping_start_no_engine(command: str) -> None:
    request = request_of(command, {"NODES": "3"})
    assert steps_of(request, READY) == ()
    assert "make up" in refusal(BARE, request).hint
    assert "connection refused" in refusal(replace(READY, engine="", engine_error="connection refused"), request).cause


def test_the_printed_plan_numbers_the_steps_and_tells_a_refusal() -> None:
    lines, feasible = lines_of(UP, BARE)
    assert feasible
    assert lines[0].startswith("plan: ")
    assert lines[-1].startswith(" 7 stack: ")
    lines, feasible = lines_of(UP, replace(BARE, apt=False))
    assert not feasible
    assert "it would stop here" in lines[-1]


def test_the_command_line_of_packages_leaves_out_what_a_release_may_not_have() -> None:
    assert first_of(["a", "b?", "c|d"]) == "a d"
