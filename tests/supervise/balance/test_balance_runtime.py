"""HAProxy's listings and replies, as the real one gave them."""

from __future__ import annotations

import pytest

from supervise.balance.runtime import (
    DONE,
    FAILED,
    LATER,
    NEEDED,
    BadAnswer,
    missing,
    outcome,
    read_actual,
    read_replies,
)

INFO = (
    "Name: HAProxy\nVersion: 3.0.11-1+deb13u5\nPid: 12\nnode: a5b1\ndescription: 0123456789abcdef\nStart_time_sec: 99\n"
)
STATE = (
    "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
    "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
    "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr "
    "srv_agent_addr srv_agent_port\n"
    "4 app 1 w1 127.0.0.1 2 0 100 100 0 15 3 2 6 0 0 0 - 3001 - 0 0 - - 0\n"
    "5 app_panic 1 w1 127.0.0.1 0 1 7 100 0 1 0 0 0 0 0 0 - 3001 - 0 0 - - 0\n"
)
STAT = (
    "# pxname,svname,scur,stot,status,check_status,last_chk,cookie,\n"
    'app,w1,3,17,UP,L7OK,"it said ""fine"", twice",abc,\n'
    "app_panic,w1,0,0,MAINT,,,abc,\n"
)


def answer(info: str = INFO, state: str = STATE, stat: str = STAT) -> str:
    return f"{info}\n{state}\n{stat}\n\n"


def test_a_look_is_read_with_states_counts_cookies_and_the_files_fingerprint() -> None:
    actual = read_actual(answer())
    assert (actual.pid, actual.version, actual.fingerprint) == (12, "3.0.11-1+deb13u5", "0123456789abcdef")
    checked, twin = actual.entries["app", "w1"], actual.entries["app_panic", "w1"]
    assert (checked.address, checked.port, checked.weight, checked.cookie) == ("127.0.0.1", 3001, 100, "abc")
    assert (checked.sessions, checked.requests, checked.check, checked.has_passed) == (3, 17, "L7OK", True)
    assert twin.in_maintenance
    assert not twin.is_checked
    assert twin.weight == 7


def test_a_haproxy_without_servers_is_read() -> None:
    state = "".join(STATE.splitlines(True)[:2])
    assert read_actual(answer(state=state, stat=STAT.splitlines(True)[0])).entries == {}


def test_a_haproxy_that_was_not_started_on_our_file_has_no_fingerprint() -> None:
    assert read_actual(answer(info=INFO.replace("description: 0123456789abcdef\n", ""))).fingerprint == ""


@pytest.mark.parametrize(
    "text",
    [
        "", "\n\n\n", "Unknown command\n\n", answer(info="Name: HAProxy\n"), answer(state="2\n# x\n"),
        answer(state=STATE + "5 app_panic\n"), answer(stat="# pxname,svname\n"),
        answer(state=STATE.replace("3001", "x")),
        answer(stat=STAT + "app\n"), answer()[: len(answer()) // 2],
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_is_said_to_be(text: str) -> None:
    with pytest.raises(BadAnswer):
        read_actual(text)


def test_the_replies_to_several_commands_are_told_apart() -> None:
    assert read_replies("New server registered.\n\n\n\nNo such server.\n\n", 4) == [
        "New server registered.",
        "",
        "",
        "No such server.",
    ]
    assert read_replies("Unknown command: 'x'\n  help\n  quit\n\n\n", 2) == ["Unknown command: 'x'\n  help\n  quit", ""]


def test_a_missing_or_torn_reply_is_no_success() -> None:
    for text in ("", "\n", "Server del", "\n\n\n"):
        replies = read_replies(text, 2)
        assert len(replies) == 2
        assert outcome("set server app/x state maint", replies[1]) == FAILED


@pytest.mark.parametrize(
    ("command", "reply", "expected"),
    [
        ("add server app/x 10.0.0.1:80", "New server registered.", DONE),
        ("add server app/x 10.0.0.1:80", "Already exists a server with the same name in backend.", FAILED),
        ("add server app/x 10.0.0.1:80", "", FAILED),
        ("del server app/x", "Server deleted.", DONE),
        ("del server app/x", "No such server.", DONE),
        ("del server app/x", "Server still has connections attached to it, cannot remove it.", LATER),
        ("del server app/x", "Only servers in maintenance mode can be deleted.", FAILED),
        ("set server app/x addr 10.0.0.2 port 80", "nothing changed", DONE),
        ("set server app/x addr 10.0.0.2 port 80", "port changed from '1' to '80' by 'stats socket command'", DONE),
        ("set server app/x addr 10.0.0.2 port 80", "", FAILED),
        ("set server app/x state maint", "", DONE),
        ("set server app/x state maint", "No such server.", FAILED),
        ("enable health app/x", "Unknown command: 'enable'", FAILED),
        ("set server app/x weight 1", "Permission denied", FAILED),
    ],
)
def test_only_a_known_text_is_a_success(command: str, reply: str, expected: str) -> None:
    assert outcome(command, reply) == expected


def test_what_a_socket_lacks_is_named() -> None:
    offered = "\n".join(f"  {command} <bk>/<srv>   : does it" for command in NEEDED)
    assert missing(offered, "admin\n") == []
    assert missing(offered.replace("add server", "old server"), "operator\n") == [
        "add server",
        "level admin (it is operator)",
    ]
