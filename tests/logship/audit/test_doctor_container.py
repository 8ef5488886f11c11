"""The running container: what each lint makes of what was found, and what the edge finds in a made-up one."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from logship.audit import doctor_inside
from logship.audit.doctor import examine
from logship.audit.doctor_inside import Machine, disk_of
from logship.audit.lints import container
from logship.audit.lints.container import Container, Pipe, Stream
from logship.audit.lints.kinds import Kind
from logship.audit.lints.lint import Conditions
from logship.config import Settings
from logship.errors import Fault

MIB = 1024 * 1024
GOOD = Container(
    pid1=["/usr/bin/python3", "-I", "-m", "supervise.init", "/run/supervise/plan.json"],
    spool="/var/spool/logship/1",
    spool_disk="volume",
    free_bytes=100 * 1024 * MIB,
    spool_bytes_max=2048 * MIB,
    container_bytes_max=4096 * MIB,
    streams=[Stream("haproxy", [(1000.0, 8 * MIB), (1030.0, MIB)], 9 * MIB, 30.0)],
    pipes=[Pipe("haproxy", "/run/supervise/fifo/haproxy", MIB, MIB)],
    haproxy_maxconn=8000,
)
KNOWN = Conditions(nofile=16384)
BAD = [
    ("container-pid1", replace(GOOD, pid1=["/usr/bin/python3", "/opt/app.py"]), "/proc/1/cmdline", KNOWN),
    (
        "container-pid1",
        replace(GOOD, pid1=["/usr/bin/python3", "/usr/bin/supervisord", "-n"]),
        "/proc/1/cmdline",
        KNOWN,
    ),
    ("container-spool-disk", replace(GOOD, spool_disk="layer"), "/var/spool/logship/1", KNOWN),
    ("container-spool-disk", replace(GOOD, spool_disk="memory"), "/var/spool/logship/1", KNOWN),
    ("container-outage", replace(GOOD, spool_bytes_max=100 * MIB), "/var/spool/logship/1/haproxy", KNOWN),
    ("container-outage", replace(GOOD, free_bytes=100 * MIB), "/var/spool/logship/1", KNOWN),
    ("container-outage", replace(GOOD, container_bytes_max=100 * MIB), "/var/spool/logship/1", KNOWN),
    ("container-outage", GOOD, "/var/spool/logship/1/haproxy", Conditions(rate_bytes=10 * MIB, nofile=16384)),
    ("container-small-pipe", replace(GOOD, pipes=[Pipe("haproxy", "/f", 4096, MIB)]), "/f", KNOWN),
    ("container-nofile", GOOD, "/proc/1/limits", Conditions(nofile=1024)),
]


@pytest.mark.parametrize(("lint", "found", "place", "conditions"), BAD, ids=[item[0] for item in BAD])
def test_the_trap_is_found(lint: str, found: Container, place: str, conditions: Conditions) -> None:
    assert [(item.lint, item.place.file) for item in examine([], conditions, found)] == [(lint, place)]


def test_a_volume_goes_where_the_folders_of_all_lives_are() -> None:
    found = replace(GOOD, spool="/var/spool/logship/20261130T120000Z-01234567", spool_disk="layer")
    (finding,) = examine([], KNOWN, found)
    assert finding.write == 'volumes: ["SERVICE-spool:/var/spool/logship"]'


def test_a_spool_beside_a_volume_that_took_none_asks_for_room_there_and_not_for_another_volume() -> None:
    beside = replace(GOOD, spool="/run/supervise/spools/1", spool_disk="layer")
    (flaw,) = examine([], KNOWN, beside)
    assert "the volume took none" in flaw.what
    assert flaw.write == "room on the volume (or mend it), then docker restart"


def test_a_good_container_passes() -> None:
    assert examine([], KNOWN, GOOD) == []


def test_every_lint_has_an_example() -> None:
    assert {item[0] for item in BAD} == {one.id for one in container.LINTS}


@pytest.mark.parametrize(
    "words",
    [
        ["/sbin/docker-init", "--", "x"],
        ["/usr/bin/tini", "x"],
        ["/usr/bin/python3", "-I", "-m", "supervise", "init"],
        ["/usr/bin/python3", "/usr/local/bin/supervise", "init"],
        [],
    ],
)
def test_an_init_as_pid_1_passes(words: list[str]) -> None:
    assert examine([], KNOWN, replace(GOOD, pid1=words)) == []


def test_a_rate_is_that_of_the_whole_life_or_of_the_busiest_minute_kept() -> None:
    assert Stream("s", [(0.0, 100)], 6000, 600.0).rate_bytes() == 10
    assert Stream("s", [(0.0, 100)], 600, 1.0).rate_bytes() == 10  # a second is no measure: at least a minute counts
    busy = Stream("s", [(0.0, 5), (10.0, 6000), (60.0, 6000), (600.0, 10)], 20_000, 10_000.0)
    assert busy.rate_bytes() == 200


def test_what_the_spool_lies_on_is_the_innermost_mount() -> None:
    text = (
        "1 0 0:30 / / rw - overlay overlay rw\n"
        "2 1 8:1 /v /var/spool/logship rw shared:1 - ext4 /dev/sda rw\n"
        "3 1 0:31 / /run rw - tmpfs tmpfs rw\n"
        "4 1 8:1 /v /with\\040space rw - ext4 /dev/sda rw\n"
        "torn\n"
    )
    places = ["/var/spool/logship/x", "/var/spool/logship", "/var/spool/logship2", "/run/a", "/", "/with space/x"]
    assert [disk_of(text, place) for place in places] == ["volume", "volume", "layer", "memory", "layer", "volume"]
    assert disk_of("", "/x") == "layer"


def made(root: Path) -> Callable[[str, str], Path]:
    """Writes files of a made-up container."""

    def write(name: str, text: str) -> Path:
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


TOML = """\
[container]
service = "x"
[program.web]
command = ["/usr/bin/web"]
pipe_bytes = 1048576
[program.spool]
command = ["/usr/local/bin/logship", "spool", "--spool-bytes-max=123456789"]
"""


def test_the_files_are_those_that_the_programs_run_with(tmp_path: Path) -> None:
    write = made(tmp_path)
    write("/etc/supervise/supervise.toml", TOML)
    write("/run/supervise/supervisord.conf", "[supervisord]\n")
    write("/etc/supervisor/supervisord.conf", "[supervisord]\n")
    write("/etc/haproxy/haproxy.cfg", "global\n")
    write("/etc/other.cfg", "global\n")
    write("/etc/logrotate.d/x", "/x {\n}\n")
    write("/proc/7/cmdline", "/usr/sbin/haproxy\0-W\0-f\0/etc/other.cfg\0")
    write("/proc/8/cmdline", "")
    names = [[Path(one.name).name for one in item.sources] for item in doctor_inside.documents(Machine({}, tmp_path))]
    assert names == [["supervise.toml"], ["supervisord.conf"], ["other.cfg"]]
    (tmp_path / "proc/7/cmdline").unlink()
    write("/usr/sbin/logrotate", "")
    write("/etc/logrotate.conf", "weekly\n")
    names = [[Path(one.name).name for one in item.sources] for item in doctor_inside.documents(Machine({}, tmp_path))]
    assert names == [["supervise.toml"], ["supervisord.conf"], ["haproxy.cfg"], ["logrotate.conf", "x"]]


@pytest.mark.parametrize(
    "words", ["supervisord\0-c\0/etc/mine.conf\0", "supervisord\0--configuration=/etc/mine.conf\0"]
)
def test_a_supervisord_by_itself_says_which_file_it_reads(tmp_path: Path, words: str) -> None:
    write = made(tmp_path)
    write("/etc/mine.conf", "[supervisord]\n[include]\nfiles = mine.d/*.conf /etc/more/*.conf\n")
    write("/etc/mine.d/b.conf", "[program:b]\n")
    write("/etc/mine.d/a.conf", "[program:a]\n")
    write("/etc/more/c.conf", "[program:c]\n")
    write("/proc/1/cmdline", "/usr/bin/python3\0/usr/bin/" + words)
    (found,) = doctor_inside.documents(Machine({}, tmp_path))
    assert found.kind is Kind.SUPERVISORD
    assert [Path(one.name).name for one in found.sources] == ["mine.conf", "a.conf", "b.conf", "c.conf"]


def test_debians_default_file_counts_only_where_supervisord_runs(tmp_path: Path) -> None:
    write = made(tmp_path)
    write("/etc/supervisor/supervisord.conf", "[supervisord]\n")
    assert doctor_inside.documents(Machine({}, tmp_path)) == []
    write("/proc/1/cmdline", "/usr/bin/supervisord\0")
    assert len(doctor_inside.documents(Machine({}, tmp_path))) == 1


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    made(tmp_path)("/etc/supervise/supervise.toml", "")
    (tmp_path / "etc/supervise/supervise.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(Fault, match="no UTF-8"):
        doctor_inside.documents(Machine({}, tmp_path))


def test_a_container_is_measured(tmp_path: Path) -> None:
    write = made(tmp_path)
    write("/etc/supervise/supervise.toml", TOML)
    write("/etc/haproxy/haproxy.cfg", "global\n    maxconn 8000\n")
    write("/proc/1/cmdline", "/bin/sh\0-c\0x\0")
    write("/proc/1/limits", "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024    4096    files\n")
    spool = tmp_path / "spool"
    write("/spool/identity.json", json.dumps({"created": "2026-11-23T20:45:00.000Z"}))
    write("/spool/web/00000000000000000000", "x" * 10)
    write("/spool/web/00000000000000000010", "y" * 5)
    write("/spool/web/starts.jsonl", "")
    (tmp_path / "fifo").mkdir()
    pipe = tmp_path / "fifo/web"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.fcntl(reader, getattr(fcntl, "F_SETPIPE_SZ", 1031), 65536)
        machine = Machine({}, tmp_path, Settings(spool=Path("/spool"), fifo_dir=Path("/fifo")))
        files = doctor_inside.documents(machine)
        found = doctor_inside.container(machine, files)
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert found.pid1 == ["/bin/sh", "-c", "x"]
    assert (found.spool, found.spool_disk) == (str(spool), "layer")
    assert (found.spool_bytes_max, found.container_bytes_max) == (123456789, Settings().spool_container_bytes_max)
    assert [(one.name, one.total_bytes, sorted(count for _, count in one.segments)) for one in found.streams] == [
        ("web", 15, [5, 10])
    ]
    assert found.pipes == [Pipe("web", str(pipe), 65536, 1048576)]
    assert found.haproxy_maxconn == 8000
    assert doctor_inside.nofile(machine) == 4096


def test_no_bound_is_no_trap() -> None:
    assert examine([], KNOWN, replace(GOOD, spool_bytes_max=0, container_bytes_max=0)) == []


def test_where_no_spool_is_kept_only_files_are_looked_at(tmp_path: Path) -> None:
    made(tmp_path)("/proc/1/cmdline", "/bin/sh\0")
    found = doctor_inside.container(Machine({}, tmp_path), [])
    assert (found.spool, found.streams, found.pipes) == ("", [], [])
    assert [item.lint for item in examine([], KNOWN, found)] == ["container-pid1"]
    assert doctor_inside.nofile(Machine({}, tmp_path)) is None
