"""``supervise render``: a template becomes a file for this container, then a command takes this process's place.

Owns what a template may know of its container (``context_of``) and how the result replaces the old file. Leaves to
the templates what their text means, and to ``supervise/balance`` HAProxy's configuration, which is rendered from
members, not from one container's environment.

A template sees
``env``         the environment, a mapping; an absent name is an error unless the template gives a default
``hostname``    the container's host name
``address``     the container's own address: the first of ``addresses`` (or the first inside the setting ``network``)
``addresses``   all of them but loopback and link-local ones, in the order of the interfaces, IPv4 before IPv6
``settings``    the settings of ``supervise`` (supervise/config.py)
``secret(N)``   the variable N, else the content of the file that the variable N_FILE names, else ""
``fail(TEXT)``  ends the rendering with TEXT and the template's line
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import jinja2

from logship.commands import Command
from logship.errors import USAGE, Fault
from supervise import config
from supervise.addresses import own_address, own_addresses

SECRET_BYTES_MAX = 65536


class Told(Exception):
    """A template's own ``fail(TEXT)``."""


class Variables(dict[str, str]):
    """The environment as a template sees it."""


class Absent(jinja2.StrictUndefined):
    """What a template asked for in vain; of the environment it says so by name."""

    @property
    def _undefined_message(self) -> str:
        if isinstance(self._undefined_obj, Variables):
            return f"the environment has no {self._undefined_name}"
        return super()._undefined_message


@dataclass(frozen=True)
class Job:
    """One rendering: from which template to which file, with which permissions."""

    template: Path
    out: Path
    mode: int


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``supervise render``."""
    parser.add_argument(
        "template", metavar="TEMPLATE", help="a path, or the bare name of a file in the templates' folder"
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="the file to replace, atomically")
    parser.add_argument("words", metavar="COMMAND", nargs="*", help="after --: what to become when the file is written")
    parser.add_argument(
        "--mode", default="0600", help="permissions of OUT, octal (default %(default)s: it may hold keys)"
    )
    config.add_options(parser, "templates", "network")


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Render, replace, become COMMAND. Returns 0 only where there is no COMMAND. Raises Fault."""
    settings = config.load(options, environment)
    job = Job(template_path(options.template, settings.templates), options.out, mode_from(options.mode))
    hostname = socket.gethostname()
    text = rendered(job.template, context_of(environment, hostname, own_addresses(), settings))
    replace(job.out, text, job.mode)
    if options.words:
        become(options.words, environment)
    return 0


def template_path(name: str, folder: Path) -> Path:
    """A bare name stands in the folder of the templates; anything with a slash is a path."""
    return Path(name) if "/" in name else folder / name


def mode_from(text: str) -> int:
    """Permissions out of an octal number. Raises Fault (usage)."""
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise Fault("take", f"--mode {text}", "it is no octal number from 0 to 0777", "for example 0640", USAGE)
    return mode


def context_of(
    environment: Mapping[str, str], hostname: str, addresses: list[str], settings: config.Settings
) -> dict[str, object]:
    """What a template may know. Raises Fault when no own address lies in the setting ``network``."""
    return {
        "env": Variables(environment),
        "hostname": hostname,
        "address": own_address(addresses, settings.network),
        "addresses": addresses,
        "settings": settings,
        "secret": lambda name: secret(environment, name),
        "fail": fail,
    }


def fail(text: str) -> None:
    """For templates: end the rendering with a sentence for whoever set the environment."""
    raise Told(text)


def secret(environment: Mapping[str, str], name: str) -> str:
    """The variable ``name``, or the stripped content of the file named by ``name``_FILE, or nothing. Raises Told."""
    if environment.get(name):
        return environment[name]
    path = environment.get(f"{name}_FILE")
    if not path:
        return ""
    try:
        with Path(path).open("rb") as file:
            content = file.read(SECRET_BYTES_MAX + 1)
        if len(content) > SECRET_BYTES_MAX:
            raise Told(f"{name}_FILE names {path}, which is longer than {SECRET_BYTES_MAX} bytes")
        return content.decode("utf-8").strip()
    except OSError as error:
        raise Told(f"{name}_FILE names {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Told(f"{name}_FILE names {path}, which is no text") from None


def rendered(path: Path, context: Mapping[str, object]) -> str:
    """The text of the template ``path`` for this context. Raises Fault that names template and line."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(path.parent),
        undefined=Absent,
        keep_trailing_newline=True,
        autoescape=False,  # configuration files, not web pages
    )
    environment.policies["json.dumps_kwargs"] = {"default": str}  # paths, and what is absent says so
    try:
        return environment.get_template(path.name).render(context)
    except jinja2.TemplateNotFound as error:
        raise Fault("render", str(path), f"there is no template {error.name}", "check the name", USAGE) from None
    except jinja2.TemplateSyntaxError as error:
        subject = f"{error.filename or path}:{error.lineno}"
        raise Fault("render", subject, error.message or "syntax error", "correct the template") from None
    except jinja2.UndefinedError as error:
        subject = place(path, error.__traceback__)
        hint = "set the variable, or give it a default in the template"
        raise Fault("render", subject, error.message or "something is undefined", hint) from None
    except Told as error:
        raise Fault("render", place(path, error.__traceback__), str(error), "correct the environment") from None
    except UnicodeDecodeError:
        raise Fault("render", str(path), "it is not UTF-8", "save it as UTF-8") from None
    except OSError as error:
        raise Fault("render", str(path), error.strerror or str(error)) from None
    except Exception as error:  # a filter's own error: whatever it is, a person wants template and line
        subject = place(path, error.__traceback__)
        raise Fault("render", subject, f"{type(error).__name__}: {error}", "correct the template") from None


def place(path: Path, traceback: TracebackType | None) -> str:
    """``FILE:LINE`` of the innermost template in a traceback: Jinja rewrites its frames to the template's lines."""
    found = str(path)
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if Path(name).parent == path.parent:
            found = f"{name}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found


def replace(path: Path, text: str, mode: int) -> None:
    """Put ``text`` in the place of ``path``: whole or not at all, also across a crash. Raises Fault."""
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        temporary = None
        sync_folder(path.parent)
    except OSError as error:
        raise Fault("write", str(path), error.strerror or str(error), "its folder must exist and be ours") from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def sync_folder(path: Path) -> None:
    """Make a rename inside the folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def become(words: list[str], environment: Mapping[str, str], execute: Callable[..., object] = os.execvpe) -> None:
    """Replace this process by the command. Raises Fault when it cannot be started."""
    try:
        execute(words[0], words, dict(environment))
    except OSError as error:
        raise Fault("start", words[0], error.strerror or str(error), "check the command after --") from None


COMMANDS = {"render": Command(configure, run)}
