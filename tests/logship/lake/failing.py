"""``logship seal`` with a point at which it is killed: ``python -m tests.logship.lake.failing POINT seal ...``."""

from __future__ import annotations

import os
import sys

from logship.lake import merging
from tests.logship.ship.failing import arm

POINTS = {
    "before the file is written": ("logship.lake.parquet", "Parquet.write", "before", 1),
    "between write and sync": ("logship.lake.parquet", "Parquet.write", "after", 1),
    "between sync and verification": ("logship.lake.proof", "Proof.check", "before", 2),
    "between verification and filters": ("logship.lake.folder", "Folder.put_beside", "before", 2),
    "between writing filters and syncing them": ("logship.lake.folder", "sync", "before", 2),
    "between verification and renaming": ("logship.lake.folder", "Folder.rename", "before", 2),
    "between renaming filters and renaming their file": ("pathlib", "Path.rename", "after", 3),
    "between renaming and the folder's sync": ("logship.lake.folder", "sync_folder", "before", 3),
    "between renaming and manifest": ("logship.lake.folder", "Folder.publish", "before", 3),
    "in the manifest's replacement": ("logship.lake.folder", "replace", "before", 2),
    "behind the manifest": ("logship.lake.folder", "Folder.publish", "after", 2),
    "before the first manifest": ("logship.lake.folder", "Folder.publish", "before", 1),
    "behind the first manifest": ("logship.lake.folder", "Folder.publish", "after", 1),
}
"""A function, a moment of it, and how many times it is reached until then. The first publishing is of the new lake."""
MERGING = {
    "before the small files are read": ("logship.lake.merge", "Merger.merge", "before", 1),
    "between writing and syncing what they became": ("logship.lake.parquet", "Parquet.copy", "after", 1),
    "before that is compared": ("logship.lake.merge", "Merger._compare", "before", 1),
    "before it has filters": ("logship.lake.folder", "Folder.put_beside", "before", 5),
    "before it has its name": ("logship.lake.folder", "Folder.rename", "before", 5),
    "before the manifest names it": ("logship.lake.folder", "Folder.publish", "before", 6),
    "in the replacement of that manifest": ("logship.lake.folder", "replace", "before", 10),
    "behind that manifest": ("logship.lake.folder", "Folder.publish", "after", 6),
}
"""Likewise, where four files are sealed first and then become one."""


if __name__ == "__main__":
    from logship.cli import main
    from tests.logship.awake import stay_awake

    *place, nth = {**POINTS, **MERGING}[sys.argv[1]]
    if sys.argv[1] in MERGING:
        merging.FILES_MIN = 4
    module, path, moment = place
    arm((module, path, moment), nth)
    stay_awake()
    sys.exit(main(sys.argv[2:], os.environ))
