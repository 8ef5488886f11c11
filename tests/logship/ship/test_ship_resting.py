"""Files that are at rest, and a list of what the collector has."""

from __future__ import annotations

from logship.ship.chain import Link
from logship.ship.globs import Place
from logship.ship.identity import Evidence, Known
from logship.ship.resting import Rest, Resting
from logship.values import StreamPath

KEY, PATH = (1, 5), StreamPath("shop/host/file/a")


def rest(stored: int) -> Rest:
    known = Known("a", Evidence(*KEY, 10), links=[Link(PATH, 0)])
    return Rest(stored, 0, Place("/x.log", "/x.log", False), known.evidence, known, stored, False)


def there(size: int) -> dict[str, Known]:
    return {"a": Known("a", Evidence(*KEY, 10), links=[Link(PATH, 0)], sizes={PATH: size})}


def test_a_file_of_which_the_collector_has_less_is_found_anew() -> None:
    for known, rests in ((there(5), True), (there(4), False), ({}, False)):
        resting = Resting()
        resting.put(KEY, rest(5))
        resting.asked()
        resting.listed(known)
        assert (resting.get(KEY) is not None) == rests


def test_a_list_that_was_asked_for_before_a_file_came_to_rest_says_nothing_of_it() -> None:
    resting = Resting()
    resting.asked()
    resting.put(KEY, rest(5))
    resting.listed({})
    assert resting.get(KEY) is not None
    resting.asked()
    resting.listed({})
    assert resting.get(KEY) is None
