"""The plain sender as a dialogue with a foreign server: what it asks for; every byte once, whatever is killed when."""

from __future__ import annotations

import os
import random
import re

import pytest

from logship.ship.plain import PlainSender
from logship.ship.plain_standing import PlainStanding
from logship.ship.plain_states import PLAIN_TABLE, Happening, Plain, meaning
from logship.ship.plain_steps import PlainSteps
from logship.spool.ranges import Span
from logship.wire.replies import Answer
from tests.logship.ship.plain_world import CHUNK_BYTES, KEY, World
from tests.logship.ship.world import ORIGIN

FIRST = f"webapp/1/serf/{ORIGIN.incarnation}"
FATES = [
    "killed before writing", "killed after writing", "killed before sending", "killed before the answer",
    "request lost", "request late", "answer lost", "busy", "disk full",
]  # fmt: skip
KEEP_BYTES = 5000
"""What the source keeps of what is acknowledged, as spool keeps its 64 KiB."""


def test_every_happening_has_an_action_in_every_state() -> None:
    assert set(PLAIN_TABLE) == set(Happening)
    for row in PLAIN_TABLE.values():
        assert set(row) == set(Plain)


def test_every_action_of_the_table_exists_and_every_step_is_in_it() -> None:
    named = {f"_{action}" for row in PLAIN_TABLE.values() for action in row.values()} - {"_-", "_!"}
    found = {**vars(PlainStanding), **vars(PlainSteps)}
    steps = {name for name in found if re.fullmatch(r"_[a-z_]+[a-z]", name) and callable(found[name])}
    assert named <= steps
    inner = {
        "_abandon_for", "_append", "_begin", "_finish", "_good", "_leave_for", "_left", "_lose_content", "_parked",
        "_prove", "_same", "_wait",
    }  # fmt: skip  # steps within steps
    assert steps - named == inner


def settled(grown: int = 1000) -> World:
    world = World()
    world.grow(grown)
    world.finish()
    return world


def bodies(world: World, path: str = FIRST) -> bytes:
    return bytes(world.server.streams[path].data)


def events(world: World) -> list[str]:
    return [say.event for say in world.said]


def test_the_first_bytes_go_out_with_nothing_that_a_foreign_server_does_not_know() -> None:
    world = World()
    assert not world.sender.want, "a source without a byte asks for nothing"
    world.grow(1000)
    world.finish()
    assert bodies(world) == world.noise[:1000]
    (put, put_to, put_fields), first, second = world.server.requests
    assert (put, put_to) == ("PUT", f"/v1/stream/{FIRST}")
    assert put_fields == {"Content-Type": "application/octet-stream"}
    assert [post[0] for post in (first, second)] == ["POST", "POST"]
    assert first[2] == {
        "Content-Type": "application/octet-stream",
        "Producer-Id": f"ship-{ORIGIN.incarnation}",
        "Producer-Epoch": "0",
        "Producer-Seq": "0",
    }
    assert second[2] == {**first[2], "Producer-Seq": "1"}


def test_what_is_on_its_way_is_on_disk_before_it_is_sent() -> None:
    world = World()
    world.grow(300)
    world.step()
    world.step()
    assert not world.checkpoint.made, "the stream, before it was asked for"
    world.fate = "killed before sending"
    world.step()
    assert len(world.server.requests) == 1, "nothing but the PUT"
    flight = world.checkpoint.flight
    assert flight is not None
    assert (world.checkpoint.end, flight.size, world.checkpoint.sequence) == (0, 300, 0)


def test_the_checkpoint_says_at_last_what_is_acknowledged_and_spool_is_not_told_before() -> None:
    world = World()
    world.grow(300)
    while world.sender.position < 300:
        world.step()
    assert world.acked == 0, "the checkpoint has these bytes on their way still"
    assert not world.sender.settled
    world.finish()
    assert world.acked == 300
    point = world.checkpoint
    assert (point.end, point.sequence, point.flight, point.offset) == (300, 1, None, "at-0000012c")


def test_a_kill_between_acknowledgement_and_checkpoint_sends_the_same_bytes_under_the_same_number() -> None:
    world = settled()
    world.grow(500)
    world.fate = "killed before the answer"
    world.step()
    assert bodies(world) == world.noise[:1500], "the server has them"
    assert world.checkpoint.end == 1000, "the checkpoint does not know"
    world.grow(400)  # what came since does not go out with them
    world.finish()
    assert bodies(world) == world.noise[:1900]
    sequences = [fields["Producer-Seq"] for method, _, fields in world.server.requests if method == "POST"]
    assert sequences == ["0", "1", "2", "2", "3"]
    assert list(world.server.streams) == [FIRST]


@pytest.mark.parametrize("fate", ["request lost", "answer lost", "request late", "busy"])
def test_an_answer_that_does_not_come_is_asked_for_again_with_the_same_bytes(fate: str) -> None:
    world = settled()
    world.grow(500)
    world.fate = fate
    world.step()
    world.grow(500)
    world.finish()
    world.arrive()
    assert bodies(world) == world.noise[:2000]


def test_an_unanswered_put_is_ours_when_it_is_there_afterwards() -> None:
    world = World()
    world.grow(100)
    world.step()
    world.fate = "killed before the answer"
    world.step()
    world.finish()
    assert list(world.server.streams) == [FIRST]
    assert bodies(world) == world.noise[:100]


@pytest.mark.parametrize("fate", ["request lost", "answer lost", "busy"])
def test_a_put_that_is_not_answered_is_sent_again_and_makes_one_stream(fate: str) -> None:
    world = World()
    world.grow(100)
    world.step()
    world.fate = fate
    world.step()
    world.finish()
    assert list(world.server.streams) == [FIRST]
    assert bodies(world) == world.noise[:100]


def test_a_full_disk_stops_sending_and_loses_nothing() -> None:
    world = settled()
    world.grow(500)
    world.fate = "disk full"
    before = len(world.server.requests)
    world.step()
    assert len(world.server.requests) == before
    world.finish()
    assert bodies(world) == world.noise[:1500]


def test_a_stream_that_is_there_without_a_checkpoint_is_not_gone_on_with() -> None:
    world = settled()
    world.disk.clear()
    world.restart()
    world.finish()
    assert bodies(world) == world.noise[:1000], "it is left as it was"
    assert bodies(world, f"{FIRST}.{0:020}") == world.noise[:1000]
    assert "stream exists" in events(world)


def test_an_old_checkpoint_is_found_out_by_the_server_s_numbers() -> None:
    world = settled()
    old = dict(world.disk)
    world.grow(500)
    world.finish()
    world.disk = old
    world.grow(300)
    world.restart()
    world.finish()
    assert bodies(world) == world.noise[:1500]
    assert bodies(world, f"{FIRST}.{1000:020}") == world.noise[1000:1800], "rather twice than not at all"
    assert "stream left" in events(world)


def test_a_server_that_forgot_its_producers_and_kept_the_bytes_is_gone_on_with_in_a_new_epoch() -> None:
    world = settled()
    world.server.streams[FIRST].producers.clear()
    world.grow(500)
    world.finish()
    assert bodies(world) == world.noise[:1500]
    assert world.server.streams[FIRST].producers[f"ship-{ORIGIN.incarnation}"] == (1, 0)


def test_a_server_that_lost_bytes_gets_all_that_is_held_in_a_new_stream() -> None:
    world = settled()
    stream = world.server.streams[FIRST]
    del stream.data[700:]
    stream.producers[f"ship-{ORIGIN.incarnation}"] = (0, 0)
    world.grow(500)
    world.finish()
    assert bodies(world, f"{FIRST}.{0:020}") == world.noise[:1500]
    assert "stream left" in events(world)


def test_a_wiped_server_is_filled_again_with_what_is_held_after_a_second_look() -> None:
    world = settled()
    world.server.streams.clear()
    world.grow(500)
    world.step()
    world.step()
    assert "forgotten" not in events(world), "one 404 may be a proxy's"
    assert world.sender.position == 1000
    world.finish()
    assert bodies(world) == world.noise[:1500]
    assert "forgotten" in events(world)


def test_a_404_that_was_a_proxy_s_changes_nothing() -> None:
    world = settled()
    world.server.refuses = 404
    world.grow(500)
    world.step()
    world.step()
    world.server.refuses = None
    world.finish()
    assert bodies(world) == world.noise[:1500]
    assert list(world.server.streams) == [FIRST]


def test_a_newer_epoch_parks_who_has_sent_and_sends_elsewhere_who_has_not() -> None:
    world = settled()
    world.server.streams[FIRST].producers[f"ship-{ORIGIN.incarnation}"] = (5, 0)
    world.grow(500)
    world.step()
    assert world.sender.parked
    assert "another shipper" in world.sender.trouble
    world.restart()
    world.finish()
    assert bodies(world, f"{FIRST}.{1000:020}") == world.noise[1000:1500]
    assert not world.server.streams[FIRST].closed, "it is somebody else's now"


def test_a_hole_ends_the_stream_and_is_told_and_counted() -> None:
    world = settled()
    world.grow(500)
    world.delete(1200)
    world.finish()
    assert world.server.streams[FIRST].closed
    assert bodies(world) == world.noise[:1000]
    assert bodies(world, f"{FIRST}.{1200:020}") == world.noise[1200:1500]
    assert any("200 bytes before it are lost" in say.text and say.trouble for say in world.said)
    assert world.sender.lost_bytes == 200
    world.restart()
    world.finish()
    assert world.sender.lost_bytes == 200, "a new process knows it, too"


def test_a_source_that_is_shorter_than_what_was_sent_goes_on_in_a_new_stream() -> None:
    world = settled()
    world.end, world.spans = 900, []
    world.delete(0)
    world.restart()
    world.finish()
    world.grow(50)
    world.finish()
    assert bodies(world, f"{FIRST}.{900:020}") == world.noise[900:950]
    assert "not what is stored" in events(world)


def test_a_source_with_other_bytes_goes_to_a_new_stream_as_a_whole() -> None:
    world = settled()
    world.noise = random.Random(99).randbytes(1 << 17)
    world.restart()
    world.grow(10)
    world.finish()
    assert bodies(world, f"{FIRST}.{0:020}") == world.noise[:1010]


def test_bytes_on_their_way_that_are_gone_at_the_restart_are_told_as_not_known() -> None:
    world = settled(6000)
    world.grow(500)
    world.fate = "killed after writing"
    world.step()
    world.grow(500)
    world.delete(6200)
    world.restart()
    world.finish()
    assert "unknown end" in events(world)
    assert bodies(world, f"{FIRST}.{6200:020}") == world.noise[6200:7000]


def test_bytes_on_their_way_that_are_others_at_the_restart_are_never_sent_under_the_same_number() -> None:
    world = World()
    world.grow(500)
    world.step()
    world.step()
    world.fate = "killed before the answer"
    world.step()
    sent = bodies(world)
    world.noise = random.Random(99).randbytes(1 << 17)
    world.restart()
    world.finish()
    assert "unknown end" in events(world)
    assert bodies(world) == sent
    assert bodies(world, f"{FIRST}.{0:020}") == world.noise[:500]


def followed(grown: int = 1000) -> World:
    """A file, of which the server has so much."""
    world = World()
    world.path = "/var/log/x.log"
    world.grow(grown)
    world.finish()
    return world


def emptied(world: World, seen: int = 0, now: int = 0) -> None:
    """The file had ``seen`` bytes more, and was emptied and written anew."""
    world.gone += world.end + seen
    world.noise = random.Random(world.gone).randbytes(1 << 17)
    world.end, world.spans = now, [Span(0, now)] if now else []
    world.look()


def test_a_file_that_was_emptied_begins_a_stream_and_what_was_not_read_of_it_is_counted() -> None:
    world = followed()
    emptied(world, seen=70, now=300)
    world.finish()
    assert bodies(world, f"{FIRST}.{0:020}") == world.noise[:300]
    assert world.server.streams[FIRST].closed
    assert world.sender.lost_bytes == 70
    assert any("70 bytes of it were seen and not read" in say.text and say.trouble for say in world.said)
    emptied(world, now=200)
    world.finish()
    assert bodies(world, f"{FIRST}.{0:020}.2") == world.noise[:200]
    assert world.sender.lost_bytes == 70


def test_a_file_that_was_copied_and_emptied_goes_on_with_its_copy() -> None:
    world = followed()
    world.copy = before = world.noise[:1050]
    emptied(world, now=300)
    world.finish()
    assert bodies(world) == before
    assert list(world.server.streams) == [FIRST]


def test_a_file_that_was_emptied_before_anything_of_it_was_sent_is_sent_from_its_copy() -> None:
    world = World()
    world.path = "/var/log/x.log"
    world.grow(100)
    world.copy = before = world.noise[:100]
    emptied(world, now=300)
    world.finish()
    assert bodies(world) == before
    emptied(world, seen=50, now=20)
    world.finish()
    assert bodies(world, f"{FIRST}.{0:020}") == world.noise[:20]
    assert world.sender.lost_bytes == 50


def test_a_file_that_was_emptied_while_its_bytes_were_on_their_way() -> None:
    world = followed()
    world.grow(200)
    world.fate = "answer lost"
    world.step()
    emptied(world, now=100)
    world.finish()
    assert bodies(world)[1000:] != b"", "they had arrived"
    assert bodies(world, f"{FIRST}.{0:020}") == world.noise[:100]


def test_a_source_that_has_ended_is_closed_and_the_checkpoint_says_so() -> None:
    world = settled()
    world.ended = True
    world.look()
    world.finish()
    assert world.server.streams[FIRST].closed
    assert world.checkpoint.closed
    before = len(world.server.requests)
    world.restart()
    world.finish()
    assert world.sender.finished
    assert len(world.server.requests) == before, "nothing is left to say to the server"


def test_a_kill_while_it_is_closed_sends_nothing_twice() -> None:
    for fate in ("killed after writing", "killed before the answer"):
        world = settled()
        world.ended = True
        world.look()
        world.fate = fate
        world.finish()
        assert bodies(world) == world.noise[:1000]
        assert list(world.server.streams) == [FIRST]
        assert world.server.streams[FIRST].closed


def test_a_server_that_closes_nothing_is_told_of_once_and_left_alone() -> None:
    world = World()
    world.server.closes = False
    world.grow(100)
    world.ended = True
    world.look()
    world.finish()
    assert [say for say in world.said if say.shared and "does not close" in say.text]
    assert world.sender.finished


def test_a_server_without_producers_is_said_to_be_weaker() -> None:
    world = World()
    world.server.producers = False
    world.grow(100)
    world.finish()
    assert [say for say in world.said if say.shared and "may be there twice" in say.text]


@pytest.mark.parametrize("status", [404, 405, 401, 301])
def test_what_is_no_such_server_is_told_in_one_sentence_and_tried_again(status: int) -> None:
    world = World()
    world.server.refuses = status
    world.grow(100)
    world.step()
    world.step()
    assert world.sender.parked
    (said,) = [say for say in world.said if say.trouble]
    assert said.shared
    assert f"PUT is answered with {status}: is that the URL of a Durable Streams server?" in said.text
    world.server.refuses = None
    world.step(70)
    world.finish()
    assert bodies(world) == world.noise[:100]


def test_a_200_without_an_offset_is_no_success() -> None:
    assert meaning(Answer(200)) is Happening.REFUSED
    assert meaning(Answer(200, next_text="x")) is Happening.DONE
    assert meaning(Answer(204, epoch=0, sequence=0)) is Happening.DONE


def test_a_body_that_is_too_large_is_made_smaller_under_the_same_number() -> None:
    world = World()
    world.grow(100)
    world.finish()
    world.grow(20_000)
    world.server.refuses = 413
    world.step()
    world.server.refuses = None
    world.step(70)
    world.finish()
    assert bodies(world) == world.noise[:20_100]


SEEDS = int(os.environ.get("LOGSHIP_TEST_SEEDS", "80"))


@pytest.mark.parametrize("producers", [True, False])
def test_whatever_goes_wrong_every_byte_is_there_once_or_at_least_once(producers: bool) -> None:
    """With producers exactly the source's bytes in one stream; without, each of them at least once."""
    for seed in range(SEEDS):
        chance = random.Random(seed)
        world = World(seed)
        world.server.producers = producers
        for _ in range(chance.randrange(20, 120)):
            deed = chance.random()
            if deed < 0.25:
                world.grow(chance.randrange(1, 2 * CHUNK_BYTES))
            elif deed < 0.3:
                world.restart()
            elif deed < 0.35:
                world.arrive()
            elif deed < 0.4:
                world.delete(world.acked - KEEP_BYTES)
            else:
                world.fate = chance.choice(FATES) if chance.random() < 0.4 else ""
                world.step(chance.choice([0.0, 0.0, 0.3, 2.0]))
                world.fate = ""
            assert world.acked <= world.recall(*KEY).end if world.disk else world.acked == 0  # type: ignore[union-attr]
        world.ended = chance.random() < 0.5
        world.look()
        world.finish()
        world.arrive()
        if producers:
            assert set(world.server.streams) <= {FIRST}, seed
            assert not world.end or bodies(world) == world.noise[: world.end], seed
            assert {say.event for say in world.said} <= {"stream begun", "waits", "goes on"}, seed
        else:
            at, before = 0, list[bytes]()
            for body in world.server.streams[FIRST].bodies if world.end else []:
                if world.noise[at : at + len(body)] == body:
                    at += len(body)
                else:
                    assert body in before, f"{seed}: neither the next bytes nor such as were there before"
                before.append(body)
            assert at == world.end, seed


def test_a_sender_that_is_used_as_the_other_one_is() -> None:
    """run, sources, files and adopter use these of either."""
    world = settled()
    assert isinstance(world.sender, PlainSender)
    assert world.sender.certain
    assert not world.sender.parked
    assert world.sender.reached(1000)
    assert world.sender.unacknowledged == 0
    assert world.sender.listed((), 0.0, 0.0) == []
    assert world.sender.doubted(0.0, 0.0) == []
