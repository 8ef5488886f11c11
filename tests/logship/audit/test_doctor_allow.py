"""Taking a finding back: comments with a reason, and what becomes of bad ones."""

from __future__ import annotations

import pytest

from logship.audit.doctor import Document, examine
from logship.audit.lints.kinds import Kind
from logship.audit.lints.lint import Conditions
from logship.audit.lints.source import Source

CONF = """\
[supervisord]

[program:web]
command=/usr/bin/web
autorestart=true
startsecs=2
redirect_stderr=true
{above}
stdout_logfile=NONE{behind}
"""


def lints(above: str = "", behind: str = "", left_out: tuple[str, ...] = ()) -> list[str]:
    """What is found, with comments above and behind the bad line."""
    text = CONF.format(above=above, behind=behind)
    found = examine([Document(Kind.SUPERVISORD, (Source("f", text),))], Conditions(), None, left_out)
    return [f"{item.place.line} {item.lint}" for item in found]


REASON = "doctor: allow supervisord-thrown-away it is kept by the program itself"
TRAP = "9 supervisord-thrown-away"


def test_without_a_comment_it_is_found() -> None:
    assert lints() == [TRAP]


@pytest.mark.parametrize("sign", [";", "#", ";;", "  ; "])
def test_a_reason_above_takes_it_back(sign: str) -> None:
    assert lints(above=f"{sign} {REASON}") == []


def test_a_reason_behind_takes_it_back() -> None:
    assert lints(behind=f" ; {REASON}") == []


def test_a_reason_for_the_file_takes_it_back_from_anywhere() -> None:
    assert lints(above="", behind=f"\n; {REASON.replace('allow', 'allow-in-file')}") == []


def test_other_comments_and_empty_lines_may_stand_between() -> None:
    assert lints(above=f"; {REASON}\n\n; and so on") == []


def test_a_reason_holds_for_its_line_alone() -> None:
    assert lints(above=f"; {REASON}\nstopsignal=TERM") == ["10 supervisord-thrown-away"]


def test_a_reason_holds_for_its_lint_alone() -> None:
    assert lints(above="; doctor: allow supervisord-syslog it is kept by the program itself") == [TRAP]


@pytest.mark.parametrize("reason", ["", " ", " -", " ok"])
def test_without_a_reason_it_stays_and_the_comment_is_found_too(reason: str) -> None:
    assert lints(above=f"; doctor: allow supervisord-thrown-away{reason}") == ["8 doctor-allow", TRAP]


@pytest.mark.parametrize("name", ["supervisord-nothing", "", "Supervisord"])
def test_a_lint_that_is_not_there_cannot_be_allowed(name: str) -> None:
    assert lints(above=f"; doctor: allow {name} because it is so") == ["8 doctor-allow", TRAP]


def test_a_value_is_no_comment() -> None:
    assert lints(above=f"environment=A={REASON}") == [TRAP]


def test_a_lint_may_be_left_out_for_once() -> None:
    assert lints(left_out=("supervisord-thrown-away",)) == []


def test_of_a_block_of_logrotate_an_allowance_stands_above_it() -> None:
    text = (
        "# doctor: allow logrotate-no-reopen dpkg opens its file anew for each line\n/var/log/dpkg.log {\n  weekly\n}\n"
    )
    assert examine([Document(Kind.LOGROTATE, (Source("f", text),))], Conditions()) == []
