"""Measures are text that Prometheus reads, whatever stands in labels, and their labels do not grow without bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logship.metrics import COUNTER, GAUGE, REASONS_MAX, Family, exposition, gauges, of_losses, owner
from logship.values import Loss
from tests.logship.prometheus import read, value

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(TEXT, st.floats(-1e15, 1e15, allow_nan=False), max_size=5), TEXT)
def test_whatever_stands_in_labels_and_help_is_read_back(values: dict[str, float], text: str) -> None:
    family = Family("logship_x", GAUGE, text)
    for label, number in values.items():
        family.add(number, label=label, other='a"b\\c\nd')
    kinds, samples = read(exposition([family]))
    assert kinds == ({"logship_x": "gauge"} if values else {})
    found = {dict(labels)["label"]: number for (_, labels), number in samples.items()}
    assert found == {label: 0.0 + number for label, number in values.items()}


def test_values_with_the_same_labels_add_up_and_an_empty_family_is_left_out() -> None:
    family = Family("logship_x_total", COUNTER, "help")
    assert exposition([family]) == b""
    family.add(2**60, a="b")
    family.add(1, a="b")
    assert exposition([family]).endswith(b'logship_x_total{a="b"} 1152921504606846977\n')
    text = exposition(gauges("logship_", {"ends_total": (3, "x"), "now": (True, "y")}))
    assert read(text)[0] == {"logship_ends_total": "counter", "logship_now": "gauge"}
    assert value(text, "logship_now") == 1


def test_whose_a_stream_is() -> None:
    assert owner("webapp/2/serf/i") == {"service": "webapp", "program": "serf"}
    assert owner("foreign/stream") == {"service": "foreign", "program": ""}
    assert owner(None) == {"service": "", "program": ""}


def test_losses_are_counted_in_bytes_and_units_by_service_program_and_reason() -> None:
    losses = [
        Loss("1", "web/1/app/i", 0, 100, reason="over budget"),
        Loss("2", "web/2/app/i", 0, 11, reason="over budget"),
        Loss("3", "ha/1/haproxy/i", None, None, 37, "lines", reason="HAProxy dropped them: its output was full"),
        Loss("4", "web/1/app/i"),
    ]
    text = exposition(of_losses(losses, 5))
    over = {"service": "web", "program": "app", "reason": "over budget"}
    dropped = {"service": "ha", "program": "haproxy", "reason": "HAProxy dropped them"}
    assert value(text, "logship_lost_bytes_total", **over) == 111
    assert value(text, "logship_loss_records_total", **over) == 2
    assert value(text, "logship_lost_units_total", **dropped, unit="lines") == 37
    assert value(text, "logship_losses_unknown_total", service="web", program="app", reason="") == 1
    assert value(text, "logship_losses_forgotten_total") == 5


def test_reasons_that_say_a_number_each_time_are_one_and_too_many_are_other() -> None:
    losses = [Loss(str(n), None, bytes=1, reason=f"in the hole of {n:,} bytes (pid {n})") for n in range(500, 2500)]
    _, samples = read(exposition(of_losses(losses, 0)))
    assert samples["logship_lost_bytes_total", frozenset(
        {("service", ""), ("program", ""), ("reason", "in the hole of N bytes")}
    )] == 2000  # fmt: skip
    letters = [chr(97 + n % 26) * (n // 26 + 1) for n in range(200)]
    _, samples = read(exposition(of_losses([Loss(text, None, bytes=1, reason=text) for text in letters], 0)))
    mine = {dict(labels)["reason"]: count for (name, labels), count in samples.items() if "lost_bytes" in name}
    assert len(mine) == REASONS_MAX + 1
    assert mine["other"] == 200 - REASONS_MAX
