"""The folder of the evidence: made, written and read; an edge that knows nothing of what lies in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from logship.errors import USAGE, Fault

MARK = "evidence.json"
OURS = ("logs", "report.md", "answers.md", MARK)


class Folder:
    """A folder that holds nothing but evidence."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Make it, or empty it of an earlier walk. Raises Fault (status 2) when it holds something else."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            found = sorted(item.name for item in self.root.iterdir())
            if found and MARK not in found:
                hint = "name a new folder, or one with evidence of an earlier walk: that is replaced"
                raise Fault("write evidence to", str(self.root), f"it holds {found[0]}", hint, USAGE)
            for name in set(OURS) & set(found):
                path = self.root / name
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            self.write(MARK, {"v": 1, "complete": False})
        except OSError as error:
            cause = error.strerror or str(error)
            raise Fault("write evidence to", str(self.root), cause, "name a folder of yours", USAGE) from None

    def write(self, path: str, content: str | bytes | Any) -> None:
        """Write a file; what is neither text nor bytes is written as JSON."""
        target = self.path(path)
        if not isinstance(content, str | bytes):
            content = json.dumps(content, indent=2, sort_keys=False) + "\n"
        target.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)

    def path(self, path: str) -> Path:
        """Where a file is to be, with its folder made."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None where there is none."""
        target = self.root / path
        return target.read_bytes() if target.is_file() else None
