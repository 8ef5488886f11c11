"""A strict reader of Prometheus' text format 0.0.4, as its documentation has the grammar."""

from __future__ import annotations

import re

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_HELP = re.compile(rf"# HELP ({_NAME}) ((?:[^\\\n]|\\\\|\\n)*)")
_TYPE = re.compile(rf"# TYPE ({_NAME}) (counter|gauge|histogram|summary|untyped)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)')
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (-?[0-9.]+(?:e[+-]?[0-9]+)?|NaN|[+-]Inf)")
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: bytes) -> tuple[dict[str, str], Samples]:
    """Kinds by name, and samples by name and labels. Fails on whatever the format does not allow."""
    assert text == b"" or text.endswith(b"\n")
    kinds: dict[str, str] = {}
    helped: set[str] = set()
    samples: Samples = {}
    for line in text.decode().split("\n")[:-1]:
        if match := _HELP.fullmatch(line):
            assert match[1] not in helped, line
            helped.add(match[1])
        elif match := _TYPE.fullmatch(line):
            assert match[1] not in kinds, line
            assert not any(name == match[1] for name, _ in samples), "a type comes before its samples"
            kinds[match[1]] = match[2]
        else:
            match = _SAMPLE.fullmatch(line)
            assert match is not None, line
            assert match[1] in kinds, line
            key = (match[1], frozenset(_labels(match[2] or "")))
            assert key not in samples, line
            samples[key] = float(match[3])
    return kinds, samples


def value(text: bytes, name: str, **labels: str) -> float:
    """The sample with exactly these labels."""
    return read(text)[1][name, frozenset(labels.items())]


def _labels(text: str) -> list[tuple[str, str]]:
    found = []
    at = 0
    while at < len(text):
        match = _LABEL.match(text, at)
        assert match is not None, text[at:]
        found.append((match[1], re.sub(r'\\[\\"n]', lambda escape: _ESCAPES[escape[0]], match[2])))
        at = match.end()
    assert len({name for name, _ in found}) == len(found), text
    return found
