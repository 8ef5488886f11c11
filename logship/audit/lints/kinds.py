"""Core: which kind of file a text is, by what stands in it."""

from __future__ import annotations

import re
from enum import Enum

from logship.audit.lints.haproxy_cfg import SECTIONS
from logship.audit.lints.logrotate_conf import PERIODS


class Kind(Enum):
    """The files that doctor reads."""

    SUPERVISORD = "supervisord"
    HAPROXY = "haproxy"
    LOGROTATE = "logrotate"
    DECLARATION = "supervise"
    COMPOSE = "compose"


_SUPERVISORD = re.compile(
    r"^\[(?:supervisord|supervisorctl|unix_http_server|inet_http_server|include|rpcinterface:|program:|group:|"
    r"eventlistener:|fcgi-program:)",
    re.MULTILINE,
)
_DECLARATION = re.compile(r"^\s*\[(?:container|program\.[^]]+)\]\s*(?:#.*)?$", re.MULTILINE)
_BLOCK = re.compile(r"^\s*[\"'/][^\n#]*(?:\n\s*[\"'/][^\n#]*)*\s*\{\s*$", re.MULTILINE)
_DIRECTIVE = re.compile(rf"^\s*(?:{'|'.join(PERIODS)}|rotate\s+\d+|copytruncate|(?:delay)?compress)\s*$", re.MULTILINE)


def kind_of(text: str) -> Kind | None:
    """The kind of a text; None where it looks like none of them."""
    if text.lstrip().startswith("{") and re.search(r'"services"\s*:', text):
        return Kind.COMPOSE
    if _DECLARATION.search(text):
        return Kind.DECLARATION
    if _SUPERVISORD.search(text):
        return Kind.SUPERVISORD
    words = [line.split()[0] for line in text.splitlines() if line.split() and not line.lstrip().startswith("#")]
    if words and words[0] in SECTIONS:
        return Kind.HAPROXY
    if _BLOCK.search(text) or _DIRECTIVE.search(text):
        return Kind.LOGROTATE
    return None


def looks_like_compose_yaml(text: str) -> bool:
    """Whether it is a compose file as people write it."""
    return bool(re.search(r"^services:\s*(?:#.*)?$", text, re.MULTILINE))
