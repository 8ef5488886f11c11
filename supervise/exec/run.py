"""Run: from the plan to the program, in this process and in its place.

Owns the order of the steps and the sentence that tells of a failed one. Standard library alone, and little of it: this
passes before every start. Exit status as a shell's: 126 when the program cannot be run, 127 when it is not found.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import resource
import signal
from collections.abc import Mapping

from logship.errors import Fault
from supervise.exec.output import close_others, keep_stderr, note_start, take_no_input, take_output
from supervise.exec.plan import Start, environment, parse_env_file, parse_plan

CANNOT_RUN = 126
NOT_FOUND = 127
UMASK = 0o022
FILE_BYTES_MAX = 4 * 1024 * 1024


def run(plan: str, name: str, container: Mapping[str, str]) -> int:
    """Become the program ``name`` of the plan; returns, with 126 or 127, only when that fails."""
    stderr = keep_stderr()
    try:
        start = parse_plan(_read(plan, "read the plan"), plan, name)
        become(start, container, stderr)
    except Fault as fault:
        _say(f"supervise exec {name}: {fault}", stderr)
        return fault.status if fault.status == NOT_FOUND else CANNOT_RUN
    raise AssertionError("exec neither failed nor replaced this process")


def become(start: Start, container: Mapping[str, str], stderr: int | None) -> None:
    """Do the steps in their order: what needs root first, then as the user, and exec last. Raises Fault."""
    take_no_input()
    if start.fifo is not None:
        take_output(start.fifo)
        try:
            note_start(start.stream)
        except OSError as error:  # a note is not worth a program
            _say(f"supervise exec {start.name}: cannot note this start in {start.stream}: {error.strerror}", None)
    files = [parse_env_file(_read(path, "read the variables in"), path) for path in start.env_files]
    account = _account(start.user)
    home = {"HOME": account.pw_dir, "USER": account.pw_name, "LOGNAME": account.pw_name}
    variables = environment(container, home, start.environment, files)
    os.umask(UMASK)
    _limit(start.limits)
    _take_user(account)
    try:
        os.chdir(start.directory)
    except OSError as error:
        cause = f"{error.strerror} (as user {account.pw_name})"
        raise Fault("go to the directory", start.directory, cause, "correct `directory` in supervise.toml") from None
    _default_signals()
    close_others(stderr)
    _exec(start.command, variables)


def _read(path: str, operation: str) -> str:
    """The text of a small file. Raises Fault."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            content = os.read(descriptor, FILE_BYTES_MAX + 1)
        finally:
            os.close(descriptor)
        if len(content) > FILE_BYTES_MAX:
            raise Fault(operation, path, f"it is longer than {FILE_BYTES_MAX} bytes", "make it shorter")
        return content.decode()
    except OSError as error:
        raise Fault(operation, path, str(error.strerror), "make the file, or correct its path") from None
    except UnicodeDecodeError as error:
        raise Fault(operation, path, f"byte {error.start} is no UTF-8", "correct the file") from None


def _account(user: str) -> pwd.struct_passwd:
    """The account of a user's name, or of a number with or without one."""
    try:
        return pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        if user.isdigit():
            return pwd.struct_passwd((user, "x", int(user), int(user), "", "/", "/bin/sh"))
        raise Fault("become the user", user, "no such user in this container", "add it in the image") from None


def _limit(limits: Mapping[str, int]) -> None:
    """Set soft and hard limits. Raises Fault with the limit's name."""
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if number is None:
            raise Fault(
                "set the limit", name, "the kernel has none of this name", "see `man setrlimit`, without RLIMIT_"
            )
        try:
            resource.setrlimit(number, (value, value))
        except (ValueError, OSError, OverflowError) as error:
            hard = resource.getrlimit(number)[1]
            above = hard != resource.RLIM_INFINITY and (value > hard or value == resource.RLIM_INFINITY)
            cause = f"above this container's hard limit of {hard}" if above else str(error)
            hint = f"lower it, or raise `ulimits: {name}` of the service" if above else "correct it in supervise.toml"
            raise Fault("set the limit", f"{name} = {value}", cause, hint) from None


def _take_user(account: pwd.struct_passwd) -> None:
    """Become the user with all its groups. Raises Fault."""
    if os.getuid() == account.pw_uid and os.getgid() == account.pw_gid and account.pw_uid != 0:
        return
    try:
        os.initgroups(account.pw_name, account.pw_gid)
        os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
        os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    except OSError as error:
        hint = "PID 1 must be root, with the capabilities SETUID and SETGID"
        raise Fault("become the user", account.pw_name, str(error.strerror), hint) from None


def _default_signals() -> None:
    """Every signal as after a boot: Python ignores SIGPIPE, and an ignored signal stays so for the program."""
    for number in signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):  # KILL, STOP
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _exec(command: list[str], variables: Mapping[str, str]) -> None:
    """Replace this process. Raises Fault."""
    try:
        os.execvpe(command[0], command, variables)
    except (FileNotFoundError, NotADirectoryError):
        cause = "no such file, or the interpreter its first line names is missing"
        raise Fault("run", command[0], cause, "correct `command` in supervise.toml", NOT_FOUND) from None
    except OSError as error:
        raise Fault("run", command[0], str(error.strerror), "is it executable, by this user too?") from None
    except ValueError as error:
        raise Fault("run", command[0], str(error), "correct `command` or the environment") from None


def _say(text: str, stderr: int | None) -> None:
    """One line to the program's own output and to what was standard error before; a reader who is gone is no matter."""
    line = text.replace("\n  hint: ", "; ").replace("\n", " ").encode(errors="replace") + b"\n"
    places = {2} if stderr is None else {2, stderr}
    seen: set[tuple[int, int]] = set()
    for descriptor in places:
        with contextlib.suppress(OSError):
            facts = os.fstat(descriptor)
            if (facts.st_dev, facts.st_ino) not in seen:
                seen.add((facts.st_dev, facts.st_ino))
                os.write(descriptor, line)
