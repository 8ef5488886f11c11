"""How a server speaks, and what becomes of the senders when that changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from logship.errors import USAGE, Fault
from logship.ship.dialect import SPEECH_TABLE, Heard, Speech, heard
from logship.ship.http_sink import Place
from logship.ship.plain import PlainSender
from logship.ship.plain_states import RecallFiles
from logship.ship.sender import Sender
from logship.ship.sources import Sources
from logship.ship.states import ListFiles
from logship.ship.talk import Talk
from logship.wire.replies import Answer

OURS, FOREIGN, LATER = Answer(404, superset=True), Answer(404), Answer(503)


def test_the_table_has_every_cell() -> None:
    assert set(SPEECH_TABLE) == set(Heard)
    for row in SPEECH_TABLE.values():
        assert set(row) == set(Speech)


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (Answer(503, superset=True), Heard.OURS),
        (Answer(200), Heard.FOREIGN),
        (Answer(404), Heard.FOREIGN),
        (Answer(501), Heard.FOREIGN),
        (Answer(429), Heard.LATER),
        (Answer(502), Heard.LATER),
    ],
)
def test_the_header_alone_tells_and_a_refusal_for_now_tells_nothing(answer: Answer, shown: Heard) -> None:
    assert heard(answer) is shown


class Said(list[str]):
    """What was said."""

    def __call__(self, _level: str, event: str, **_fields: Any) -> None:
        self.append(event)


def talk_of(state: Path | None) -> tuple[Talk, Sources, Said]:
    said = Said()
    sources = Sources([], "1", said)
    return Talk(Place("logs.example", 80), state, sources, said), sources, said


def tell(talk: Talk, answer: Answer) -> None:
    """The question is answered."""
    talk.question()
    talk.answered(answer)


def test_nothing_is_sent_before_it_is_known_how_the_server_speaks(tmp_path: Path) -> None:
    talk, sources, said = talk_of(tmp_path)
    assert talk.asks
    assert not talk.ready
    talk.question()
    assert not talk.asks, "one question at a time"
    talk.answered(None)
    talk.question()
    talk.answered(LATER)
    assert talk.asks
    tell(talk, OURS)
    talk.settle(0, 0.0, 0.0)
    assert talk.ready
    assert sources.speaks is Sender
    assert said == []
    assert isinstance(talk.list_files("vm", "shop"), ListFiles)


def test_senders_are_changed_when_nothing_is_out_and_both_ways(tmp_path: Path) -> None:
    talk, sources, said = talk_of(tmp_path)
    tell(talk, FOREIGN)
    talk.settle(1, 0.0, 0.0)
    assert not talk.ready
    talk.settle(0, 0.0, 0.0)
    assert talk.ready
    assert talk.plain
    assert sources.speaks is PlainSender
    assert isinstance(talk.list_files("vm", "shop"), RecallFiles)
    talk.heard(OURS)
    assert not talk.ready
    talk.settle(0, 0.0, 0.0)
    assert sources.speaks is Sender
    assert said == ["plain server", "collector"]


def test_one_foreign_answer_is_asked_about_before_anything_is_changed(tmp_path: Path) -> None:
    talk, sources, said = talk_of(tmp_path)
    tell(talk, OURS)
    talk.settle(0, 0.0, 0.0)
    talk.heard(FOREIGN)
    assert talk.asks
    assert not talk.ready
    talk.heard(FOREIGN)
    tell(talk, OURS)
    talk.settle(0, 0.0, 0.0)
    assert talk.ready
    assert sources.speaks is Sender
    talk.doubt()
    assert talk.asks, "after an outage another server may be there"
    assert said == []


def test_without_a_folder_a_foreign_server_ends_it_at_the_start_and_never_later() -> None:
    talk, _, said = talk_of(None)
    with pytest.raises(Fault, match="it is no logship collector") as caught:
        tell(talk, FOREIGN)
    assert caught.value.status == USAGE
    assert "--state DIR" in caught.value.hint
    tell(talk, OURS)
    talk.settle(0, 0.0, 0.0)
    talk.heard(FOREIGN)
    talk.doubt()
    assert talk.ready, "each sender refuses what is foreign, as ever"
    assert said == []


def test_another_place_is_asked_anew_and_has_checkpoints_of_its_own(tmp_path: Path) -> None:
    talk, sources, said = talk_of(tmp_path)
    tell(talk, FOREIGN)
    talk.settle(0, 0.0, 0.0)
    first = talk.book
    talk.go_to(Place("other.example", 80))
    assert talk.book is not first
    assert not talk.ready
    talk.heard(FOREIGN)
    assert talk.asks, "an answer that comes from where it was sent before says nothing"
    tell(talk, FOREIGN)
    talk.settle(0, 0.0, 0.0)
    assert talk.ready
    assert said == ["plain server", "plain server"]
    talk.question()
    talk.go_to(Place("third.example", 80))
    talk.answered(FOREIGN)
    assert talk.asks, "the question was answered by the former place"
    tell(talk, OURS)
    talk.settle(0, 0.0, 0.0)
    assert sources.speaks is Sender
    assert said[-1] == "collector"
