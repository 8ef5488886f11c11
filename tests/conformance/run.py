"""Run the public suite of the Durable Streams protocol against a live collector: ``make conformance``.

Installs the suite (npm, exact versions of package.json) below build/, starts `logship collect` on a free port with an
empty store, runs all tests but those of excluded.json, names these with their reasons, and prints counts. Exit status:
0 when all others passed, 1 when one did not, 2 when it could not be run. ``--all`` runs the left-out ones, too;
``--url`` judges another server.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
sys.path.insert(0, str(TREE))

from tests.conformance.verdict import judge, parse_excluded, pattern, report_lines  # noqa: E402 - needs the path above

FOLDER = TREE / "build" / "conformance"
FILES = ("package.json", "suite.test.mjs", "vitest.config.mjs", "reference_server.mjs")
NODE_MIN = (20, 19)
SUITE_SECONDS_MAX = 900
START_SECONDS_MAX = 60


class Impossible(Exception):
    """The suite could not be run; the text says why and what to do."""


def main() -> int:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--url", help="server to judge (default: a collector of this tree, started for it)")
    parser.add_argument("--all", action="store_true", help="run the left-out tests, too, and tell which of them pass")
    options = parser.parse_args()
    excluded = parse_excluded((HERE / "excluded.json").read_text(encoding="utf-8"))
    try:
        install()
        if options.url:
            report = run_suite(options.url, "" if options.all else pattern(excluded))
        else:
            with collector() as url:
                report = run_suite(url, "" if options.all else pattern(excluded))
    except Impossible as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2
    verdict = judge(report, excluded)
    print("\n".join(report_lines(verdict)))
    return 0 if verdict.good else 1


def install() -> None:
    """The suite below build/, anew when package.json has changed. No lock file: it would name a registry."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Impossible("needs Node 20.19 or newer with npm (Debian: apt install nodejs npm)")
    version = subprocess.run([node, "-p", "process.versions.node"], capture_output=True, text=True, check=True).stdout
    if tuple(int(part) for part in version.split(".")[:2]) < NODE_MIN:
        raise Impossible(f"needs Node 20.19 or newer, this is {version.strip()}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(HERE / name, FOLDER / name)
    wanted = hashlib.sha256((HERE / "package.json").read_bytes()).hexdigest()
    stamp = FOLDER / "installed"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    command = [npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    if subprocess.run(command, cwd=FOLDER, check=False).returncode != 0:
        raise Impossible("npm could not install the suite; its reason stands above")
    stamp.write_text(wanted)


@contextmanager
def collector() -> Iterator[str]:
    """A collector with an empty store, on a free port; its URL."""
    with tempfile.TemporaryDirectory(prefix="logship-conformance-") as folder:
        command = [sys.executable, "-m", "logship", "collect", "--store", f"{folder}/store", "--listen", "127.0.0.1:0"]
        with (Path(folder) / "log").open("w+") as log:
            process = subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE, stderr=log, text=True)
            try:
                assert process.stdout is not None
                words = process.stdout.readline().split()
                url = next((word.rstrip(",") for word in words if word.startswith("http://")), None)
                if url is None:
                    log.seek(0)
                    raise Impossible(f"the collector did not start:\n{log.read()}")
                yield url
            finally:
                process.terminate()
                process.wait(START_SECONDS_MAX)


def run_suite(url: str, names: str) -> dict[str, object]:
    """vitest's JSON report."""
    output = FOLDER / "report.json"
    output.unlink(missing_ok=True)
    command = [str(FOLDER / "node_modules" / ".bin" / "vitest"), "run", "--reporter=json", f"--outputFile={output}"]
    environment = {**os.environ, "COLLECTOR_URL": url, "SUITE_PATTERN": names}
    try:
        done = subprocess.run(
            command, cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=SUITE_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        raise Impossible(f"the suite was not done after {SUITE_SECONDS_MAX} s") from None
    if not output.is_file():
        raise Impossible(f"vitest wrote no report:\n{done.stdout}{done.stderr}")
    report: dict[str, object] = json.loads(output.read_text(encoding="utf-8"))
    return report


if __name__ == "__main__":
    sys.exit(main())
