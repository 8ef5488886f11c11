"""rsyslog: imfile -> omrelp -> imrelp -> file. RELP acknowledges each message; the receiver's file is not synced.

Settings after rsyslog's own "high performance" page: a large array queue with large batches, larger buffers of the
file. windowSize is 5000: with librelp's 128 the sender waits for most of its time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.packages import Unpacked, unpacked
from bench.peer import Running, digests_of_lines, start

PACKAGES = ("rsyslog", "rsyslog-relp")
_QUEUE = 'main_queue(queue.type="FixedArray" queue.size="250000" queue.dequeueBatchSize="4096")'
_COLLECTOR = """
global(workDirectory="{state}" maxMessageSize="64k")
{queue}
module(load="imrelp")
input(type="imrelp" address="127.0.0.1" port="{port}" maxDataSize="64k")
template(name="line" type="string" string="%msg:2:$%\\n")
action(type="omfile" file="{out}" template="line" ioBufferSize="64k")
"""
_SHIPPER = """
global(workDirectory="{state}" maxMessageSize="64k")
{queue}
module(load="imfile" mode="inotify")
input(type="imfile" file="{source}" tag="bench")
module(load="omrelp")
action(type="omrelp" target="127.0.0.1" port="{port}" windowSize="5000"
       action.resumeRetryCount="-1" action.resumeInterval="1")
"""


class Rsyslog:
    """One configuration; crash-safe in that RELP acknowledges, and that the file itself is what waits."""

    def __init__(self, cache: Path) -> None:
        self._package: Unpacked = unpacked("rsyslog", PACKAGES, cache)
        self.name = f"rsyslog {self._package.version.partition('-')[0]}, RELP"

    def collector(self, folder: Path, port: int) -> Running:
        """imrelp to one file."""
        return self._start(folder, "collector", _COLLECTOR, out=folder / "out", port=port)

    def shipper(self, folder: Path, number: int, source: Path, port: int) -> Running:
        """imfile to omrelp."""
        return self._start(folder, f"shipper{number}", _SHIPPER, source=source, port=port)

    def arrived(self, folder: Path, _port: int) -> int:
        """The size of the file."""
        out = folder / "out"
        return out.stat().st_size if out.exists() else 0

    def digests(self, folder: Path, _port: int) -> Mapping[str, str]:
        """Of the lines in it."""
        return digests_of_lines(folder / "out")

    def _start(self, folder: Path, name: str, text: str, **words: object) -> Running:
        state = folder / name
        state.mkdir(exist_ok=True)
        conf = folder / f"{name}.conf"
        conf.write_text(text.format(state=state, queue=_QUEUE, **words))
        modules = self._package.library("omrelp.so").parent
        command = [
            self._package.program("rsyslogd"),
            "-n",
            "-i",
            str(state / "pid"),
            "-f",
            str(conf),
            "-M",
            str(modules),
        ]
        return start(f"rsyslogd ({name})", command, folder / f"{name}.log", self._package.environment(), folder)
