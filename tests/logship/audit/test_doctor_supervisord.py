"""supervisord.conf: each trap in a bad file, and the good one beside it; the reader against supervisord's own."""

from __future__ import annotations

import configparser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.audit.doctor import SUPERVISORD
from logship.audit.lints.kinds import Kind
from logship.audit.lints.lint import Conditions
from logship.audit.lints.source import Source, Unreadable
from logship.audit.lints.supervisord_conf import Supervisord, byte_size
from tests.logship.audit.doctor_example import Example, check

GOOD = """\
[supervisord]
logfile=/var/log/supervisord.log
minfds=1024

[program:web]
command=/usr/bin/web
autorestart=true
startsecs=2
stopwaitsecs=4
stopasgroup=true
stdout_logfile=/var/log/web.log
stdout_logfile_maxbytes=50MB
stdout_logfile_backups=20
stderr_logfile=/var/log/web.err.log

[program:api]
command=/usr/bin/api
autorestart=true
startsecs=2
stopwaitsecs=4
redirect_stderr=true
stdout_logfile=/var/log/api.log
"""
IN_CONTAINER = (
    GOOD.replace("minfds=1024", "nodaemon=true")
    + """\

[eventlistener:fatal]
command=/usr/bin/fatal
events=PROCESS_STATE_FATAL
autorestart=true
startsecs=2
stopwaitsecs=1
buffer_size=100
stdout_logfile=/var/log/fatal.out
stderr_logfile=/var/log/fatal.log
"""
)


def bad(lint: str, old: str, new: str, line: int, conditions: Conditions | None = None, good: str = GOOD) -> Example:
    """The good file with one thing changed."""
    assert good.count(old) == 1, old
    return Example(lint, Kind.SUPERVISORD, good.replace(old, new), line, good, conditions or Conditions())


MANY = "numprocs=3\nprocess_name=%(program_name)s-%(process_num)d"
WEB_LOG = "stdout_logfile=/var/log/web.log\nstdout_logfile_maxbytes=50MB\n"
EXAMPLES = [
    bad("supervisord-auto-log", "stdout_logfile=/var/log/web.log", "stdout_logfile=AUTO", 11),
    bad("supervisord-auto-log", "stderr_logfile=/var/log/web.err.log\n", "", 5),
    bad("supervisord-auto-log", "redirect_stderr=true\nstdout_logfile=/var/log/api.log", "redirect_stderr=true", 16),
    bad("supervisord-shared-file", "/var/log/api.log", "/var/log/web.log", 22),
    bad("supervisord-shared-file", "/var/log/web.err.log", "/var/log/web.log", 14),
    bad("supervisord-shared-file", "/var/log/api.log", "/var/log/supervisord.log", 22),
    bad("supervisord-shared-file", "/var/log/api.log", "/var/log/api.log\n" + MANY, 22),
    bad("supervisord-shared-file", "/var/log/api.log", "/var/log/%(program_name)s.log\n" + MANY, 22),
    bad("supervisord-device-rotation", WEB_LOG, "stdout_logfile=/dev/stdout\n", 11),
    bad("supervisord-device-rotation", WEB_LOG, "stdout_logfile=/dev/fd/1\nstdout_logfile_maxbytes=1MB\n", 12),
    bad("supervisord-device-rotation", WEB_LOG, "stdout_logfile=/proc/1/fd/1\nstdout_logfile_maxbytes=1\n", 12),
    bad("supervisord-cut-in-place", "stdout_logfile_backups=20", "stdout_logfile_backups=0", 13),
    bad("supervisord-short-retention", "stdout_logfile_maxbytes=50MB", "stdout_logfile_maxbytes=1MB", 12,
        Conditions(outage_seconds=3600, rate_bytes=20_000)),
    bad("supervisord-thrown-away", WEB_LOG, "stdout_logfile=NONE\nstdout_logfile_maxbytes=50MB\n", 11),
    bad("supervisord-thrown-away", "/var/log/web.err.log", "/dev/null", 14),
    bad("supervisord-syslog", "stdout_logfile_maxbytes=50MB", "stdout_syslog=true", 12),
    bad("supervisord-syslog", "stdout_logfile=/var/log/api.log", "stdout_logfile=syslog", 22),
    bad("supervisord-stderr-ignored", "redirect_stderr=true\n",
        "redirect_stderr=true\nstderr_logfile=/var/log/e\n", 22),
    bad("supervisord-strip-ansi", "minfds=1024", "strip_ansi=true", 3),
    bad("supervisord-log-events", "events=PROCESS_STATE_FATAL", "events=PROCESS_STATE,PROCESS_LOG", 26,
        good=IN_CONTAINER),
    bad("supervisord-rename-chain", "stdout_logfile_backups=20", "stdout_logfile_backups=500", 13),
    bad("supervisord-own-log-device", "logfile=/var/log/supervisord.log", "logfile=/dev/stdout", 2),
    bad("supervisord-own-log-device", "logfile=/var/log/supervisord.log", "logfile=/dev/null", 2),
    bad("supervisord-false-running", "startsecs=2\nstopwaitsecs=4\nstopasgroup=true\n",
        "startsecs=1\nstopwaitsecs=4\n", 8),
    bad("supervisord-false-running", "startsecs=2\nstopwaitsecs=4\nredirect", "stopwaitsecs=4\nredirect", 16),
    bad("supervisord-no-backoff", "startsecs=2\nstopwaitsecs=4\nredirect", "startsecs=0\nredirect", 19),
    bad("supervisord-exit-0", "command=/usr/bin/web\nautorestart=true",
        "command=/usr/bin/web\nautorestart=unexpected", 7),
    bad("supervisord-exit-0", "command=/usr/bin/web\nautorestart=true\n", "command=/usr/bin/web\n", 5),
    bad("supervisord-fatal-unseen", "minfds=1024", "nodaemon=true", 3, Conditions(grace_seconds=30)),
    bad("supervisord-shell-children", "command=/usr/bin/api", "command=/bin/sh -c 'x; y'", 16),
    bad("supervisord-half-stop", "command=/usr/bin/api", "command=/usr/bin/api\nkillasgroup=true", 16),
    bad("supervisord-cut-command", "command=/usr/bin/api", "command=/usr/bin/api -c 'a ; b'", 17),
    bad("supervisord-undefined-variable", "/usr/bin/api", "/usr/bin/api %(ENV_PORT)s %(ENV_HOME)s", 17,
        Conditions(environment={"HOME": "/"})),
    bad("supervisord-listener-buffer", "buffer_size=100\n", "", 24, None, IN_CONTAINER),
    bad("supervisord-stop-budget", "minfds=1024\n",
        "nodaemon=true\n[eventlistener:f]\ncommand=/f\nevents=PROCESS_STATE\n"
        "buffer_size=100\nautorestart=true\nstartsecs=2\nstdout_logfile=/f.out\nstderr_logfile=/f.log\n"
        "stopwaitsecs=5\n", 12),
    bad("supervisord-open-control", "minfds=1024", "minfds=1024\n[inet_http_server]\nport=*:9001", 5),
    bad("supervisord-open-control", "minfds=1024", "minfds=1024\n[inet_http_server]\nport=0.0.0.0:9001", 5),
    bad("supervisord-minfds", "minfds=1024", "minfds=1000000", 3),
    bad("supervisord-minfds", "minfds=1024", "minfds=2048", 3, Conditions(nofile=1024)),
    bad("supervisord-daemon", "command=/usr/bin/api", "command=/usr/sbin/haproxy -D -f /etc/haproxy.cfg", 17),
]  # fmt: skip


@pytest.mark.case(44, 120, 121, 122)
@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_trap_is_found_where_it_is_and_what_is_told_mends_it(example: Example) -> None:
    check(example)


def test_every_lint_has_an_example() -> None:
    assert {example.lint for example in EXAMPLES} == {one.id for one in SUPERVISORD}


def test_the_container_file_is_good() -> None:
    assert Example("", Kind.SUPERVISORD, "", 0, "").findings(IN_CONTAINER) == []


@pytest.mark.parametrize(
    "better",
    [
        "stdout_logfile=/dev/fd/1\nstdout_logfile_maxbytes=0\n",
        "stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes = 0KB ; not rotated\n",
        "stdout_logfile=/var/log/%(ENV_WHERE)s.log\n",
    ],
)
def test_what_only_looks_like_a_trap_passes(better: str) -> None:
    assert Example("", Kind.SUPERVISORD, "", 0, "").findings(GOOD.replace(WEB_LOG, better)) == []


def test_one_group_is_stopped_at_once_and_needs_the_time_of_its_slowest() -> None:
    grouped = IN_CONTAINER.replace("stopwaitsecs=4", "stopwaitsecs=7") + "\n[group:all]\nprograms=web, api\n"
    assert Example("", Kind.SUPERVISORD, "", 0, "").findings(grouped) == []
    split = grouped.replace("web, api", "web")
    assert [item.lint for item in Example("", Kind.SUPERVISORD, "", 0, "").findings(split)] == [
        "supervisord-stop-budget"
    ]


PIECES = ["[a]", "[program:x]", "k=v", "k = v ; c", "  k2:w", "   more", "", "; c", "  # c", "K=1", "k=a;b", "x",
          "a b = c # d", "\tz", "[b] ; x", "e=", "  [c]", "  ;"]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=9))
def test_a_file_means_what_it_means_to_supervisord(lines: list[str]) -> None:
    """Its parser is Python's RawConfigParser with these settings (supervisor/options.py, UnhosedConfigParser)."""
    text = "\n".join(lines) + "\n"
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    wanted: dict[str, dict[str, str]] | None
    try:
        parser.read_string(text)
        wanted = {name: dict(parser.items(name)) for name in parser.sections()}
    except configparser.Error:
        wanted = None
    try:
        sections = Supervisord([Source("file", text)]).sections.values()
        found = {one.name: {key: item.value for key, item in one.settings.items()} for one in sections}
    except Unreadable:
        assert wanted is None
    else:
        assert found == wanted


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_its_line(text: str) -> None:
    refused = None
    try:
        Supervisord([Source("file", text)])
    except Unreadable as error:
        refused = error.place.line
    assert refused is None or 0 < refused <= text.count("\n") + 1


@pytest.mark.parametrize(
    ("text", "count"), [("50MB", 52428800), ("1kb", 1024), ("0", 0), ("2GB", 2**31), ("x", 52428800)]
)
def test_sizes_are_those_of_supervisord(text: str, count: int) -> None:
    assert byte_size(text) == count
