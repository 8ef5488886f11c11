"""What is asked about files, and when: tails that the list left open first, one request of a kind at a time."""

from __future__ import annotations

from logship.ship.identity import Tail
from logship.ship.inquiry import AGAIN_SECONDS, Inquiry
from logship.values import StreamPath
from logship.wire.replies import Answer

FIRST, SECOND = StreamPath("shop/host/file/first"), StreamPath("shop/host/file/second")
ASKED = (FIRST, SECOND)


def test_the_list_is_asked_for_once_while_files_are_in_question() -> None:
    inquiry = Inquiry()
    assert inquiry.wants(0.0, (), in_question=False) is False
    assert inquiry.wants(0.0, (), in_question=True) is True
    inquiry.listing = True
    assert inquiry.wants(0.0, (), in_question=True) is False


def test_tails_are_asked_for_one_by_one_and_the_list_again_when_all_are_told() -> None:
    inquiry = Inquiry()
    for path in ASKED:
        assert inquiry.wants(0.0, ASKED, in_question=True) == path
        inquiry.asks(path)
    assert inquiry.wants(0.0, ASKED, in_question=True) is False
    inquiry.told(FIRST, Answer(410, next_offset=9), 0.0)
    assert inquiry.wants(0.0, ASKED, in_question=True) is False
    inquiry.told(SECOND, Answer(404), 0.0)
    assert inquiry.tails == {FIRST: Tail(9), SECOND: None}
    assert inquiry.wants(0.0, ASKED, in_question=True) is True


def test_what_is_not_told_is_asked_again_after_a_while() -> None:
    inquiry = Inquiry()
    for answer in (None, Answer(503), Answer(429)):
        assert inquiry.wants(0.0, (FIRST,), in_question=True) == FIRST
        inquiry.asks(FIRST)
        inquiry.told(FIRST, answer, -AGAIN_SECONDS)
    inquiry.asks(FIRST)
    inquiry.told(FIRST, None, 5.0)
    assert inquiry.wants(5.0, (FIRST,), in_question=True) is False
    assert inquiry.wants(5.0 + AGAIN_SECONDS, (FIRST,), in_question=True) == FIRST


def test_what_another_collector_said_before_counts_no_more() -> None:
    inquiry = Inquiry()
    inquiry.asks(FIRST)
    inquiry.over()
    inquiry.told(FIRST, Answer(410, next_offset=9), 0.0)
    assert not inquiry.tails
    assert inquiry.wants(0.0, (FIRST,), in_question=True) == FIRST
