"""haproxy.cfg: each trap in a bad file, and the good one beside it; words and inheritance as HAProxy has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.audit.doctor import HAPROXY
from logship.audit.lints.haproxy_cfg import Haproxy, kind_of, split
from logship.audit.lints.kinds import Kind
from logship.audit.lints.lint import Conditions, Deed, Place
from logship.audit.lints.source import Source, Unreadable
from tests.logship.audit.doctor_example import Example, check, done

LOG = "log stdout len 4096 format raw local0 info"
FORMAT = 'log-format "%ci:%cp [%tr] %ft %b/%s %ST %B %{+Q}r id=%ID pid=%pid lc=%lc"'
GOOD = f"""\
global
    {LOG}
    stats socket /run/haproxy.sock mode 600 level admin
    nbthread 1

defaults
    mode http
    option idle-close-on-response
    timeout client 30s

frontend web
    bind :80
    log global
    unique-id-format %[uuid(7)]
    {FORMAT}
    default_backend app

backend app
    server a 127.0.0.1:8080
"""
RING = GOOD.replace(
    "\ndefaults", "    # doctor: allow haproxy-ring a process here reads it\n    log ring@logs len 4096 local0\n"
    "\nring logs\n    format rfc5424\n    maxlen 4096\n    size 8388608\n    server c 127.0.0.1:514\n\ndefaults"
)  # fmt: skip
FAST = Conditions(outage_seconds=60, rate_bytes=1_000_000)


def bad(lint: str, old: str, new: str, line: int, conditions: Conditions | None = None, good: str = GOOD) -> Example:
    """The good file with one thing changed."""
    assert good.count(old) == 1, old
    return Example(lint, Kind.HAPROXY, good.replace(old, new), line, good, conditions or Conditions())


EXAMPLES = [
    bad("haproxy-udp", LOG, "log 127.0.0.1:514 len 4096 local0", 2),
    bad("haproxy-udp", LOG, "log logs.example.org len 4096 local0 debug", 2),
    bad("haproxy-udp", "log global", "log udp@10.0.0.1:514 len 4096 local0", 13),
    bad("haproxy-unix-socket", LOG, "log /dev/log len 4096 local0", 2),
    bad("haproxy-unix-socket", LOG, "log unix@/dev/log len 4096 local0", 2),
    bad("haproxy-unix-socket", LOG, "log abns@x len 4096 local0", 2),
    bad("haproxy-ring", LOG, "log ring@logs len 4096 local0", 2),
    bad("haproxy-ring", LOG, "log tcp@127.0.0.1:514 len 4096 local0", 2),
    bad("haproxy-log-backend", LOG, "log backend@logs len 4096 local0", 2),
    bad("haproxy-ring-size", "size 8388608", "size 64k", 11, None, RING),
    bad("haproxy-ring-size", "    size 8388608\n", "", 8, None, RING),
    bad("haproxy-ring-maxlen", "maxlen 4096", "maxlen 1200", 10, None, RING),
    bad("haproxy-ring-file", "size 8388608", "backing-file /tmp/ring\n    size 8388608", 11, None, RING),
    bad("haproxy-short-len", LOG, "log stdout format raw local0 info", 2),
    bad("haproxy-short-len", LOG, "log stdout len 2000 format raw local0", 2),
    bad("haproxy-long-len", LOG, "log fd@1 len 16384 format raw local0", 2),
    bad("haproxy-contention", "nbthread 1", "nbthread 2", 4),
    bad("haproxy-contention", "    nbthread 1\n", "", 1),
    bad("haproxy-contention", "    nbthread 1\n", "", 1, Conditions(cpus=8)),
    bad("haproxy-same-target", "log global", f"log global\n    {LOG}", 14),
    bad("haproxy-same-target", "mode http", "mode http\n    log global", 14),
    bad("haproxy-no-log", "    log global\n", "    no log\n", 13),
    bad("haproxy-daemon", "nbthread 1", "nbthread 1\n    daemon", 5),
    bad("haproxy-level", LOG, "log stdout len 4096 format raw local0 notice", 2),
    bad("haproxy-level", LOG, "log stdout len 4096 local0 err emerg", 2),
    bad("haproxy-sample", LOG, "log stdout len 4096 sample 1:10 local0 info", 2),
    bad("haproxy-dontlog-normal", "timeout client 30s", "option dontlog-normal", 9),
    bad("haproxy-dontlog-normal", "bind :80", "bind :80\n    option dontlog-normal", 13),
    bad("haproxy-silent", "bind :80", "bind :80\n    http-request set-log-level silent if { path /health }", 13),
    bad("haproxy-silent", "\nbackend app", "\nlog-profile p\n    on accept drop\n\nbackend app", 19),
    bad("haproxy-no-log", "    log global\n", "", 11),
    bad("haproxy-no-log", "default_backend app", "default_backend app\n    no log", 17),
    bad("haproxy-no-audit", " pid=%pid lc=%lc", "", 15),
    bad("haproxy-no-audit", " lc=%lc", " lc=%%lc", 15),
    bad("haproxy-no-request-id", "    unique-id-format %[uuid(7)]\n", "", 11),
    bad("haproxy-no-request-id", "id=%ID ", "", 15),
    bad("haproxy-open-admin", "nbthread 1", "nbthread 1\n    stats socket ipv4@0.0.0.0:9999 level admin", 5),
    bad("haproxy-open-admin", "nbthread 1", "nbthread 1\n    stats socket :9999 mode 600 level admin", 5),
    bad("haproxy-idle-close", "    option idle-close-on-response\n", "", 6),
    bad("haproxy-last-line", "8080\n", "8080", 19),
]  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_trap_is_found_where_it_is_and_what_is_told_mends_it(example: Example) -> None:
    check(example)


def test_every_lint_has_an_example() -> None:
    assert {example.lint for example in EXAMPLES} == {one.id for one in HAPROXY}


def lints(text: str, conditions: Conditions | None = None) -> list[str]:
    """The ids of what is found."""
    example = Example("", Kind.HAPROXY, "", 0, "", conditions or Conditions())
    return [item.lint for item in example.findings(text)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (LOG, "log stdout len 4096 sample 1-5,6:6 format raw local0"),
        (LOG, 'log "$LOG_TARGET" len 4096 local0'),
        (LOG, "log stderr len 4096 local0 debug err"),
        ("mode http\n", "mode http\n    option dontlog-normal\n    no option dontlog-normal\n"),
        ("log global\n", "no log\n    log global\n"),
        ("nbthread 1", "nbthread 1\n    stats socket ipv4@127.0.0.1:9999 level admin"),
        ("id=%ID", "id=%[unique-id]"),
        ("%pid", "%{+X}pid"),
        ("%pid lc=%lc", "%(process)pid lc=%(count)lc"),
    ],
)
def test_what_only_looks_like_a_trap_passes(old: str, new: str) -> None:
    assert GOOD.count(old) == 1
    assert lints(GOOD.replace(old, new)) == []


def test_one_processor_needs_no_nbthread() -> None:
    assert lints(GOOD.replace("    nbthread 1\n", ""), Conditions(cpus=1)) == []


def test_a_target_for_each_thread_is_no_contention() -> None:
    two = GOOD.replace("nbthread 1", "nbthread 2\n    log fd@3 len 4096 format raw local0")
    assert lints(two) == []


def test_a_ring_is_measured_by_rate_and_outage_where_they_are_known() -> None:
    assert lints(RING) == []
    assert lints(RING, FAST) == ["haproxy-ring-size"]


def test_short_lines_of_a_tcp_proxy_fit_into_the_default() -> None:
    tcp = GOOD.replace("mode http", "mode tcp").replace(FORMAT, 'log-format "%ci:%cp %b/%s %B pid=%pid lc=%lc"')
    assert lints(tcp.replace(" len 4096", "")) == []


def test_httplog_is_replaced_by_its_own_fields_and_the_missing_ones() -> None:
    text = GOOD.replace(FORMAT, "option httplog")
    example = Example("", Kind.HAPROXY, "", 0, "")
    written = {item.lint: item.write for item in example.findings(text)}
    assert set(written) == {"haproxy-no-audit", "haproxy-no-request-id"}
    assert written["haproxy-no-audit"].endswith('%hr %hs %{+Q}r pid=%pid lc=%lc"')
    assert written["haproxy-no-audit"].startswith('    log-format "%ci:%cp [%tr] %ft %b/%s')


DEBIAN = """\
global
\tlog /dev/log\tlocal0
\tlog /dev/log\tlocal1 notice
\tchroot /var/lib/haproxy
\tstats socket /run/haproxy/admin.sock mode 660 level admin
\tuser haproxy
\tgroup haproxy
\tdaemon

defaults
\tlog\tglobal
\tmode\thttp
\toption\thttplog
\toption\tdontlognull
        timeout connect 5000
        timeout client  50000
        timeout server  50000

frontend web
\tbind *:80
\tdefault_backend app

backend app
\tserver a 10.0.0.1:80 check
"""
"""What Debian's package brings, with a frontend."""


def test_who_does_what_is_told_until_nothing_is_told_comes_to_an_end() -> None:
    example, text, rounds = Example("", Kind.HAPROXY, "", 0, ""), DEBIAN, 0
    while found := example.findings(text):
        rounds += 1
        assert rounds < 12, found
        text = done(text, found[-1])
    assert text.count("\n    log stdout") + text.count("\n\tlog stdout") == 1
    assert "/dev/log" not in text
    assert "daemon" not in text
    assert "pid=%pid lc=%lc" in text
    assert "id=%ID" in text


def test_a_second_target_for_news_alone_hides_nothing() -> None:
    """Debian's own pair of lines: one for all, one for notices."""
    found = lints(GOOD.replace(LOG, f"{LOG}\n    log fd@2 len 4096 format raw local1 notice"))
    assert found == []
    alone = GOOD.replace("log global", "log stdout len 4096 local0 notice")
    assert lints(alone) == ["haproxy-level"]


def test_a_bad_target_beside_a_good_one_is_to_go() -> None:
    text = GOOD.replace(LOG, f"{LOG}\n    log 10.0.0.1:514 local0")
    (found,) = Example("", Kind.HAPROXY, "", 0, "").findings(text)
    assert (found.lint, found.deed, found.place.line) == ("haproxy-udp", Deed.REMOVE, 3)


def test_the_length_for_a_target_that_is_allowed_is_asked_for() -> None:
    allowed = "log 10.0.0.1:514 local0 # doctor: allow haproxy-udp a second copy, for the old system"
    assert lints(GOOD.replace(LOG, f"{LOG}\n    {allowed}")) == ["haproxy-short-len"]


def test_one_of_several_files_is_not_blamed_for_what_another_says() -> None:
    part = "frontend more\n    mode http\n    bind :81\n    default_backend app\n"
    assert lints(part) == []


def test_the_environment_is_used_where_it_is_known() -> None:
    text = GOOD.replace(LOG, 'log "${WHERE}" len 4096 local0')
    assert lints(text) == []
    assert lints(text, Conditions(environment={"WHERE": "10.0.0.1:514"})) == ["haproxy-udp"]


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("stdout", "pipe"), ("stderr", "pipe"), ("fd@3", "pipe"), ("ring@x", "ring"), ("backend@x", "log backend"),
        ("/dev/log", "unix socket"), ("unix@/x", "unix socket"), ("dgram+unix@/x", "unix socket"),
        ("abns@x", "unix socket"), ("127.0.0.1", "UDP"), ("[::1]:514", "UDP"), ("udp4@h:514", "UDP"), ("h:514", "UDP"),
        ("ipv4@1.2.3.4:514", "UDP"), ("tcp@h:514", "TCP"), ("tcp6@[::1]:514", "TCP"), ("stream+ipv4@h:1", "TCP"),
        ("$X", "unknown"),
    ],
)  # fmt: skip
def test_every_address_of_a_log_line_has_its_kind(address: str, kind: str) -> None:
    assert kind_of(address) == kind


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("  log stdout local0 # said", ["log", "stdout", "local0"]),
        ('log-format "a b" c', ["log-format", "a b", "c"]),
        ("log-format 'a \"b' c", ["log-format", 'a "b', "c"]),
        ("log-format a\\ b\\#c", ["log-format", "a b#c"]),
        ('x "a # b"', ["x", "a # b"]),
        ('x ""', ["x", ""]),
        ('x a"b c"d', ["x", "ab cd"]),
        ('x "say \\"no\\""', ["x", 'say "no"']),
        ("# all", []),
        ("", []),
    ],
)
def test_a_line_has_the_words_that_haproxy_sees(raw: str, words: list[str]) -> None:
    assert split(raw, Place("f", 1)) == words


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_its_line(text: str) -> None:
    refused = None
    try:
        Haproxy(Source("file", text))
    except Unreadable as error:
        refused = error.place.line
    assert refused is None or 0 < refused <= text.count("\n") + 1
