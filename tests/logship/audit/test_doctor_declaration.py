"""supervise.toml: each trap in a bad file, and the good one beside it."""

from __future__ import annotations

import pytest

from logship.audit.lints import declaration
from logship.audit.lints.kinds import Kind
from logship.audit.lints.lint import Conditions
from logship.audit.lints.source import Source, Unreadable
from logship.audit.lints.supervise_toml import Declaration
from logship.config import Settings
from supervise.init.declaration import parse
from tests.logship.audit.doctor_example import Example, check, done

GOOD = """\
[container]
service = "ha"
stop_seconds = 20

[program.ship]
command = ["/usr/local/bin/logship", "ship", "--drain-seconds", "2"]
ready = { started = true }
restart = { tries = 0, start_seconds = 1 }
stop = { signal = "TERM", seconds = 4 }

[program.spool]
command = ["/usr/local/bin/logship", "spool"]
after = ["ship"]
capture = false
restart = { tries = 0, backoff_seconds = 0.5 }
stop = { seconds = 3 }

[program.haproxy]
command = ["/usr/sbin/haproxy", "-W", "-f", "/etc/haproxy/haproxy.cfg"]
after = ["spool"]
pipe_bytes = 1048576
stop = { signal = "USR1", seconds = 5 }

[program.web]
command = ["/usr/bin/web"]
after = ["haproxy"]
"""
FAST = Conditions(outage_seconds=3600, rate_bytes=1_000_000)
SPOOL = GOOD[GOOD.index("[program.spool]") : GOOD.index("[program.haproxy]")]
SHIP = GOOD[GOOD.index("[program.ship]") : GOOD.index("[program.spool]")]


def bad(lint: str, old: str, new: str, line: int, conditions: Conditions | None = None, good: str = GOOD) -> Example:
    """The good file with one thing changed."""
    assert good.count(old) == 1, old
    return Example(lint, Kind.DECLARATION, good.replace(old, new), line, good, conditions or Conditions())


LARGE = GOOD.replace('"spool"]\nafter = ["ship"]', '"spool", "--spool-bytes-max", "9000000000"]\nafter = ["ship"]')
EXAMPLES = [
    bad("declaration-no-ship", SHIP, "", 20),
    bad("declaration-uncaptured", 'command = ["/usr/bin/web"]', 'command = ["/usr/bin/web"]\ncapture = false', 26),
    bad("declaration-gives-up", "restart = { tries = 0, backoff_seconds = 0.5 }", "restart = { tries = 9 }", 15),
    bad("declaration-gives-up", "restart = { tries = 0, start_seconds = 1 }\n", "", 5),
    bad("declaration-stops-after-spool", 'after = ["haproxy"]\n', "", 24),
    bad("declaration-stops-after-spool", 'after = ["haproxy"]', 'after = ["ship"]', 26),
    bad("declaration-ship-ends-first", 'after = ["ship"]\n', "", 11),
    bad("declaration-stop-budget", "stop_seconds = 20", "stop_seconds = 16", 3),
    bad("declaration-stop-budget", "stop_seconds = 20\n", "", 1),
    bad("declaration-grace", "stop_seconds = 20", "stop_seconds = 25", 3, Conditions(grace_seconds=25)),
    bad("declaration-drain", '"--drain-seconds", "2"', '"--drain-seconds=4"', 9),
    bad("declaration-drain", ', "--drain-seconds", "2"', "", 9,
        Conditions(environment={"LOGSHIP_DRAIN_SECONDS": "5"})),
    bad("declaration-small-pipe", "pipe_bytes = 1048576\n", "", 18),
    bad("declaration-small-pipe", "pipe_bytes = 1048576\n", "pipe_bytes = 65536\n", 21),
    bad("declaration-daemon", '"-W", "-f"', '"-W", "-D", "-f"', 19),
    bad("declaration-outage", '"9000000000"', '"1000000000"', 12, FAST, LARGE),
    bad("declaration-outage", ', "--spool-bytes-max", "9000000000"', "", 12, FAST, LARGE),
]  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_the_trap_is_found_where_it_is_and_what_is_told_mends_it(example: Example) -> None:
    check(example)


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_what_is_told_is_good_for_pid_1(example: Example) -> None:
    mended = done(example.bad, example.findings(example.bad)[0])
    _, flaws = parse(mended)
    assert flaws == []


def test_without_a_spool_nothing_is_captured_and_nothing_to_ship() -> None:
    text = GOOD.replace(SPOOL, "").replace('after = ["spool"]\n', "").replace(SHIP, "")
    example = Example("declaration-no-spool", Kind.DECLARATION, text, 12, GOOD)
    found = example.findings(text)
    assert [(item.lint, item.place.line) for item in found] == [("declaration-no-spool", 12)]
    assert "haproxy, web" in found[0].what
    assert "declaration-no-spool" not in {item.lint for item in example.findings(done(text, found[0]))}


def test_every_lint_has_an_example() -> None:
    ids = {example.lint for example in EXAMPLES} | {"declaration-no-spool"}
    assert ids == {one.id for one in declaration.LINTS}


def test_the_budgets_are_those_of_the_settings() -> None:
    usual = Settings()
    for name, count in declaration.BUDGETS.items():
        assert getattr(usual, name.replace("-", "_")) == count


def test_every_budget_that_is_too_small_is_raised() -> None:
    example = Example("", Kind.DECLARATION, "", 0, "", Conditions(outage_seconds=3600, rate_bytes=2_000_000))
    (found,) = example.findings(GOOD)
    assert found.what.startswith("spool-bytes-max is 2 GiB: 17.9 min at 1.91 MiB/s")
    assert found.write.count("7200571392") == 2


def test_programs_that_stop_at_once_need_the_time_of_the_slowest() -> None:
    beside = GOOD + '\n[program.other]\ncommand = ["x"]\nafter = ["spool"]\nstop = { seconds = 9 }\n'
    assert Declaration(Source("f", beside)).longest_stop() == (17.0, ["web", "haproxy", "spool", "ship"])


def test_programs_that_wait_for_each_other_do_not_stop_doctor() -> None:
    circle = GOOD.replace('after = ["ship"]', 'after = ["haproxy"]')
    assert Declaration(Source("f", circle)).longest_stop()[0] > 0


def test_what_is_no_toml_is_refused() -> None:
    with pytest.raises(Unreadable):
        Declaration(Source("f", "[container\n"))


@pytest.mark.parametrize("value", ["1", '"x"', "[]", "true"])
def test_a_value_of_the_wrong_shape_counts_as_its_default(value: str) -> None:
    """`supervise check` tells it; doctor goes on with the rest."""
    text = GOOD.replace("stop = { seconds = 3 }", f"stop = {value}").replace('after = ["haproxy"]', f"after = {value}")
    Example("", Kind.DECLARATION, "", 0, "").findings(text)
