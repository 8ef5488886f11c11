"""Mistakes that the simulator must find: each takes one safeguard away from the code under test, while a world runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from logship import files
from logship.collect import admission, disk, folder, lake, payload, store
from logship.lake import seal
from logship.ship import discover
from tests.sim import sealing


def _sync(self: disk.Disk) -> None:
    """Without the fdatasync."""
    self.publish()


def _replace(path: Any, content: bytes, mode: int = 0o644) -> None:
    """Without the fsync of the folder."""
    fresh = path.with_name(f".{path.name}.new")
    system = vars(files)["os"]  # as it is bound while a world runs
    descriptor = system.open(fresh, system.O_WRONLY | system.O_CREAT | system.O_TRUNC, mode)
    system.write(descriptor, content)
    system.fsync(descriptor)
    system.close(descriptor)
    fresh.replace(path)


def _examine(body: bytes, encoding: Any, _digests: Any, limits: Any) -> Any:
    """Without a look at the digests."""
    return payload.examine(body, encoding, (), limits)


def _without(*rows: int) -> tuple[Any, ...]:
    """The order of refusals without some of its rows."""
    return tuple(each for each in admission.APPEND_ORDER if each[0] not in rows)


@dataclass(frozen=True)
class Mutation:
    """``patches`` make the mistake; ``invariants`` are what it may violate; ``near`` is a seed that showed it once."""

    name: str
    patches: Mapping[tuple[Any, str], Any]
    invariants: frozenset[str]
    near: int = 0


MUTATIONS = (
    Mutation(
        "ack before fsync",
        {(disk.Disk, "sync"): _sync},
        frozenset({"shown is durable", "acked is durable", "recovery"}),
        near=40,
    ),
    Mutation(
        "no expected-offset check",
        {(admission, "APPEND_ORDER"): _without(15)},
        frozenset({"order kept"}),
    ),
    Mutation("no digest check", {(store, "examine"): _examine}, frozenset({"bytes identical"})),
    Mutation(
        "no epoch fence",
        {(admission, "APPEND_ORDER"): _without(10, 11)},
        frozenset({"an older epoch is refused"}),
        near=80,
    ),
    Mutation(
        "no directory fsync",
        {
            (disk, "replace"): _replace,
            (folder, "replace"): _replace,
            (disk, "sync_folder"): lambda _path: None,
            (folder, "sync_folder"): lambda _path: None,
        },
        frozenset({"shown is durable", "acked is durable", "recovery", "deleted is sealed"}),
    ),
    Mutation(
        "no tail-digest guard",
        {(discover.SpoolSource, "has_digest"): lambda _self, _span, _digest: True},
        frozenset({"resumed with proof alone"}),
        near=60,
    ),
    Mutation(
        "publish before verify",
        {(seal.Sealer, "_file"): sealing.unverified, (seal.Sealer, "_publish"): sealing.published_first},
        frozenset({"published is whole"}),
        near=40,
    ),
    Mutation(
        "delete before the manifest is loaded",
        {(lake.Lake, "look"): sealing.no_look},
        frozenset({"deleted is sealed"}),
    ),
)
