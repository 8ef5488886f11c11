"""The command ``logship verify``: what a source wrote is what is stored, or where it is not."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from logship import config
from logship.commands import Command
from logship.errors import USAGE, Fault
from logship.reading import proof as proofs
from logship.reading import sound
from logship.reading.chain import Link, layout, links
from logship.reading.client import Client, Record
from logship.reading.columns import size
from logship.reading.originals import File, SpoolStream
from logship.reading.proof import Proof
from logship.reading.questions import every, streams_meant
from logship.reading.spools import Spool, spools
from logship.reading.verify import Comparison, digests
from logship.ship.chain import parse_name

PROGRESS_SECONDS = 0.2
STEP_BYTES = 16 * 1024 * 1024


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="what is checked in the store: all, webapp, ha:haproxy, a stream's path; default all; with --file one",
    )
    parser.add_argument("--file", metavar="PATH", help="compare this file, which the stream has the bytes of")
    parser.add_argument("--from", dest="start", metavar="N", help="with --file: begin at this offset of the file")
    parser.add_argument("--to", dest="end", metavar="N", help="with --file: end before this offset of the file")
    parser.add_argument(
        "--spool",
        action="append",
        default=[],
        dest="spools",
        metavar="DIR",
        help="compare every stream of this spool folder, or of all spool folders in it or one level below",
    )
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table", help="a table, or a record a row")
    config.add_options(parser, "url")
    parser.epilog = (
        "Without --file and --spool every stored frame is read and its checksum compared. What the ledger says is lost "
        "is counted and is no difference. Exit status: 0 identical, or all sound; 1 a difference, damage, or bytes "
        "missing without a record; 2 usage, or a TARGET that means nothing; 3 identical as far as it is stored, and "
        "the source goes on; 4 the viewer cannot be reached; 130 interrupted."
    )


def _verify(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    client = _client(options, environment)
    if options.file is None and (options.start is not None or options.end is not None):
        raise Fault("verify", "", "--from and --to are offsets of a file", "say which by --file", USAGE)
    if options.file is not None and options.spools:
        raise Fault("verify", "", "--file and --spool are two questions", "ask one at a time", USAGE)
    if options.file is not None:
        return _told(options, [_file(client, options)])
    if options.spools:
        if options.targets:
            raise Fault("verify", options.targets[0], "a spool folder says itself which streams it has", "", USAGE)
        return _told(options, _of_spools(client, [Path(each) for each in options.spools]))
    return _sound(client, options)


def _client(options: argparse.Namespace, environment: Mapping[str, str]) -> Client:
    def tell(text: str) -> None:
        print(f"logship verify: {text}", file=sys.stderr, flush=True)

    return Client(config.load(options, environment).url, tell)


def _told(options: argparse.Namespace, found: Iterator[Proof] | Sequence[Proof]) -> int:
    """Print what was found; the exit status."""
    held = []
    for one in found:
        held.append(one)
        if options.output == "json":
            print(json.dumps(one.record(), separators=(",", ":")), flush=True)
    if options.output != "json" and held:
        print("\n".join(proofs.text(held)))
    if not held:
        print("logship verify: there is no stream in it", file=sys.stderr)
    return proofs.status(held)


def _file(client: Client, options: argparse.Namespace) -> Proof:
    if len(options.targets) != 1:
        raise Fault("verify", options.file, "it is held against one stream", "say which: logship sources", USAGE)
    start, end = _offset("--from", options.start) or 0, _offset("--to", options.end)
    path = streams_meant(client, options.targets)
    if len(path) != 1:
        text = f"it means {len(path)} streams: {', '.join(path[:5])}"
        raise Fault("hold the file against", options.targets[0], text, "name one by its path", USAGE)
    listings = _relatives(client, path[0])
    chain = links(listings, path[0], through_replacements=False)
    original = File(Path(options.file))
    try:
        proof = Proof(options.file, [link.path for link in chain])
        if chain[0].base:
            proof.note(0, chain[0].base, "not asked for", f"{path[0]} begins there")
        with _Progress("verifying", None) as progress:
            comparison = Comparison(client, progress.add)
            return comparison.run(proof, original, layout(chain), max(start, chain[0].base), end)
    finally:
        original.close()


def _relatives(client: Client, path: str) -> list[Record]:
    """The streams of the same source as the stream of this path, as the viewer lists them."""
    name = path.rpartition("/")[2]
    prefix = path[: len(path) - len(name)]
    return [one for one in every(client, "/v1/streams", [("prefix", prefix)]) if prefix or one["stream"] == path]


def _of_spools(client: Client, folders: Sequence[Path]) -> Iterator[Proof]:
    """Every stream of the spool folders, one by one."""
    for spool in spools(folders):
        listings = every(client, "/v1/streams", [("source.incarnation", spool.incarnation)])
        for program in spool.programs:
            found = _of_spool(client, spool, program, listings)
            if found is not None:
                yield found


def _of_spool(client: Client, spool: Spool, program: str, listings: Sequence[Record]) -> Proof | None:
    """One of its streams; None for a folder that holds a lock alone."""
    mine = [
        one
        for one in listings
        if one["source"].get("program") == program
        and parse_name(one["stream"].rpartition("/")[2], spool.incarnation) is not None
    ]
    chain: list[Link] = links(mine, None, through_replacements=True)
    original = SpoolStream(spool.path / program)
    if not chain and not original.spans():
        return None
    try:
        proof = Proof(f"{spool.label}:{program}", [link.path for link in chain])
        with _Progress(f"verifying {proof.source}", None) as progress:
            return Comparison(client, progress.add).run(proof, original, layout(chain), 0, None)
    finally:
        original.close()


def _sound(client: Client, options: argparse.Namespace) -> int:
    """Everything that is stored of some streams, against its own checksums."""
    sources = every(client, "/api/sources", [("q", target) for target in options.targets])
    found = []
    with _Progress("verifying", sum(one["kept_bytes"] for one in sources)) as progress:
        for source in sources:
            record = sound.record(source, digests(client, source["stream"], None, None, STEP_BYTES), progress.add)
            found.append(record)
            if options.output == "json":
                progress.clear()
                print(json.dumps(record, separators=(",", ":")), flush=True)
    if options.output != "json" and found:
        print("\n".join(sound.text(found)))
    if not found:
        print("logship verify: no stream yet", file=sys.stderr)
    return sound.status(found)


def _offset(option: str, said: str | None) -> int | None:
    if said is None:
        return None
    if not (said.isascii() and said.isdigit() and len(said) <= 19):
        raise Fault("understand", option, f"{said!r} is no offset", "give a number of bytes", USAGE)
    return int(said)


class _Progress:
    """How far it is, on standard error where that is a terminal."""

    def __init__(self, what: str, whole: int | None) -> None:
        self._what, self._whole = what, whole
        self._done = 0
        self._at = 0.0
        self._shown = False
        self._terminal = sys.stderr.isatty()

    def add(self, count: int) -> None:
        """So many bytes more."""
        self._done += count
        now = time.monotonic()
        if self._terminal and now - self._at >= PROGRESS_SECONDS:
            self._at, self._shown = now, True
            of = "" if not self._whole else f" of {size(self._whole)} ({min(self._done / self._whole, 1.0):.0%})"
            print(f"\r{self._what}: {size(self._done)}{of}\x1b[K", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Leave the line to others."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = False

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: Any) -> None:
        self.clear()


COMMANDS = {"verify": Command(_configure, _verify)}
