"""Core: servers and a template become the text of haproxy.cfg.

Pure and sorted, without clock or chance: equal servers give equal bytes. The text names its own fingerprint, a hash
of everything but the server lines, as HAProxy's ``description``: what a running HAProxy was started on can so be asked
of HAProxy itself, and a reload is due exactly when the fingerprints differ.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

import jinja2

from supervise.balance.server import Server

TEMPLATE_NAME = "haproxy.cfg.j2"

_PLACE = "0" * 16
_SERVER_LINE = re.compile(r"^[ \t]+server[ \t].*\n", re.MULTILINE)


class BadTemplate(ValueError):
    """The template does not give a text; the message says where and why."""


@dataclass(frozen=True)
class Rendered:
    """A configuration; not yet checked by HAProxy."""

    text: str
    fingerprint: str


def render(template: str, servers: Iterable[Server], threads: int, maxconn: int) -> Rendered:
    """The configuration for these servers, in whatever order they come. Raises BadTemplate."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    try:
        text = environment.from_string(template).render(
            servers=sorted(set(servers)), fingerprint=_PLACE, threads=threads, maxconn=maxconn
        )
    except jinja2.TemplateSyntaxError as error:
        raise BadTemplate(f"{TEMPLATE_NAME}:{error.lineno}: {error.message}") from None
    except Exception as error:  # a template may raise whatever its expressions raise
        raise BadTemplate(f"{TEMPLATE_NAME}: {type(error).__name__}: {error}") from None
    if not text.endswith("\n"):
        text += "\n"
    fingerprint = hashlib.blake2b(skeleton(text).encode(), digest_size=8).hexdigest()
    return Rendered(text.replace(f"description {_PLACE}", f"description {fingerprint}", 1), fingerprint)


def skeleton(text: str) -> str:
    """The configuration without its server lines."""
    return _SERVER_LINE.sub("", text)
