"""The settings of ``logship``; how they work is told in ``settings.py``. A setting ``spool`` is ``LOGSHIP_SPOOL``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from logship import settings
from logship.settings import setting

PREFIX = "LOGSHIP"


@dataclass(frozen=True)
class Settings:
    """Where things are and how large they may be; sizes in bytes; the defaults are those of the images."""

    fifo_dir: Path = setting(Path("/run/supervise/fifo"), "folder of the programs' FIFOs, one a program")
    spool: Path = setting(Path("/run/supervise/spool"), "spool folder that the streams are kept in")
    copy_to: str = setting("/proc/1/fd/1", "where a copy for `docker logs` goes; empty: nowhere")
    segment_bytes: int = setting(8 * 1024 * 1024, "size of a segment, 4096 to 1 GiB")
    spool_bytes_max: int = setting(2 * 1024**3, "what a program may keep in the spool, at least two segments")
    spool_container_bytes_max: int = setting(4 * 1024**3, "what all programs may keep together; 0: no bound")
    spool_volume_bytes_max: int = setting(
        16 * 1024**3, "what all spool folders on the volume may keep, left behind ones too; 0: no bound"
    )
    store: Path = setting(Path("/var/lib/logship/store"), "folder of the collector's store")
    listen: str = setting("127.0.0.1:4437", "HOST:PORT to accept connections on")
    keep_bytes: int = setting(8 * 1024**3, "how much of the journal is kept; 0: all of it")
    keep_days: int = setting(0, "for how many days what came is kept, in journal and lake; 0: no bound")
    sealed_keep_bytes: int = setting(128 * 1024**2, "how much of the journal is kept where the lake has it; 0: none")
    tombstone_days: int = setting(90, "how long it is remembered that a stream has been removed")
    journal_bytes_max: int = setting(
        0, "size of the journal beyond which nothing is taken; 0: no bound, beside a lake keep_bytes and two segments"
    )
    disk_free_min: int = setting(256 * 1024**2, "room on the disk below which nothing is taken")
    append_bytes_max: int = setting(8 * 1024**2, "size of one append, encoded and decoded")
    streams_max: int = setting(100_000, "how many streams there may be")
    connections_max: int = setting(4096, "how many connections there may be")
    allow_origin: str = setting("", "site whose pages may use the collector from a browser, or *; empty: none")
    to: str = setting("http://collector:4437", "URL of the collector, for ship of any Durable Streams server")
    instance: str = setting(
        "", "name of this container in the paths of its streams; empty: its compose number, or its id"
    )
    adopt: str = setting("", "folders, with : between, in which ship looks for what other containers left behind")
    follow: str = setting("", "patterns, with : between, of files that programs write themselves, for ship")
    config: str = setting(
        "", "TOML file, read again at SIGHUP: [ship] to and follow for ship, [query.NAME] and [alert.NAME] for view"
    )
    service: str = setting("", "service that followed files are of; empty: the container's, else host")
    state: str = setting("", "folder of ship's checkpoints, for servers that are no logship collectors; empty: none")
    chunk_bytes_max: int = setting(4 * 1024 * 1024, "bytes of a stream that go out in one append, 4096 to 8 MiB")
    drain_seconds: float = setting(3.0, "how long ship goes on sending after SIGTERM")
    patience_seconds: float = setting(30.0, "how long `ship --once` waits without any progress")
    outage_seconds: float = setting(3600.0, "what outage of the collector is to be survived, for doctor")
    rate_bytes: float = setting(0.0, "what one source writes a second, for doctor; 0: as measured, where it can be")
    grace_seconds: float = setting(0.0, "the engine's stop_grace_period, for doctor; 0: not known")
    haproxy_admin: Path = setting(Path("/run/haproxy/admin.sock"), "control socket of HAProxy's workers")
    haproxy_master: Path = setting(Path("/run/haproxy/master.sock"), "control socket of HAProxy's master")
    window_seconds: float = setting(10.0, "how long a window of the audit is, 1 to 3600")
    lake_keep_bytes: int = setting(
        -1, "how much of the lake is kept, bytes of files; -1: as keep_bytes says; 0: all of it"
    )
    lake_keep_days: int = setting(
        0, "for how many days after its receipt a line is kept in the lake; 0: as long as keep_days says"
    )
    lake_keep_streams: str = setting(
        "",
        "days for which lines of some streams are kept in the lake, as 'web/*=7 */serf/*=90'; 0: no bound",
    )
    view_listen: str = setting("127.0.0.1:8080", "HOST:PORT on which the viewer is reached")
    view_hosts: str = setting(
        "", "names, with commas between, by which browsers may call the viewer, besides local ones"
    )
    url: str = setting("http://127.0.0.1:8080", "URL of the viewer")


def add_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Offer the settings ``names`` as options of a command."""
    settings.add_options(parser, Settings, PREFIX, *names)


def load(options: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """Settings from options, then environment, then defaults. Raises Fault (status 2) for a value of the wrong kind."""
    return settings.load(Settings, PREFIX, options, environment)
