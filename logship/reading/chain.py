"""Core: the streams that carry one source, laid out over the source's own offsets: what is where, and what is missing.

A source whose shipper met a gap, or whose end was no more what it had been, goes on in a stream that ``continues`` the
one before (ARCHITECTURE.md 8). Where two streams hold the same offsets, the later one is what the source says now.
Left to others: comparing (``proof``, ``verify``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from logship.ship.chain import parse_name

LOST = "lost"
NOT_KEPT = "not kept"
UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Link:
    """One stream: ``base`` is the source's offset of its first byte, ``first`` its own first offset that is kept.

    ``lost_bytes`` is what its source says is missing before it (None: it says nothing, or nobody knows).
    """

    path: str
    base: int
    first: int
    end: int
    closed: bool = False
    continues: str | None = None
    lost_bytes: int | None = None
    reason: str = ""

    @property
    def source_end(self) -> int:
        """The source's offset behind its last byte."""
        return self.base + self.end


@dataclass(frozen=True, slots=True)
class Extent:
    """The source's bytes from ``start`` to ``end`` lie in the stream ``path`` from ``offset`` on."""

    start: int
    end: int
    path: str
    offset: int


@dataclass(frozen=True, slots=True)
class Missing:
    """The source's bytes from ``start`` to ``end`` are stored nowhere: LOST (recorded), NOT_KEPT or UNEXPLAINED."""

    start: int
    end: int
    what: str
    text: str


def links(listings: Iterable[Mapping[str, Any]], start: str | None, *, through_replacements: bool) -> list[Link]:
    """The chain from the stream ``start`` on (None: from the one that continues none of these), in its order.

    It ends before a stream that begins where an earlier one did, or before: that is another content in the same place,
    unless one goes ``through_replacements``.
    """
    known = {each["stream"]: each for each in listings}
    following: dict[str, list[Mapping[str, Any]]] = {}
    for each in known.values():
        continues = each["source"].get("continues")
        if isinstance(continues, str):
            following.setdefault(continues, []).append(each)
    if start is not None:
        heads = [known[start]] if start in known else []
    else:
        heads = [each for each in known.values() if each["source"].get("continues") not in known]
    found: list[Link] = []
    waiting = sorted((_link(each, None) for each in heads), key=_order)
    seen: set[str] = set()
    while waiting:
        link = waiting.pop(0)
        if link.path in seen or (found and link.base <= found[-1].base and not through_replacements):
            continue
        seen.add(link.path)
        found.append(link)
        waiting = [*sorted((_link(each, link) for each in following.get(link.path, ())), key=_order), *waiting]
    return found


def _order(link: Link) -> tuple[int, int, str]:
    return link.base, len(link.path), link.path


def _link(listing: Mapping[str, Any], before: Link | None) -> Link:
    source = listing["source"]
    lost = source.get("lost_bytes")
    name = parse_name(listing["stream"].rpartition("/")[2], str(source.get("incarnation", "")))
    base = name[0] if name is not None else (0 if before is None else before.source_end + (lost or 0))
    return Link(
        listing["stream"], base, listing["first_offset"], listing["next_offset"], listing["closed"],
        source.get("continues"), lost, str(source.get("lost_reason") or ""),
    )  # fmt: skip


def layout(chain: Sequence[Link]) -> list[Extent | Missing]:
    """Where the source's bytes are, in order and without a break, from the beginning of the first stream on.

    A source that lost its beginning before any stream was made begins with that.
    """
    found: list[Extent | Missing] = []
    end = 0
    for number, link in enumerate(chain):
        if number == 0 and not (link.continues is not None and link.lost_bytes == link.base):
            end = link.base
        found = clipped(found, 0, link.base)
        end = min(end, link.base)
        if end < link.base:
            found.append(_gap(end, link.base, link))
        kept = link.base + min(link.first, link.end)
        if kept > link.base:
            found.append(Missing(link.base, kept, NOT_KEPT, f"{link.path} is kept from {link.first} on"))
        if link.source_end > kept:
            found.append(Extent(kept, link.source_end, link.path, link.first))
        end = link.source_end
    return found


def _gap(start: int, end: int, link: Link) -> Missing:
    recorded = link.continues is not None and (link.lost_bytes is None or link.lost_bytes >= end - start)
    text = link.reason or f"no bytes before {link.path}"
    return Missing(start, end, LOST if recorded else UNEXPLAINED, text)


def clipped(found: Iterable[Extent | Missing], start: int, end: int | None) -> list[Extent | Missing]:
    """The part between two offsets of the source."""
    parts: list[Extent | Missing] = []
    for one in found:
        low, high = max(one.start, start), one.end if end is None else min(one.end, end)
        if low >= high:
            continue
        if isinstance(one, Extent):
            parts.append(Extent(low, high, one.path, one.offset + low - one.start))
        else:
            parts.append(Missing(low, high, one.what, one.text))
    return parts
