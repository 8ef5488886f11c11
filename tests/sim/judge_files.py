"""The oracle's look at followed files: each content of each file is stored once, or the ledger says what is missing.

What the shipper cannot know is excused, and nothing else: a content that was emptied or deleted before it had a stream,
or deleted while no shipper had it open.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from logship.ship.identity import PROGRAM
from logship.values import Loss
from tests.sim.logfile import Content
from tests.sim.violation import Violation

if TYPE_CHECKING:
    from tests.sim.judgement import Stored
    from tests.sim.world import World

SEEN_SECONDS = 5.0
"""A file that was there so long was seen, if a shipper ran all the time."""


def is_file(path: str) -> bool:
    """Whether it is the path of a followed file's stream."""
    return path.split("/")[2] == PROGRAM


def content_of(world: World, data: bytes) -> Content | None:
    """The content that ``data`` is the beginning of; no two begin alike."""
    contents = world.logfile.contents if world.logfile else []
    return next((each for each in contents if each.data[: len(data)] == data), None)


def stored_of(world: World, streams: Iterable[Stored]) -> dict[Content, Stored]:
    """Which stream holds which content. Raises Violation."""
    found: dict[Content, Stored] = {}
    for stored in streams:
        if not stored.data:
            continue
        content = content_of(world, bytes(stored.data))
        if content is None:
            raise Violation("bytes identical", f"{stored.path} holds what no file ever had")
        if content in found:
            raise Violation("nothing twice", f"{stored.path} and {found[content].path} hold the same content of a file")
        found[content] = stored
    return found


def left(world: World, streams: Iterable[Stored]) -> list[str]:
    """What is not stored yet of the files there are."""
    found = stored_of(world, streams)
    contents = world.logfile.contents if world.logfile else []
    return [
        f"a followed file: {len(each.data)} bytes, of which {_size(found, each)} are stored"
        for each in contents
        if each.kept and _size(found, each) < len(each.data)
    ]


def judge(world: World, streams: Iterable[Stored], losses: list[Loss]) -> None:
    """Raises Violation."""
    found = stored_of(world, streams)
    chains = {loss.stream.rpartition("/")[2].partition(".")[0] for loss in losses if loss.stream is not None}
    for content in world.logfile.contents if world.logfile else []:
        size = _size(found, content)
        if size == len(content.data):
            continue
        stream = found.get(content)
        told = stream is not None and stream.path.rpartition("/")[2].partition(".")[0] in chains
        if content.kept or not (told or _excused(world, content, stream)):
            raise Violation(
                "stored + ledger = produced",
                f"a followed file: of {len(content.data)} bytes {size} are stored, the others nowhere told; "
                f"{content.end or 'it is still there'} at {content.ended:.3f}, written from {content.began:.3f} on",
            )


def _excused(world: World, content: Content, stream: Stored | None) -> bool:
    restarted = world.met["follower started"] > 1
    if content.end == "emptied":  # what is found empty at a start is looked at when it is written to again
        return stream is None or (restarted and not _next_of(world, content).data)
    return restarted or content.ended - content.began < SEEN_SECONDS


def _next_of(world: World, content: Content) -> Content:
    assert world.logfile is not None
    contents = world.logfile.contents
    return contents[contents.index(content) + 1]


def _size(found: dict[Content, Stored], content: Content) -> int:
    stored = found.get(content)
    return 0 if stored is None else len(stored.data)
