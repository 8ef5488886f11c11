"""Core: lints over how logrotate takes files away from those who write and follow them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatch

from logship.audit.lints.lint import Conditions, Deed, Flaw, Lint, Place, Severity, budget, lint, size, span
from logship.audit.lints.logrotate_conf import PERIODS, Block, Directive, Logrotate, byte_size

SCRIPTS = ("postrotate", "lastaction")
BRIEF = ("/var/log/alternatives.log", "/var/log/apt/*", "/var/log/bootstrap.log", "/var/log/btmp*", "/var/log/dpkg.log",
         "/var/log/lastlog", "/var/log/wtmp*")  # fmt: skip
"""Files whose writers open them for each entry: a rename leaves nobody behind."""
BROAD = re.compile(r"^/var/log/\*(?:/)?[^/]*$")
_SIGNAL = re.compile(r"\b(?:kill|pkill|killall|systemctl|service|supervisorctl|invoke-rc\.d|rsyslog-rotate)\b")


def _like(directive: Directive, text: str) -> str:
    return directive.raw[: len(directive.raw) - len(directive.raw.lstrip())] + text


def _add(block: Block, what: str, text: str) -> Flaw:
    return Flaw(block.place, what, Deed.ADD, "\n".join(f"    {line}" for line in text.split("\n")))


def _kept_open(conf: Logrotate) -> Iterator[Block]:
    """The blocks with files that somebody may hold open."""
    return (block for block in conf.blocks if not all(any(fnmatch(p, brief) for brief in BRIEF) for p in block.paths))


def _once(flaws: Iterator[Flaw]) -> Iterator[Flaw]:
    """Without repeats: several blocks may inherit one line."""
    told: set[Place] = set()
    for flaw in flaws:
        if flaw.place not in told:
            told.add(flaw.place)
            yield flaw


@lint(
    "logrotate-copytruncate",
    Severity.LOSS,
    "files are copied and then emptied",
    "what is written between copy and truncation is gone, as is what nobody had read; a writer without append mode "
    "leaves a hole of NULs.",
)
def copytruncate(conf: Logrotate, _: Conditions) -> Iterator[Flaw]:
    for block in conf.blocks:
        found = block.on("copytruncate")
        if found:
            own = found in block.own
            what = f"{block.title} is emptied in place; let its writer reopen its file in a postrotate script instead"
            yield (
                Flaw(found.place, what, Deed.REPLACE, _like(found, "create"))
                if own
                else _add(block, what, "nocopytruncate")
            )


@lint(
    "logrotate-compress-at-once",
    Severity.LOSS,
    "a file is compressed while it is still in use",
    "a writer that has not reopened yet writes into a deleted file, and what a follower had still to read is gone.",
)
def compress(conf: Logrotate, _: Conditions) -> Iterator[Flaw]:
    def look() -> Iterator[Flaw]:
        for block in _kept_open(conf):
            found = block.on("compress")
            if found and not block.on("delaycompress"):
                what = f"{block.title} is compressed in the same run that renames it"
                no = block.last("nodelaycompress")
                if no and (no in block.own or found not in block.own):
                    yield Flaw(no.place, what, Deed.REPLACE, _like(no, "delaycompress"))
                else:
                    yield Flaw(found.place, what, Deed.ADD, _like(found, "delaycompress"))

    return _once(look())


@lint(
    "logrotate-no-reopen",
    Severity.RISK,
    "nobody tells the writer that its file was renamed",
    "a program that keeps its file open goes on in the renamed one, which is compressed and deleted under it.",
)
def no_reopen(conf: Logrotate, _: Conditions) -> Iterator[Flaw]:
    for block in _kept_open(conf):
        if not block.on("copytruncate") and not block.on("copy") and not block.last(*SCRIPTS):
            name = re.split(r"[^A-Za-z0-9_-]", block.paths[0].rpartition("/")[2])[0] if block.paths else ""
            script = f"postrotate\n    kill -HUP $(cat /run/{name or 'PROGRAM'}.pid)\nendscript"
            yield _add(block, f"{block.title} is renamed, and no postrotate script reopens it", script)


@lint(
    "logrotate-rotate-0",
    Severity.LOSS,
    "a rotated file is deleted at once",
    "with rotate 0 nothing remains of what nobody had read at that moment.",
)
def rotate_0(conf: Logrotate, _: Conditions) -> Iterator[Flaw]:
    def look() -> Iterator[Flaw]:
        for block in conf.blocks:
            found = block.last("rotate")
            if found and found.argument == "0":
                yield Flaw(found.place, f"{block.title} keeps no rotated file", Deed.REPLACE, _like(found, "rotate 7"))

    return _once(look())


@lint(
    "logrotate-short-retention",
    Severity.LOSS,
    "rotated files do not outlast the outage to survive",
    "logrotate deletes the oldest file whether it was read or not.",
)
def short_retention(conf: Logrotate, conditions: Conditions) -> Iterator[Flaw]:
    wanted = conditions.outage_seconds
    for block in conf.blocks:
        count, sized, period = block.last("rotate"), block.last("size", "maxsize"), block.last(*PERIODS)
        kept = int(count.argument) if count and re.fullmatch(r"[0-9]{1,6}", count.argument) else 0
        each = byte_size(sized.argument) if sized else None
        if count is None or not kept:
            continue
        if sized and each and conditions.rate_bytes and kept * each < conditions.rate_bytes * wanted:
            lasts = span(kept * each / conditions.rate_bytes)
            what = f"{block.title} keeps {kept} files of {size(each)}: {lasts} at {size(conditions.rate_bytes)}/s"
            room = budget(conditions.rate_bytes * wanted / kept) // 1024**2
            yield _replace(block, sized, f"{what}, not {span(wanted)}", f"{sized.name} {room}M")
        elif period and not sized and kept * PERIODS[period.name] < wanted:
            lasts = span(kept * PERIODS[period.name])
            fitting = int(-(-wanted // PERIODS[period.name]))
            what = f"{block.title} keeps {kept} {period.name} files: {lasts}, not {span(wanted)}"
            yield _replace(block, count, what, f"rotate {fitting}")


def _replace(block: Block, found: Directive, what: str, text: str) -> Flaw:
    if found in block.own:
        return Flaw(found.place, what, Deed.REPLACE, _like(found, text))
    return _add(block, what, text)


@lint(
    "logrotate-olddir",
    Severity.RISK,
    "rotated files move to another folder",
    "a follower that looks for the rest of a rotated file beside it finds nothing; to another disk it is a copy.",
)
def olddir(conf: Logrotate, _: Conditions) -> Iterator[Flaw]:
    def look() -> Iterator[Flaw]:
        for block in conf.blocks:
            found = block.on("olddir")
            if found:
                what = f"{block.title} goes to {found.argument} when it is rotated"
                yield Flaw(found.place, what, Deed.REPLACE, _like(found, "noolddir"))

    return _once(look())


@lint(
    "logrotate-create-many",
    Severity.RISK,
    "files of many writers are made anew, and one writer is told",
    "every other program that writes one of these files goes on in the renamed one, which nobody follows for long.",
)
def create_many(conf: Logrotate, _: Conditions) -> Iterator[Flaw]:
    for block in conf.blocks:
        script = block.last(*SCRIPTS)
        broad = next((path for path in block.paths if BROAD.match(path)), None)
        if broad and script and not block.on("copytruncate") and len(_SIGNAL.findall(script.argument)) == 1:
            what = f"{broad} takes in files of every program, and the script reaches one; name the files of that one"
            yield Flaw(block.place, what, Deed.REPLACE, "/var/log/PROGRAM.log {")


LINTS: tuple[Lint[Logrotate], ...] = (
    copytruncate, compress, no_reopen, rotate_0, short_retention, olddir, create_many,
)  # fmt: skip
