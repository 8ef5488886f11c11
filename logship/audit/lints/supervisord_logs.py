"""Core: lints over where supervisord puts what programs say, and what it keeps of it."""

from __future__ import annotations

from collections.abc import Iterator

from logship.audit.lints.lint import Conditions, Deed, Flaw, Lint, Severity, budget, lint, size, span
from logship.audit.lints.supervisord_conf import Output, Program, Supervisord, byte_size, truth

BACKUPS_MAX = 100
LOG_EVENTS = ("PROCESS_LOG", "PROCESS_LOG_STDOUT", "PROCESS_LOG_STDERR", "EVENT")
LOG_DIR = "/var/log"


def _outputs(conf: Supervisord) -> Iterator[tuple[Program, Output]]:
    return ((program, output) for program in conf.programs for output in program.outputs())


def _set(output: Output, suffix: str, what: str, value: str) -> Flaw:
    """A setting of an output to write: in its place, or below the file's name."""
    key = output.key(suffix)
    deed = Deed.REPLACE if key in output.section.settings else Deed.ADD
    return Flaw(output.section.where(key, output.key()), what, deed, f"{key}={value}")


@lint(
    "supervisord-auto-log",
    Severity.LOSS,
    "a program's log file has no name (AUTO, the default)",
    "supervisord deletes AUTO logs and their backups whenever it starts, and nobody can follow a name made by chance.",
)
def auto_log(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for program, output in _outputs(conf):
        if output.path is None:
            said = "AUTO" if output.key() in output.section.settings else "not set, which means AUTO"
            ending = "" if output.stream == "stdout" else ".err"
            what = f"{output.key()} of {program.name} is {said}"
            yield _set(output, "", what, f"{LOG_DIR}/{program.name}{ending}.log")


@lint(
    "supervisord-shared-file",
    Severity.LOSS,
    "two outputs write one file",
    "each has the file open for itself: one rotates it away under the other, and lines of both are torn and lost.",
)
def shared_file(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    owners: dict[str, str] = {}
    main = conf.section("supervisord")
    if main and main.value("logfile"):
        owners[main.value("logfile")] = "supervisord itself"
    for program, output in _outputs(conf):
        if not output.file or output.path is None:
            continue
        place = output.section.where(output.key())
        other = owners.setdefault(output.path, f"{output.stream} of {program.name}")
        stem, dot, ending = output.path.rpartition(".")
        many = program.number("numprocs") > 1 and "%(process_num)" not in output.path
        if other != f"{output.stream} of {program.name}":
            write = f"{output.key()}={LOG_DIR}/{program.name}-{output.stream}.log"
            yield Flaw(place, f"{output.path} is written by {other} and by {program.name}", Deed.REPLACE, write)
        elif many:
            own = f"{stem}-%(process_num)d.{ending}" if dot else f"{output.path}-%(process_num)d"
            what = f"{output.path} is written by {program.value('numprocs')} processes of {program.name}"
            yield Flaw(place, what, Deed.REPLACE, f"{output.key()}={own}")


@lint(
    "supervisord-device-rotation",
    Severity.LOSS,
    "rotation of something that cannot be rotated",
    "rotating /dev/stdout or a pipe fails with an illegal seek at every line; only maxbytes=0 turns it off.",
)
def device_rotation(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for program, output in _outputs(conf):
        if output.device and output.bytes_max:
            said = "is" if output.key("_maxbytes") in output.section.settings else "is not set, which means"
            what = (
                f"{output.path} of {program.name} is rotated: {output.key('_maxbytes')} {said} {size(output.bytes_max)}"
            )
            yield _set(output, "_maxbytes", what, "0")


@lint(
    "supervisord-cut-in-place",
    Severity.LOSS,
    "a full log file is emptied in place",
    "with no backups a full file is truncated, and what nobody had read by then is destroyed.",
)
def cut_in_place(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for program, output in _outputs(conf):
        if output.file and output.bytes_max and output.backups == 0:
            what = f"{output.path} of {program.name} is emptied at {size(output.bytes_max)}: it has no backups"
            yield _set(output, "_backups", what, "10")


@lint(
    "supervisord-short-retention",
    Severity.LOSS,
    "rotated files do not outlast the outage to survive",
    "supervisord deletes the oldest backup whether it was read or not: at 50 MB/s its default of 50 MB x 10 is 10 s.",
)
def short_retention(conf: Supervisord, conditions: Conditions) -> Iterator[Flaw]:
    if not conditions.rate_bytes:
        return
    wanted = conditions.rate_bytes * conditions.outage_seconds
    for program, output in _outputs(conf):
        kept = output.bytes_max * output.backups  # the file being written may be empty when the outage begins
        if output.file and output.backups and output.bytes_max and kept < wanted:
            lasts = span(kept / conditions.rate_bytes)
            what = (
                f"{output.path} of {program.name} keeps {size(kept)}: {lasts} at {size(conditions.rate_bytes)}/s, "
                f"not {span(conditions.outage_seconds)}"
            )
            each = budget(wanted / output.backups) // 1024**2
            yield _set(output, "_maxbytes", what, f"{each}MB")


@lint(
    "supervisord-thrown-away",
    Severity.LOSS,
    "what a program says goes nowhere",
    "NONE and /dev/null keep no byte, and nothing counts what went there.",
)
def thrown_away(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for program, output in _outputs(conf):
        if output.nowhere:
            ending = "" if output.stream == "stdout" else ".err"
            what = f"{output.stream} of {program.name} goes to {output.path}"
            yield _set(output, "", what, f"{LOG_DIR}/{program.name}{ending}.log")


@lint(
    "supervisord-syslog",
    Severity.LOSS,
    "a program's output goes to syslog",
    "supervisord hands over what one read gave it, so a burst breaks lines, and the local syslog may drop them.",
)
def to_syslog(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for program in conf.programs:
        for stream in ("stdout", "stderr"):
            for key, wanted in ((f"{stream}_syslog", "true"), (f"{stream}_logfile", "syslog")):
                value = program.value(key)
                if value.lower() == wanted or (wanted == "true" and truth(value)):
                    what = f"{stream} of {program.name} goes to syslog"
                    fix = f"{key}=false" if wanted == "true" else f"{key}={LOG_DIR}/{program.name}-{stream}.log"
                    yield Flaw(program.section.where(key), what, Deed.REPLACE, fix)


@lint(
    "supervisord-stderr-ignored",
    Severity.RISK,
    "a file for standard error that stays empty",
    "with redirect_stderr=true both streams go to stdout_logfile: whoever follows the other file sees nothing.",
)
def stderr_ignored(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for program in conf.programs:
        path = program.value("stderr_logfile")
        if program.true("redirect_stderr") and path and path.upper() not in ("AUTO", "NONE"):
            what = f"{path} of {program.name} is never written: redirect_stderr is true"
            yield Flaw(program.section.where("stderr_logfile"), what, Deed.REMOVE)


@lint(
    "supervisord-strip-ansi",
    Severity.LOSS,
    "strip_ansi changes what programs said",
    "it takes bytes out of lines before they are kept, so what is stored is not what was written.",
)
def strip_ansi(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    main = conf.section("supervisord")
    if main and truth(main.value("strip_ansi")):
        yield Flaw(main.where("strip_ansi"), "strip_ansi is on", Deed.REPLACE, "strip_ansi=false")


@lint(
    "supervisord-log-events",
    Severity.LOSS,
    "log lines travel as events",
    "PROCESS_LOG events are pieces, not lines, and a listener's queue drops the oldest when it is full.",
)
def log_events(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for listener in conf.listeners():
        events = [name.strip() for name in listener.value("events").split(",")]
        bad = [name for name in events if name.upper() in LOG_EVENTS]
        if bad:
            left = ",".join(name for name in events if name not in bad) or "PROCESS_STATE"
            what = f"{listener.name} is sent {', '.join(bad)}"
            yield Flaw(listener.section.where("events"), what, Deed.REPLACE, f"events={left}")


@lint(
    "supervisord-rename-chain",
    Severity.RISK,
    "hundreds of backups",
    "each rotation renames all backups in supervisord's one thread: 1 MB x 500 had a fifth of the speed of 50 MB x 50.",
)
def rename_chain(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for program, output in _outputs(conf):
        if output.file and output.bytes_max and output.backups > BACKUPS_MAX:
            what = f"{output.path} of {program.name} has {output.backups} backups; make them fewer and larger"
            yield _set(output, "_backups", what, "50")


@lint(
    "supervisord-own-log-device",
    Severity.RISK,
    "supervisord's own log goes to a device",
    "with nodaemon every line comes twice on /dev/stdout, a rotated device fails at each line, and the RPC clearLog "
    "deletes the device file.",
)
def own_log_device(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    main = conf.section("supervisord")
    path = main.value("logfile") if main else ""
    if main and path and path.startswith(("/dev/", "/proc/")):
        rotated = byte_size(main.value("logfile_maxbytes", "50MB")) > 0 and path != "/dev/null"
        twice = truth(main.value("nodaemon")) and not truth(main.value("silent")) and path != "/dev/null"
        told = [text for text, so in (("every line comes twice", twice), ("rotation is on", rotated)) if so]
        what = f"logfile of supervisord is {path}{': ' if told else ''}{', '.join(told)}"
        yield Flaw(main.where("logfile"), what, Deed.REPLACE, f"logfile={LOG_DIR}/supervisord.log")


LINTS: tuple[Lint[Supervisord], ...] = (
    auto_log, shared_file, device_rotation, cut_in_place, short_retention, thrown_away, to_syslog, stderr_ignored,
    strip_ansi, log_events, rename_chain, own_log_device,
)  # fmt: skip
