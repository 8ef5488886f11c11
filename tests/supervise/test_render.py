"""``supervise render``: templates become files of a container; every mistake names template and line."""

from __future__ import annotations

import argparse
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.errors import Fault
from supervise import config, render
from supervise.addresses import ipv6_addresses, own_address, own_addresses, usable


def run(*arguments: str, environment: dict[str, str] | None = None) -> int:
    """``supervise render`` in this process."""
    parser = argparse.ArgumentParser()
    render.configure(parser)
    return render.run(parser.parse_args(arguments), environment or {})


def template(folder: Path, text: str, name: str = "some.conf.j2") -> str:
    """A template file; returns its path."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_template_sees_environment_host_name_address_and_settings(tmp_path: Path) -> None:
    text = "{{ env.COLOUR }} {{ hostname }} {{ address }} {{ settings.run_dir }}\n"
    out = tmp_path / "out"
    assert run(template(tmp_path, text), str(out), environment={"COLOUR": "blue", "SUPERVISE_RUN_DIR": "/r"}) == 0
    assert out.read_text() == f"blue {socket.gethostname()} {own_addresses()[0]} /r\n"


def test_the_last_newline_of_a_template_is_kept(tmp_path: Path) -> None:
    """HAProxy refuses a configuration without it."""
    run(template(tmp_path, "a\n"), str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == b"a\n"


def test_a_bare_name_is_looked_for_in_the_folder_of_the_templates(tmp_path: Path) -> None:
    template(tmp_path, "found", "bare.j2")
    run("bare.j2", str(tmp_path / "out"), "--templates", str(tmp_path))
    assert (tmp_path / "out").read_text() == "found"


def test_the_file_is_private_unless_the_mode_says_otherwise(tmp_path: Path) -> None:
    path = template(tmp_path, "x")
    run(path, str(tmp_path / "private"))
    run(path, str(tmp_path / "shared"), "--mode", "0644")
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o644


def test_a_failed_rendering_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("old")
    path = template(tmp_path, "{{ nowhere }}")
    with pytest.raises(Fault):
        run(path, str(out))
    assert out.read_text() == "old"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["out", "some.conf.j2"]


@pytest.mark.parametrize(
    ("text", "place", "cause"),
    [
        ("\n{{ env.ABSENT }}", ":2", "the environment has no ABSENT"),
        ("\n{{ env.ABSENT | tojson }}", ":2", "the environment has no ABSENT"),
        ("{{ nowhere }}", ":1", "'nowhere' is undefined"),
        ("\n\n{% if %}", ":3", "Expected an expression"),
        ("\n{{ 1 + 'a' }}", ":2", "TypeError"),
        ("\n\n{{ fail('PORT must be a number') }}", ":3", "PORT must be a number"),
        ("{{ secret('KEY') }}", ":1", "KEY_FILE names /nowhere/key: No such file"),
        ("{% include 'other.j2' %}", "", "there is no template other.j2"),
    ],
)
def test_a_mistake_in_a_template_is_told_with_file_line_and_cause(
    tmp_path: Path, text: str, place: str, cause: str
) -> None:
    path = template(tmp_path, text)
    with pytest.raises(Fault) as caught:
        run(path, str(tmp_path / "out"), environment={"KEY_FILE": "/nowhere/key"})
    assert caught.value.subject == f"{path}{place}"
    assert cause in caught.value.cause
    assert caught.value.hint


def test_a_mistake_in_an_included_template_is_told_with_the_included_file(tmp_path: Path) -> None:
    inner = template(tmp_path, "fine\n{{ nowhere }}", "inner.j2")
    with pytest.raises(Fault) as caught:
        run(template(tmp_path, "\n\n{% include 'inner.j2' %}"), str(tmp_path / "out"))
    assert caught.value.subject == f"{inner}:2"


def test_a_template_that_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(Fault, match=r"no template absent\.j2") as caught:
        run("absent.j2", str(tmp_path / "out"), "--templates", str(tmp_path))
    assert caught.value.status == 2


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="No such file or directory"):
        run(template(tmp_path, "x"), str(tmp_path / "absent" / "out"))


@pytest.mark.parametrize("mode", ["rw", "8", "-1", "1000", ""])
def test_a_mode_that_is_none_is_refused(tmp_path: Path, mode: str) -> None:
    with pytest.raises(Fault) as caught:
        run(template(tmp_path, "x"), str(tmp_path / "out"), f"--mode={mode}")
    assert caught.value.status == 2


def test_a_secret_is_the_variable_or_the_content_of_the_file_it_names(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("from the file\n")
    both = {"KEY": "from the variable", "KEY_FILE": str(key)}
    assert render.secret(both, "KEY") == "from the variable"
    assert render.secret({"KEY": "", "KEY_FILE": str(key)}, "KEY") == "from the file"
    assert render.secret({}, "KEY") == ""


@pytest.mark.parametrize(("content", "cause"), [(b"\xff\xfe", "no text"), (b"x" * 65537, "longer than 65536")])
def test_a_secret_that_cannot_be_one_is_told(tmp_path: Path, content: bytes, cause: str) -> None:
    key = tmp_path / "key"
    key.write_bytes(content)
    with pytest.raises(render.Told, match=cause):
        render.secret({"KEY_FILE": str(key)}, "KEY")


def test_the_command_takes_the_place_of_the_process(tmp_path: Path) -> None:
    """As a process of its own: same process id before and after, words with dashes arrive untouched."""
    path = template(tmp_path, "{{ env.COLOUR }}\n")
    words = ["/bin/sh", "-c", 'cat "$1"; echo $$ "$2"', "sh", str(tmp_path / "out"), "-config-file=x"]
    process = subprocess.Popen(
        [sys.executable, "-m", "supervise", "render", path, str(tmp_path / "out"), "--", *words],
        env={**os.environ, "COLOUR": "green"},
        stdout=subprocess.PIPE,
        text=True,
    )
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said == f"green\n{process.pid} -config-file=x\n"


def test_a_command_that_cannot_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="No such file or directory") as caught:
        run(template(tmp_path, "x"), str(tmp_path / "out"), "--", "/nowhere/command")
    assert caught.value.subject == "/nowhere/command"


def test_loopback_and_link_local_addresses_are_not_a_containers_own() -> None:
    assert usable(["127.0.0.1", "172.18.0.2", "169.254.1.1", "::1", "fe80::1", "fd00::2", "172.18.0.2"]) == [
        "172.18.0.2",
        "fd00::2",
    ]


def test_ipv6_addresses_are_read_in_the_order_of_the_interfaces() -> None:
    table = (
        "fd000077000000000000000000000003 41 40 00 82     eth1\n"
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "torn line\n"
        "fd000077000000000000000000000002 40 40 00 82     eth0\n"
    )
    assert ipv6_addresses(table) == ["::1", "fd00:77::2", "fd00:77::3"]


def test_of_several_networks_the_setting_chooses() -> None:
    addresses = ["172.18.0.2", "10.1.0.9", "fd00::2"]
    assert own_address(addresses, "") == "172.18.0.2"
    assert own_address(addresses, "10.0.0.0/8") == "10.1.0.9"
    assert own_address(addresses, "fd00::/8") == "fd00::2"


@pytest.mark.parametrize(
    ("addresses", "network", "cause"),
    [
        ([], "", "only loopback"),
        (["172.18.0.2"], "10.0.0.0/8", r"none of 172\.18\.0\.2 lies in 10\.0\.0\.0/8"),
        (["172.18.0.2"], "not a network", "does not appear to be"),
    ],
)
def test_no_address_to_take_is_told(addresses: list[str], network: str, cause: str) -> None:
    with pytest.raises(Fault, match=cause):
        own_address(addresses, network)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_what_a_variable_holds_is_text_and_never_template(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    folder = tmp_path_factory.mktemp("render")
    path = Path(template(folder, "{{ env.VALUE }}"))
    context = render.context_of({"VALUE": value}, "host", ["10.0.0.1"], config.Settings())
    assert render.rendered(path, context) == value
