"""The picture of a page, taken by a browser without a window.

An edge: it finds a browser by its name, gives it a folder of its own and a bound, and leaves no process behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from logship.errors import Fault

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SECONDS = 60.0
WIDTH = 1500
HEIGHT = 1000
HINT = "install one (Debian: apt-get install chromium; make test does it), then run this again"


def find(environment: Mapping[str, str]) -> str | None:
    """The path of the first browser there is."""
    path = environment.get("PATH")
    return next((found for name in NAMES if (found := shutil.which(name, path=path))), None)


def picture(
    url: str, path: Path, environment: Mapping[str, str], seconds: float = SECONDS, height: int = HEIGHT
) -> None:
    """Write a PNG of ``url`` to ``path``. Raises Fault when there is no browser or it makes none in ``seconds``."""
    browser = find(environment)
    if browser is None:
        raise Fault("take a picture of", url, "no browser is found", HINT)
    with tempfile.TemporaryDirectory(prefix="evidence-browser-", ignore_cleanup_errors=True) as folder:
        command = [
            browser,
            "--headless",
            "--no-sandbox",  # its sandbox refuses to run as root; the page is our own
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--hide-scrollbars",
            "--no-proxy-server",
            f"--user-data-dir={folder}/profile",
            f"--window-size={WIDTH},{height}",
            f"--screenshot={folder}/picture.png",
            url,
        ]
        process = subprocess.Popen(
            command,
            env={**environment, "HOME": folder},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            _, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Fault("take a picture of", url, f"{browser} took more than {seconds:g} s") from None
        finally:
            _end(process)
        taken = Path(folder) / "picture.png"
        if process.returncode or not taken.is_file():
            last = said.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
            raise Fault("take a picture of", url, f"{browser} ended with {process.returncode}: {last[0][:200]}")
        shutil.copyfile(taken, path)


def _end(process: subprocess.Popen[bytes]) -> None:
    """A browser is many processes: end all of its group, whatever became of the first."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
