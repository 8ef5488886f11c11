"""Pictures: a browser is found by its name, bounded, and ended with all of its children."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from logship.errors import Fault
from supervise.evidence import browser


def fake(folder: Path, script: str, name: str = "chromium") -> dict[str, str]:
    """An environment whose only browser is this script."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def alone(folder: Path) -> dict[str, str]:
    """An environment with no browser at all."""
    return {"PATH": str(folder)}


def test_without_a_browser_the_fault_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="apt-get install chromium"):
        browser.picture("http://127.0.0.1/", tmp_path / "x.png", alone(tmp_path))


def test_the_first_name_that_is_there_is_taken(tmp_path: Path) -> None:
    fake(tmp_path, "", "google-chrome")
    assert browser.find(alone(tmp_path)) == str(tmp_path / "google-chrome")
    fake(tmp_path, "", "chromium")
    assert browser.find(alone(tmp_path)) == str(tmp_path / "chromium")


def test_the_picture_is_what_the_browser_wrote(tmp_path: Path) -> None:
    script = 'for word; do case $word in --screenshot=*) printf PNG > "${word#--screenshot=}";; esac; done'
    browser.picture("http://127.0.0.1/", tmp_path / "x.png", fake(tmp_path, script))
    assert (tmp_path / "x.png").read_bytes() == b"PNG"


def test_a_browser_that_fails_or_writes_nothing_is_told_with_its_last_word(tmp_path: Path) -> None:
    for script in ("echo no display >&2; exit 3", "echo no display >&2; exit 0"):
        with pytest.raises(Fault, match="no display"):
            browser.picture("http://127.0.0.1/", tmp_path / "x.png", fake(tmp_path, script))
    assert not (tmp_path / "x.png").exists()


def test_a_browser_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    environment = fake(tmp_path, f"cd {tmp_path}; sleep 300 & echo $! > pid; mv pid child; wait")
    for seconds in (1, 8, 60):  # it may take its time to begin
        if not (tmp_path / "child").exists():
            with pytest.raises(Fault, match=rf"took more than {seconds} s"):
                browser.picture("http://127.0.0.1/", tmp_path / "x.png", environment, seconds=seconds)
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 60
    while _runs(child):
        assert time.monotonic() < deadline, "the browser's child outlived it"
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    """Whether the process is there and no zombie (nobody may reap an orphan here)."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
