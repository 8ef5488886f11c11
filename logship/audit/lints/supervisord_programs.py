"""Core: lints over how supervisord starts, restarts and stops programs, and who may tell it to."""

from __future__ import annotations

import re
from collections.abc import Iterator

from logship.audit.lints.lint import DOCKER_GRACE_SECONDS, Conditions, Deed, Flaw, Lint, Severity, lint, span
from logship.audit.lints.supervisord_conf import Program, Supervisord, truth, variables

MINFDS_MAX = 65536
LISTENER_BUFFER_MIN = 100
STATE_EVENTS = ("EVENT", "PROCESS_STATE", "PROCESS_STATE_FATAL")
_SHELL = re.compile(r"^(?:\S*/)?(?:env\s+(?:\S+=\S*\s+)*)?(?:\S*/)?(?:sh|bash|dash|ash|ksh|zsh)\s+-\w*c\b")
_DAEMON = re.compile(r"^(?:\S*/)?haproxy\b.*\s-(?:D|sf|st)\b")


def _set(program: Program, key: str, what: str, value: str) -> Flaw:
    deed = Deed.REPLACE if key in program.section.settings else Deed.ADD
    return Flaw(program.section.where(key), what, deed, f"{key}={value}")


@lint(
    "supervisord-false-running",
    Severity.RISK,
    "a crash loop that looks RUNNING",
    "supervisord notices an exit up to 1 s late, so with startsecs=1 (the default) a program that dies at once counts "
    "as started (3 of 6 tries) and is never given up.",
)
def false_running(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for program in conf.programs:
        if program.number("startsecs") == 1 and program.value("autorestart").lower() != "false":
            said = "is 1" if "startsecs" in program.section.settings else "is not set, which means 1"
            yield _set(program, "startsecs", f"startsecs of {program.name} {said}", "2")


@lint(
    "supervisord-no-backoff",
    Severity.RISK,
    "a program that is restarted without pause or end",
    "with startsecs=0 a failed start is none: a program that failed at once was started 73 times in 4 s, without end.",
)
def no_backoff(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for program in conf.programs:
        restarted = program.value("autorestart").lower() == "true" or (
            program.value("autorestart").lower() == "unexpected" and "0" not in _exit_codes(program)
        )
        if program.number("startsecs") == 0 and restarted:
            yield _set(program, "startsecs", f"startsecs of {program.name} is 0 and it is started again", "2")


@lint(
    "supervisord-exit-0",
    Severity.RISK,
    "a program that stays ended after exit status 0",
    "autorestart=unexpected (the default) takes 0 for meant: serf, which ends with 0 after a name conflict, is gone.",
)
def exit_0(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for program in conf.programs:
        expected = program.value("autorestart").lower() == "unexpected" and "0" in _exit_codes(program)
        if expected and program.number("startsecs") > 0:
            said = (
                "is unexpected" if "autorestart" in program.section.settings else "is not set, which means unexpected"
            )
            yield _set(program, "autorestart", f"autorestart of {program.name} {said}", "true")


def _exit_codes(program: Program) -> list[str]:
    return [code.strip() for code in (program.value("exitcodes") or "0").split(",")]


@lint(
    "supervisord-fatal-unseen",
    Severity.RISK,
    "a program that was given up keeps the container up",
    "FATAL does not end supervisord, and it always exits with 0: the container looks well while its program is gone.",
)
def fatal_unseen(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    main = conf.section("supervisord")
    if main is None or not truth(main.value("nodaemon")) or not conf.programs:
        return
    heard = {name.strip().upper() for listener in conf.listeners() for name in listener.value("events").split(",")}
    if not heard & set(STATE_EVENTS):
        write = "[eventlistener:fatal]\ncommand=/usr/local/bin/end-on-fatal\nevents=PROCESS_STATE_FATAL\n"
        write += "startsecs=2\nautorestart=true\nbuffer_size=100\n"
        write += "stdout_logfile=/var/log/fatal.out\nstderr_logfile=/var/log/fatal.log\nstopwaitsecs=1\n"
        last = max((setting.place for setting in main.settings.values()), default=main.place)
        yield Flaw(last, "nobody hears of FATAL: no event listener for PROCESS_STATE_FATAL", Deed.ADD, write.rstrip())


@lint(
    "supervisord-shell-children",
    Severity.RISK,
    "a shell is stopped, its children are not",
    "without stopasgroup the children of a `sh -c` program outlived every stop (2 of 2) and hold its pipe and port.",
)
def shell_children(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for program in conf.programs:
        if _SHELL.match(program.value("command")) and not program.true("stopasgroup"):
            what = f"{program.name} is a shell with children, and stopasgroup is off"
            yield _set(program, "stopasgroup", what, "true")


@lint(
    "supervisord-half-stop",
    Severity.RISK,
    "children get the kill but not the stop",
    "killasgroup without stopasgroup lets children run until the kill, which cuts their last lines.",
)
def half_stop(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for program in conf.programs:
        shell = _SHELL.match(program.value("command"))
        if truth(program.value("killasgroup")) and not program.true("stopasgroup") and not shell:
            yield _set(program, "stopasgroup", f"{program.name} has killasgroup and no stopasgroup", "true")


@lint(
    "supervisord-cut-command",
    Severity.RISK,
    "a comment in the middle of a command",
    "a space and `;` or `#` begin a comment even inside quotes, so the command is cut there and is not executable.",
)
def cut_command(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for program in conf.programs:
        value = program.section.value("command")
        if _unclosed(value):
            what = f"command of {program.name} ends in an open quote, {value[-30:]!r}; put it into a script"
            write = f"command=/usr/local/bin/{program.name}.sh"
            yield Flaw(program.section.where("command"), what, Deed.REPLACE, write)


def _unclosed(text: str) -> bool:
    quote = ""
    escaped = False
    for char in text:
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
    return bool(quote)


@lint(
    "supervisord-undefined-variable",
    Severity.RISK,
    "a variable that the environment does not have",
    "an undefined %(ENV_x)s ends supervisord at its start, and so the container.",
)
def undefined_variable(conf: Supervisord, conditions: Conditions) -> Iterator[Flaw]:
    if conditions.environment is None:
        return
    for section in conf.sections.values():
        for setting in section.settings.values():
            for name in variables(setting.value):
                own = section.value("environment")
                if name not in conditions.environment and not re.search(rf"(?:^|[,\s]){re.escape(name)}\s*=", own):
                    write = setting.raw.strip().replace(f"%(ENV_{name})s", "VALUE")
                    yield Flaw(setting.place, f"{setting.key} needs {name}, which is not set", Deed.REPLACE, write)


@lint(
    "supervisord-listener-buffer",
    Severity.RISK,
    "a listener with a short queue",
    "a listener that is busy or restarting loses the oldest of its events once buffer_size (default 10) are waiting.",
)
def listener_buffer(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for listener in conf.listeners():
        if listener.number("buffer_size") < LISTENER_BUFFER_MIN:
            said = "is" if "buffer_size" in listener.section.settings else "is not set, which means"
            what = f"buffer_size of {listener.name} {said} {listener.number('buffer_size')}"
            yield _set(listener, "buffer_size", what, str(LISTENER_BUFFER_MIN))


@lint(
    "supervisord-stop-budget",
    Severity.RISK,
    "stopping may take longer than the engine waits",
    "groups are stopped one after the other; when the engine's patience ends it kills all that is left, and their last "
    "lines with it (exit 137).",
)
def stop_budget(conf: Supervisord, conditions: Conditions) -> Iterator[Flaw]:
    if conditions.composed and not conditions.grace_seconds:
        return  # ``together-grace`` knows it better
    grace = conditions.grace_seconds or DOCKER_GRACE_SECONDS
    whose = "" if conditions.grace_seconds else " (Docker's own, where nobody set another)"
    needed, longest = conf.stop_seconds()
    if needed >= grace and longest:
        worst = max(longest, key=lambda program: program.number("stopwaitsecs"))
        others = needed - worst.number("stopwaitsecs")
        fitting = max(1, int(grace) - 1 - others)
        what = f"the stops of {len(longest)} groups may take {needed} s; stop_grace_period is {span(grace)}{whose}"
        if others + fitting >= grace:
            what += "; even this is not enough: raise stop_grace_period or lower the others, too"
        yield _set(worst, "stopwaitsecs", what, str(fitting))


@lint(
    "supervisord-open-control",
    Severity.RISK,
    "the control port is open to others",
    "whoever reaches supervisord's HTTP port runs programs as root, stops them and clears their logs; it has no TLS.",
)
def open_control(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for name, section in conf.sections.items():
        if name.partition(":")[0] == "inet_http_server":
            host, port = section.value("port").rpartition(":")[::2]
            if host.strip("[]") not in ("127.0.0.1", "localhost", "::1"):
                what = f"supervisord listens on {section.value('port')}; better remove it and use [unix_http_server]"
                yield Flaw(section.where("port"), what, Deed.REPLACE, f"port=127.0.0.1:{port}")


@lint(
    "supervisord-minfds",
    Severity.RISK,
    "minfds does not fit",
    "supervisord does not start above the hard limit of open files, and closes each number below minfds one by one, in "
    "Python, at every start of a program.",
)
def minfds(conf: Supervisord, conditions: Conditions) -> Iterator[Flaw]:
    main = conf.section("supervisord")
    if main is None:
        return
    value = main.value("minfds", "1024")
    count = int(value) if value.isdigit() else 1024
    deed = Deed.REPLACE if "minfds" in main.settings else Deed.ADD
    if conditions.nofile is not None and count > conditions.nofile:
        what = f"minfds is {count}, and the hard limit of open files is {conditions.nofile}"
        yield Flaw(main.where("minfds"), what, deed, f"minfds={min(1024, conditions.nofile)}")
    elif count > MINFDS_MAX:
        yield Flaw(main.where("minfds"), f"minfds is {count}", deed, "minfds=1024")


@lint(
    "supervisord-daemon",
    Severity.LOSS,
    "a program that leaves its parent",
    "a daemon closes its output, so `log stdout` goes nowhere, and the end of its first process counts as its own end.",
)
def daemon(conf: Supervisord, _: Conditions) -> Iterator[Flaw]:
    for program in conf.programs:
        command = program.value("command")
        if _DAEMON.match(command):
            write = re.sub(r"\s-(?:D|s[ft](?:\s+[^-\s]\S*)*)(?=\s|$)", "", program.section.value("command"))
            what = f"{program.name} puts itself into the background or takes over from an older process"
            yield Flaw(program.section.where("command"), what, Deed.REPLACE, f"command={write}")


LINTS: tuple[Lint[Supervisord], ...] = (
    false_running, no_backoff, exit_0, fatal_unseen, shell_children, half_stop, cut_command, undefined_variable,
    listener_buffer, stop_budget, open_control, minfds, daemon,
)  # fmt: skip
