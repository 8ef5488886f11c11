"""Edge: configuration files and what they include, read from disk as documents."""

from __future__ import annotations

import sys
from pathlib import Path

from logship.audit.doctor import Document
from logship.audit.lints.kinds import Kind, kind_of, looks_like_compose_yaml
from logship.audit.lints.source import TEXT_BYTES_MAX, Source, Unreadable
from logship.audit.lints.supervisord_conf import Supervisord, included
from logship.errors import USAGE, Fault

FILES_MAX = 1000
STDIN = "-"


def document(name: str, kind: Kind | None = None, root: Path = Path("/")) -> Document:
    """The file called ``name`` (``-``: standard input), of the kind given or seen. Raises Fault (usage).

    ``root`` is where absolute paths within the file begin.
    """
    source = read(name)
    found = kind or kind_of(source.text)
    if found is None:
        kinds = ", ".join(item.value for item in Kind)
        hint = f"say what it is: --kind {kinds}"
        if looks_like_compose_yaml(source.text):
            hint = "give it as compose resolves it: docker compose config --format json | logship doctor -"
        raise Fault("recognise", name, "it looks like none of the files that doctor knows", hint, USAGE)
    if found is Kind.SUPERVISORD:
        return Document(found, (source, *_included(source, root)))
    return Document(found, (source,))


def read(name: str) -> Source:
    """The text of a file. Raises Fault (usage) where it cannot be read, is too large, or is no text."""
    try:
        if name == STDIN:
            data = sys.stdin.buffer.read(TEXT_BYTES_MAX + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(TEXT_BYTES_MAX + 1)
    except OSError as error:
        raise Fault("read", name, error.strerror or str(error), "check the path", USAGE) from None
    if len(data) > TEXT_BYTES_MAX:
        raise Fault("read", name, f"it has more than {TEXT_BYTES_MAX} bytes", "give a configuration file", USAGE)
    try:
        return Source("stdin" if name == STDIN else name, data.decode())
    except UnicodeDecodeError as error:
        raise Fault("read", name, f"byte {error.start} is no UTF-8", "give a configuration file", USAGE) from None


def _included(source: Source, root: Path) -> list[Source]:
    """The files of supervisord's [include], sorted a pattern as supervisord takes them."""
    try:
        include = included(Supervisord([source]))
    except Unreadable:
        return []  # told when the document is looked at
    if include is None:
        return []
    place, patterns = include
    found: list[Source] = []
    for pattern in patterns:
        for path in _matches(pattern, Path(source.name).parent, root):
            if len(found) >= FILES_MAX:
                raise Fault("read", str(place), f"it includes more than {FILES_MAX} files", "give fewer", USAGE)
            found.append(read(str(path)))
    return found


def _matches(pattern: str, here: Path, root: Path) -> list[Path]:
    """The files of one pattern, which is relative to the file that includes."""
    relative = pattern.removeprefix("%(here)s/")
    base = root if relative.startswith("/") else here
    return sorted(path for path in base.glob(relative.lstrip("/") or ".") if path.is_file())
