"""Edge: spool folders as they lie on a volume, for who only reads them: no lock is tried, nothing is written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from logship.errors import USAGE, Fault
from logship.ship.folder import SpoolFolder
from logship.spool.layout import IDENTITY, parse_incarnation


@dataclass(frozen=True, slots=True)
class Spool:
    """The spool folder of one incarnation; ``label`` is whose it is, for people."""

    path: Path
    incarnation: str
    label: str
    programs: list[str]


def spools(folders: Sequence[Path]) -> Iterator[Spool]:
    """Each of the folders, or those in it, or one level below. Raises Fault where there is none."""
    for folder in folders:
        try:
            found = [folder.resolve(strict=True)] if (folder / IDENTITY).exists() else sorted(_below(folder, 2))
        except OSError as error:
            raise Fault("look into", str(folder), error.strerror or str(error), status=USAGE) from None
        if not found:
            hint = "give the folder of an incarnation, /run/supervise/spool, or a folder of such"
            raise Fault("verify", str(folder), "there is no spool folder in it", hint, USAGE)
        for path in found:
            yield _spool(path)


def _below(folder: Path, levels: int) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        paths = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    for path in paths:
        if parse_incarnation(path.name) is not None:
            yield path
        elif levels > 1 and not path.name.startswith("."):
            yield from _below(path, levels - 1)


def _spool(path: Path) -> Spool:
    folder = SpoolFolder(path)
    said = folder.instance()
    words = folder.identity
    try:
        programs = folder.programs()
    except OSError as error:
        raise Fault("look into", str(path), error.strerror or str(error)) from None
    instance = said[0] if said is not None else words["host"]
    return Spool(folder.path, words["incarnation"], f"{words['service']}/{instance}", programs)
