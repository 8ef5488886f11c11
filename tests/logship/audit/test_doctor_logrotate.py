"""logrotate files: each trap in a bad file, and the good one beside it; blocks and what they inherit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.audit.doctor import Document, examine
from logship.audit.lints import logrotate
from logship.audit.lints.kinds import Kind
from logship.audit.lints.lint import Conditions
from logship.audit.lints.logrotate_conf import Logrotate
from logship.audit.lints.source import Source, Unreadable
from tests.logship.audit.doctor_example import Example, check

GOOD = """\
/var/log/haproxy.log {
    daily
    rotate 7
    compress
    delaycompress
    missingok
    create 0640 root adm
    postrotate
        kill -USR1 $(cat /run/haproxy.pid)
    endscript
}
"""
INHERITED = GOOD.replace(
    "/var/log/haproxy.log {\n    daily\n", "weekly\nnoolddir\n\n/var/log/haproxy.log\n/var/log/b {\n"
)
SIZED = GOOD.replace("daily", "size 100M")
FAST = Conditions(outage_seconds=3600, rate_bytes=1_000_000)


def bad(lint: str, old: str, new: str, line: int, conditions: Conditions | None = None, good: str = GOOD) -> Example:
    """The good file with one thing changed."""
    assert good.count(old) == 1, old
    return Example(lint, Kind.LOGROTATE, good.replace(old, new), line, good, conditions or Conditions())


FIRST = "/var/log/haproxy.log {\n"
EXAMPLES = [
    bad("logrotate-copytruncate", "create 0640 root adm", "copytruncate", 7),
    bad("logrotate-copytruncate", FIRST, f"copytruncate\n{FIRST}", 2),
    bad("logrotate-compress-at-once", "    delaycompress\n", "", 4),
    bad("logrotate-compress-at-once", "    delaycompress\n", "    nodelaycompress\n", 5),
    bad("logrotate-compress-at-once", "    compress\n    delaycompress\n", "    compress\n    missingok\n", 4),
    bad("logrotate-no-reopen", "    postrotate\n        kill -USR1 $(cat /run/haproxy.pid)\n    endscript\n", "", 1),
    bad("logrotate-rotate-0", "rotate 7", "rotate 0", 3),
    bad("logrotate-short-retention", "rotate 7", "rotate 1", 3, Conditions(outage_seconds=3 * 86400)),
    bad("logrotate-short-retention", "size 900M", "size 1M", 2, FAST, GOOD.replace("daily", "size 900M")),
    bad("logrotate-olddir", "missingok", "olddir /var/log/old", 6),
    bad("logrotate-create-many", FIRST, "/var/log/*.log {\n", 1),
]  # fmt: skip


@pytest.mark.case(26)
@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_trap_is_found_where_it_is_and_what_is_told_mends_it(example: Example) -> None:
    check(example)


def test_every_lint_has_an_example() -> None:
    assert {example.lint for example in EXAMPLES} == {one.id for one in logrotate.LINTS}


@pytest.mark.parametrize("text", [GOOD, INHERITED, SIZED, GOOD.replace("    compress\n    delaycompress\n", "")])
def test_a_good_file_passes(text: str) -> None:
    assert Example("", Kind.LOGROTATE, "", 0, "").findings(text) == []


def test_files_that_nobody_keeps_open_may_be_compressed_at_once() -> None:
    text = GOOD.replace("/var/log/haproxy.log", "/var/log/dpkg.log /var/log/apt/term.log").replace(
        "    delaycompress\n", ""
    )
    assert Example("", Kind.LOGROTATE, "", 0, "").findings(text) == []


def test_what_was_said_before_a_block_holds_for_it_and_its_own_word_is_stronger() -> None:
    block = Logrotate([Source("f", "compress\nrotate 3\n" + GOOD + "rotate 9\n/x { }\n/y {\n}\n")]).blocks
    assert [item.title for item in block[:1]] == ["/var/log/haproxy.log"]
    rotate = block[0].last("rotate")
    assert rotate is not None
    assert (rotate.argument, rotate.place.line) == ("7", 5)


def test_directives_of_one_file_hold_for_the_files_after_it() -> None:
    """As with `include`: /etc/logrotate.conf says compress, a file in logrotate.d has the block."""
    main, part = Source("main", "compress\n"), Source("part", GOOD.replace("    compress\n    delaycompress\n", ""))
    found = examine([Document(Kind.LOGROTATE, (main, part))], Conditions())
    assert [(str(item.place), item.lint) for item in found] == [("main:1", "logrotate-compress-at-once")]


@pytest.mark.parametrize("text", ["/a {\n  daily\n", "/a {\n postrotate\n  x\n}\n"])
def test_what_does_not_end_is_refused_at_its_beginning(text: str) -> None:
    with pytest.raises(Unreadable) as caught:
        Logrotate([Source("f", text)])
    assert caught.value.place.line in (1, 2)


@given(st.text(alphabet="/ab{}\n #\"'", max_size=60))
def test_any_text_is_read_or_refused_with_its_line(text: str) -> None:
    refused = None
    try:
        Logrotate([Source("file", text)])
    except Unreadable as error:
        refused = error.place.line
    assert refused is None or 0 < refused <= text.count("\n") + 1
