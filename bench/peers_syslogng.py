"""syslog-ng: file -> TCP -> file, without a disk-buffer and with one, reliable or not.

Settings after its administration guide's chapter on flow-control and performance: flow-control on, so nothing is
dropped; windows and queues so large that they never are what limits; parsing off, since nobody wants fields here. TCP
carries no acknowledgement of the receiver's: what is in its memory when it dies is lost, so only the reliable form
comes near to what is promised here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.packages import Unpacked, unpacked
from bench.peer import Running, digests_of_lines, start

PACKAGES = ("syslog-ng-core",)
_BUFFERS = {
    "no disk-buffer": "",
    "disk-buffer": "disk-buffer(reliable(no) mem-buf-length(100000) {common})",
    "reliable disk-buffer": "disk-buffer(reliable(yes) mem-buf-size(167772160) {common})",
}
_COMMON = 'disk-buf-size({size}) qout-size(100000) dir("{state}")'
_DISK_BYTES = 8 * 1024 * 1024 * 1024
_HEAD = """
@version: 3.38
@module afsocket
@module affile
@module disk-buffer
options {{ threaded(yes); stats-freq(0); log-msg-size(65536); time-reopen(1); keep-hostname(yes); use-dns(no); }};
"""
_COLLECTOR = """
source s {{ network(ip("127.0.0.1") port({port}) transport("tcp") flags(no-parse) max-connections(64)
  log-iw-size(640000) log-fetch-limit(10000)); }};
destination d {{ file("{out}" template("$MSG\\n") flush-lines(1000) log-fifo-size(1000000)); }};
log {{ source(s); destination(d); flags(flow-control); }};
"""
_SHIPPER = """
source s {{ file("{source}" flags(no-parse) follow-freq(0.1) log-iw-size(100000) log-fetch-limit(10000)); }};
destination d {{ network("127.0.0.1" port({port}) transport("tcp") template("$MSG\\n") flush-lines(1000)
  log-fifo-size(200000) {buffer}); }};
log {{ source(s); destination(d); flags(flow-control); }};
"""


class SyslogNg:
    """``kind``: which disk-buffer."""

    def __init__(self, kind: str, cache: Path) -> None:
        self._package: Unpacked = unpacked("syslog-ng", PACKAGES, cache)
        self._buffer = _BUFFERS[kind]
        self.name = f"syslog-ng {self._package.version.partition('-')[0]}, {kind}"

    def collector(self, folder: Path, port: int) -> Running:
        """TCP to one file."""
        return self._start(folder, "collector", _COLLECTOR, out=folder / "out", port=port)

    def shipper(self, folder: Path, number: int, source: Path, port: int) -> Running:
        """A file to TCP."""
        state = folder / f"shipper{number}"
        buffer = self._buffer.format(common=_COMMON.format(size=_DISK_BYTES, state=state))
        return self._start(folder, state.name, _SHIPPER, source=source, port=port, buffer=buffer)

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
        conf.write_text((_HEAD + text).format(**words).lstrip())
        modules = self._package.library("libafsocket.so").parent
        command = [
            self._package.program("syslog-ng"), "-F", "--no-caps", "--module-path", str(modules), "-f", str(conf),
            "-R", str(state / "persist"), "-c", str(state / "control"), "-p", str(state / "pid"),
        ]  # fmt: skip
        return start(f"syslog-ng ({name})", command, folder / f"{name}.log", self._package.environment(), folder)


KINDS = tuple(_BUFFERS)
