"""Core: what a Serf agent lists becomes a ``Membership``, every field of it checked.

A member is untrusted input: whoever reaches the gossip port names itself, and what it says ends in HAProxy's
configuration, in the Runtime API, in file names and on terminals. Nothing leaves this module that could mean more there
than a name, an address and a number. Leaves to ``policy`` what a status means for traffic.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

ROLES = frozenset({"webapp", "ha"})
"""Roles a member may have; only ``webapp`` takes traffic."""

TRAFFIC_ROLE = "webapp"

ALIVE, LEAVING, LEFT, FAILED = "alive", "leaving", "left", "failed"
STATUSES = frozenset({ALIVE, LEAVING, LEFT, FAILED})

MEMBERS_MAX = 1000
"""A longer listing is refused as a whole: it is an attack or a fault, not a fleet of this size."""

NAME_CHARACTERS_MAX = 64
WEIGHT_DEFAULT = 100
WEIGHT_MAX = 256
TAGS_MAX = 16
TAG_CHARACTERS_MAX = 256

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{NAME_CHARACTERS_MAX - 1}}}\Z")
_RESERVED = frozenset({"BACKEND", "FRONTEND"})  # HAProxy's own rows in its statistics
_TAG_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_TAG_VALUE = re.compile(rf"[!#-&(-\[\]-_a-~ ]{{0,{TAG_CHARACTERS_MAX}}}\Z")  # printable ASCII without quotes, backslash
_NUMBER = re.compile(r"[0-9]{1,5}\Z")


class BadListing(ValueError):
    """The listing as a whole cannot be read; to be treated like an agent that does not answer."""


class _Unusable(ValueError):
    """One member's record is not acceptable; the text is the reason, in our own words only."""


@dataclass(frozen=True, order=True)
class Member:
    """One acceptable member. ``port`` is 0 where the role takes no traffic; ``weight`` is 1 to 256."""

    name: str
    address: str
    port: int
    role: str
    status: str
    weight: int = WEIGHT_DEFAULT
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def endpoint(self) -> str:
        return endpoint(self.address, self.port)


@dataclass(frozen=True, order=True)
class Refusal:
    """A record left out. ``name`` is safe to print; ``name`` and ``status`` are "" where they are not acceptable
    themselves, ``shown`` is what to call it then."""

    name: str
    status: str
    shown: str
    reason: str

    @property
    def is_over(self) -> bool:
        """Whether it left: Serf goes on listing it for a day, but there is nothing more to say about it."""
        return self.status == LEFT


@dataclass(frozen=True)
class Membership:
    """All members at one moment, by name; each name once."""

    members: tuple[Member, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Nobody at all, not even the agent itself: no listing of a working agent reads so."""
        return not self.members and not self.refusals


def endpoint(address: str, port: int) -> str:
    """Address and port as HAProxy takes them."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def is_name(text: str) -> bool:
    """Whether it may name a node: also a file in ``/nodes`` and a server in HAProxy."""
    return bool(_NAME.match(text)) and text not in _RESERVED


def read_listing(listing: object) -> Membership:
    """The Membership that an agent's decoded ``Members`` list describes, in whatever order it lists them.

    Equal records of one name count once; different ones are all refused, for there is no telling which is true.
    Raises BadListing when it is no list, or longer than MEMBERS_MAX.
    """
    if not isinstance(listing, (list, tuple)):
        raise BadListing("it is not a list of members")
    if len(listing) > MEMBERS_MAX:
        raise BadListing(f"it has {len(listing)} members, more than {MEMBERS_MAX}")
    found: dict[str, set[Member]] = {}
    refusals: set[Refusal] = set()
    for record in listing:
        try:
            member = _member(record)
            found.setdefault(member.name, set()).add(member)
        except _Unusable as reason:
            refusals.add(_refusal(record, str(reason)))
    for name, members in found.items():
        if len(members) > 1:
            refusals.add(Refusal(name, "", name, f"{len(members)} different members have this name"))
    single = sorted(min(members) for members in found.values() if len(members) == 1)
    return Membership(tuple(single), tuple(sorted(refusals)))


def _member(record: object) -> Member:
    if not isinstance(record, Mapping):
        raise _Unusable("its record is not a map")
    name = _text(record, "Name")
    if not is_name(name):
        raise _Unusable(f"its name is not 1 to {NAME_CHARACTERS_MAX} letters, digits, dots, dashes and underscores")
    status = _text(record, "Status")
    if status not in STATUSES:
        raise _Unusable(f"its status is none of {', '.join(sorted(STATUSES))}")
    tags = _tags(record.get("Tags", record.get(b"Tags")))
    role = tags.get("role", "")
    if role not in ROLES:
        raise _Unusable(f"its role is neither of {', '.join(sorted(ROLES))}")
    return Member(
        name=name,
        address=_address(record.get("Addr", record.get(b"Addr"))),
        port=_number(tags, "port", 1, 65535) if role == TRAFFIC_ROLE else 0,
        role=role,
        status=status,
        weight=_number(tags, "weight", 1, WEIGHT_MAX) if "weight" in tags else WEIGHT_DEFAULT,
        tags=tuple(sorted(tags.items())),
    )


def _text(record: Mapping[object, object], key: str) -> str:
    """A field as text; the agent's protocol gives bytes. "" where it is missing or neither."""
    return _decoded(record.get(key, record.get(key.encode())))


def _decoded(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return value if isinstance(value, str) else ""


def _tags(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise _Unusable("it has no tags")
    if len(value) > TAGS_MAX:
        raise _Unusable(f"it has more than {TAGS_MAX} tags")
    tags: dict[str, str] = {}
    for raw_key, raw_value in sorted(value.items(), key=lambda pair: _decoded(pair[0])):  # the agent's order varies
        key, text = _decoded(raw_key), _decoded(raw_value)
        if not _TAG_NAME.match(key):
            raise _Unusable("a tag's name is not 1 to 64 letters, digits, dots, dashes and underscores")
        if not isinstance(raw_value, (bytes, str)) or not _TAG_VALUE.match(text):
            raise _Unusable(
                f"its tag {key} is longer than {TAG_CHARACTERS_MAX} characters"
                " or has a quote, a backslash, or a character that is not printable ASCII"
            )
        tags[key] = text
    return tags


def _number(tags: Mapping[str, str], key: str, least: int, most: int) -> int:
    text = tags.get(key, "")
    if not _NUMBER.match(text) or not least <= int(text) <= most:
        raise _Unusable(f"its tag {key} is not a whole number from {least} to {most}")
    return int(text)


def _address(value: object) -> str:
    """The address in its one canonical form. Serf gives 16 bytes, IPv4 mapped into IPv6.

    Loopback is refused: there it would mean this container's own private ports.
    """
    if not isinstance(value, bytes) or len(value) not in (4, 16):
        raise _Unusable("its address is not 4 or 16 bytes")
    address = ipaddress.ip_address(value)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_link_local
        or address == ipaddress.ip_address("255.255.255.255")
    ):
        raise _Unusable("its address is not one of a single other node")
    return str(address)


def _refusal(record: object, reason: str) -> Refusal:
    if not isinstance(record, Mapping):
        return Refusal("", "", "?", reason)
    name, status = _text(record, "Name"), _text(record, "Status")
    if not is_name(name):
        shown = "".join(character if " " < character <= "~" else "?" for character in name)[:NAME_CHARACTERS_MAX]
        return Refusal("", "", shown or "?", reason)
    return Refusal(name, status if status in STATUSES else "", name, reason)
