"""What the tests of viewer and commands share: a store that is written, and a viewer of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.logship.view.shelf import Shelf
from tests.logship.view.viewing import Viewer


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """A store to write."""
    found = Shelf(tmp_path / "store")
    yield found
    found.close()


@pytest.fixture
def viewer(shelf: Shelf) -> Iterator[Viewer]:
    """A viewer of that store, as its own process."""
    found = Viewer(shelf.folder)
    found.start()
    yield found
    found.stop()
