"""The resolved compose file, and several files at once: each trap in a bad one, and the good one beside it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.audit.doctor import Document, examine
from logship.audit.lints import compose, together
from logship.audit.lints.compose_json import Compose
from logship.audit.lints.kinds import Kind, kind_of
from logship.audit.lints.lint import Conditions
from logship.audit.lints.source import Source, Unreadable
from tests.logship.audit.doctor_example import Example, check

GOOD = """\
{
  "name": "logship",
  "services": {
    "webapp": {
      "image": "logship/webapp:local",
      "logging": {"driver": "json-file", "options": {"max-size": "20m"}},
      "stop_grace_period": "25s",
      "volumes": [
        {"type": "volume", "source": "webapp-spool", "target": "/var/spool/logship", "volume": {}}
      ]
    },
    "db": {
      "image": "postgres",
      "logging": {"driver": "local"}
    }
  }
}
"""
TOML = """\
[container]
service = "webapp"
stop_seconds = 20

[program.ship]
command = ["/usr/local/bin/logship", "ship"]
restart = { tries = 0 }

[program.spool]
command = ["/usr/local/bin/logship", "spool"]
capture = false
after = ["ship"]
restart = { tries = 0 }
"""
ROTATION = """\
/var/log/web*.log {
    weekly
    rotate 5
    postrotate
        kill -USR2 $(cat /run/supervisord.pid)
    endscript
}
"""
SUPERVISORD = """\
[supervisord]
logfile=/var/log/supervisord.log

[program:web]
command=/usr/bin/web
autorestart=true
startsecs=2
redirect_stderr=true
stdout_logfile=/var/log/web.log
stdout_logfile_maxbytes=0
"""


DB = TOML.replace('"webapp"', '"db"').replace("= 20", "= 9").replace("false", "false\nstop = { seconds = 3 }")
PLAIN = """\
[supervisord]
nodaemon=true
logfile=/var/log/supervisord.log

[program:web]
command=/usr/bin/web
autorestart=true
startsecs=2
stopwaitsecs=4
redirect_stderr=true
stdout_logfile=/var/log/web.log

[eventlistener:end]
command=/usr/bin/end
events=PROCESS_STATE_FATAL
buffer_size=100
startsecs=2
autorestart=true
stopwaitsecs=1
stderr_logfile=/var/log/end.log
stdout_logfile=/var/log/end.out
"""
"""A supervisord of its own, whose stops may take 5 s."""


def bad(lint: str, old: str, new: str, line: int) -> Example:
    """The good compose file with one thing changed."""
    assert GOOD.count(old) == 1, old
    return Example(lint, Kind.COMPOSE, GOOD.replace(old, new), line, GOOD)


MOUNT = """,
      "volumes": [
        {"type": "volume", "source": "webapp-spool", "target": "/var/spool/logship", "volume": {}}
      ]"""
EXAMPLES = [
    bad("compose-unbounded-log", '{"driver": "json-file", "options": {"max-size": "20m"}}',
        '{"driver": "json-file"}', 6),
    bad("compose-unbounded-log", 'postgres",\n      "logging": {"driver": "local"}',
        'postgres",\n      "ports": []', 12),
    bad("compose-default-grace", '      "stop_grace_period": "25s",\n', "", 4),
    bad("compose-spool-on-layer", MOUNT, ', "x": 1', 4),
    bad("compose-spool-on-layer", MOUNT,
        ',\n      "volumes": [{"type": "tmpfs", "target": "/var/spool/logship"}],\n      "x": 1', 8),
    bad("compose-fixed-name", '"stop_grace_period"', '"hostname": "web",\n      "stop_grace_period"', 7),
    bad("compose-fixed-name", '"stop_grace_period"', '"container_name": "web",\n      "stop_grace_period"', 7),
    Example("together-grace", Kind.COMPOSE, GOOD.replace("25s", "20s"), 7, GOOD, also=[(Kind.DECLARATION, TOML)]),
    Example("together-grace", Kind.COMPOSE, GOOD.replace("25s", "5s"), 7, GOOD,
            also=[(Kind.SUPERVISORD, PLAIN), (Kind.DECLARATION, DB)]),
    Example("together-two-rotators", Kind.SUPERVISORD, SUPERVISORD.replace("maxbytes=0", "maxbytes=1MB"), 10,
            SUPERVISORD, also=[(Kind.LOGROTATE, ROTATION)]),
    Example("together-two-rotators", Kind.SUPERVISORD, SUPERVISORD.replace("stdout_logfile_maxbytes=0\n", ""), 9,
            SUPERVISORD, also=[(Kind.LOGROTATE, ROTATION)]),
    Example("together-no-usr2", Kind.LOGROTATE, ROTATION.replace("USR2", "HUP"), 4, ROTATION,
            also=[(Kind.SUPERVISORD, SUPERVISORD)]),
]  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_trap_is_found_where_it_is_and_what_is_told_mends_it(example: Example) -> None:
    check(example)


def spools(service: dict[str, object], name: str = "") -> list[str]:
    """What is found about the spool of a service beside whose image nothing is wrong."""
    table = {"logging": {"driver": "local"}, "stop_grace_period": "25s", **service}
    text = json.dumps({"name": name, "services": {"webapp": table}}, indent=2)
    found = examine([Document(Kind.COMPOSE, (Source("compose.json", text),))], Conditions())
    assert {item.lint for item in found} <= {"compose-spool-on-layer"}
    return [item.what for item in found]


@pytest.mark.parametrize(
    ("image", "project", "ours"),
    [
        ("r45/webapp:local", "", True),
        ("r45/webapp:1.2", "r45", True),
        ("localhost:5000/r45/ha:1.2", "r45", True),
        ("registry:5000/logship/collector@sha256:12", "", True),
        ("acme/webapp:1.2", "shop", False),
        ("acme/webapp", "", False),
        ("webapp:local", "webapp", False),
        ("r45/db:local", "r45", False),
        ("", "", False),
    ],
)
def test_images_of_another_project_keep_a_spool_as_ours_do(image: str, project: str, ours: bool) -> None:
    said = ["webapp mounts no volume at /var/spool/logship"]
    assert spools({"image": image}, project) == said * ours
    assert spools({"image": image, "volumes": None, "environment": {"TZ": "UTC"}}, project) == said * ours


def test_an_image_that_is_given_our_settings_is_ours() -> None:
    assert spools({"image": "acme/webapp:1.2", "environment": {"SERF_JOIN": "ha"}}) != []
    assert spools({"image": "acme/shop:1.2", "environment": {"SERF_JOIN": "ha"}}) == []


@pytest.mark.parametrize("tmpfs", ["/var/spool/logship", ["/tmp", "/var/spool/logship/:size=64m"]])
def test_a_tmpfs_is_no_volume_and_gives_way_to_one(tmpfs: object) -> None:
    mount = {"type": "volume", "source": "x", "target": "/var/spool/logship"}
    kept = "webapp has a tmpfs at /var/spool/logship, where its volume has to be"
    none = "webapp mounts no volume at /var/spool/logship, but a tmpfs, which ends with the container"
    assert spools({"image": "acme/shop", "tmpfs": tmpfs}) == [none, kept]
    assert spools({"image": "acme/shop", "tmpfs": tmpfs, "volumes": [mount]}) == [kept]
    assert spools({"image": "acme/shop", "tmpfs": "/tmp", "volumes": [mount]}) == []


def graces(conf: str, *services: tuple[str, str], mounted: str = "", name: str = "file", **known: float) -> list[str]:
    """The lints that find something about time in a supervisord.conf beside a compose file of these services."""
    mount = [{"type": "bind", "source": f"/srv/{name}", "target": "/etc/supervisor/supervisord.conf"}]
    tables = {
        service: {"stop_grace_period": grace, "logging": {"driver": "local"}, "volumes": mount * (service == mounted)}
        for service, grace in services
    }
    documents = [
        Document(Kind.SUPERVISORD, (Source(name, conf),)),
        Document(Kind.COMPOSE, (Source("compose.json", json.dumps({"services": tables}, indent=2)),)),
    ]
    found = examine(documents, Conditions(**known))  # type: ignore[arg-type]  # grace_seconds alone
    return [item.lint for item in found if "grace" in item.what or "stops" in item.what]


SLOW = PLAIN.replace("stopwaitsecs=4", "stopwaitsecs=30")
"""Its stops may take 31 s."""


def test_the_compose_file_says_how_long_the_engine_waits_for_a_plain_supervisord() -> None:
    assert graces(SLOW, ("web", "1m0s")) == []
    assert graces(SLOW, ("web", "31s")) == ["together-grace"]
    assert graces(PLAIN, ("web", "2s")) == ["together-grace"]
    assert graces(SLOW, ("web", "1m0s"), grace_seconds=20) == ["supervisord-stop-budget"]
    assert graces(SLOW.replace("nodaemon=true\n", ""), ("web", "2s")) == []


def test_of_several_services_the_one_that_mounts_the_file_runs_it() -> None:
    assert graces(SLOW, ("web", "2s"), ("db", "1m0s"), mounted="db", name="conf/s.conf") == []
    assert graces(SLOW, ("web", "2s"), ("db", "1m0s"), mounted="web", name="conf/s.conf") == ["together-grace"]


def test_where_nothing_says_which_service_runs_it_only_what_holds_for_each_is_said() -> None:
    assert graces(SLOW, ("web", "2s"), ("db", "1m0s")) == []
    assert graces(SLOW, ("web", "2s"), ("db", "20s")) == ["together-grace"]


def test_every_lint_has_an_example() -> None:
    ids = {example.lint for example in EXAMPLES}
    assert ids == {one.id for one in compose.LINTS} | {one.id for one in together.LINTS}


def test_a_compose_file_as_people_write_it_is_not_taken_for_another_kind() -> None:
    assert kind_of("services:\n  web:\n    image: x\n") is None


@pytest.mark.parametrize("text", ['{"services": {', '{"services": ' + "[" * 200 + "]" * 200 + "}"])
def test_what_is_no_json_or_too_deep_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        Compose(Source("f", text))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@given(json_values, st.sampled_from([None, 2]))
def test_every_key_has_the_line_it_stands_in(value: object, indent: int | None) -> None:
    text = json.dumps({"services": {"s": {"mark": value, "end": 1}}}, indent=indent, ensure_ascii=False)
    found = Compose(Source("f", text))
    for key in ("mark", "end"):
        line = found.place("services", "s", key).line
        assert f'"{key}":' in text.split("\n")[line - 1]
