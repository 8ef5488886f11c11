"""The edge to HAProxy: sockets and processes that answer late, wrongly or not at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from supervise.balance.haproxy import Haproxy, HaproxyDown


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answers here may be slow, as the machine is; a test of who does not answer has its own time."""
    monkeypatch.setattr("supervise.balance.haproxy.ANSWER_SECONDS", 60.0)


@contextmanager
def answering(path: Path, answer: bytes, *, is_closed: bool = True) -> Iterator[list[bytes]]:
    """A socket that reads one line to its end and answers; what it was told."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    told: list[bytes] = []
    done = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while data := connection.recv(4096):
                told.append(data)
            connection.sendall(answer)
            if not is_closed:
                done.wait(60)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        done.set()
        thread.join(60)
        listener.close()


def program(folder: Path, script: str) -> str:
    path = folder / "haproxy"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_commands_go_on_one_line_and_the_replies_come_back(tmp_path: Path) -> None:
    with answering(tmp_path / "admin", b"\nServer deleted.\n\n") as told:
        replies = Haproxy(tmp_path / "admin", tmp_path / "master").run(
            ["set server app/x state maint", "del server app/x"]
        )
    assert replies == ["", "Server deleted."]
    assert b"".join(told) == b"set server app/x state maint;del server app/x\n"


def test_a_command_that_could_carry_another_one_is_never_sent(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        Haproxy(tmp_path / "admin", tmp_path / "master").run(["del server app/x;shutdown frontend http"])


def test_a_socket_that_is_not_there_does_not_answer_or_says_nonsense_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    haproxy = Haproxy(tmp_path / "admin", tmp_path / "master")
    with pytest.raises(HaproxyDown, match="No such file"):
        haproxy.look()
    with answering(tmp_path / "admin", b"Permission denied\n\n"), pytest.raises(HaproxyDown, match="cannot be read"):
        haproxy.look()
    monkeypatch.setattr("supervise.balance.haproxy.ANSWER_SECONDS", 0.05)
    (tmp_path / "admin").unlink()
    with (
        answering(tmp_path / "admin", b"1\n", is_closed=False),
        pytest.raises(HaproxyDown, match="did not answer within"),
    ):
        haproxy.look()


def test_an_answer_without_measure_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("supervise.balance.haproxy.ANSWER_BYTES_MAX", 10)
    haproxy = Haproxy(tmp_path / "admin", tmp_path / "master")
    with answering(tmp_path / "admin", b"x" * 1000), pytest.raises(HaproxyDown, match="longer than 10 bytes"):
        haproxy.look()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"Success=1\n--\n[NOTICE] Loading success.\n", ""),
        (b"Success=0\n--\n[ALERT] unknown keyword\n", "Success=0\n--\n[ALERT] unknown keyword"),
        (b"", "no answer"),
    ],
)
def test_a_reload_tells_whether_the_new_worker_is_up(tmp_path: Path, answer: bytes, message: str) -> None:
    with answering(tmp_path / "master", answer):
        assert Haproxy(tmp_path / "admin", tmp_path / "master").reload() == message


def test_a_check_says_what_is_wrong_cannot_be_started_or_takes_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checked(script: str) -> str:
        return Haproxy(tmp_path, tmp_path, program(tmp_path, script)).check(tmp_path / "x.cfg")

    assert checked("exit 0") == ""
    assert checked('echo "parsing [$3:7]: bad" >&2; exit 1') == f"parsing [{tmp_path}/x.cfg:7]: bad"
    assert checked("exit 3").endswith("ended with status 3")
    assert len(checked("head -c 100000 /dev/zero | tr '\\0' x; exit 1")) == 4000
    assert "cannot be started" in Haproxy(tmp_path, tmp_path, "/no/such/haproxy").check(tmp_path)
    monkeypatch.setattr("supervise.balance.haproxy.CHECK_SECONDS", 0.05)
    assert "took longer than" in checked("exec sleep 60")
