"""What the documents say is there, is there: commands, options, files, settings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from logship.cli import ROOMS as LOGSHIP
from supervise.cli import ROOMS as SUPERVISE
from supervise.config import Settings

TREE = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*TREE.glob("*.md"), *(TREE / "docs").glob("*.md"), *(TREE / "images").rglob("*.md")])
COMMANDS = {"supervise": SUPERVISE, "logship": LOGSHIP}


def code_of(document: Path) -> str:
    """The shell blocks and inline code of a document. One headed "(being built)" is a plan: it promises nothing."""
    text = re.sub(
        r"^(#+) [^\n]*\(being built\)\n.*?(?=^#{1,2} |\Z)",
        "",
        document.read_text(encoding="utf-8"),
        flags=re.MULTILINE | re.DOTALL,
    )
    blocks = re.findall(r"^```(?:sh|shell|console)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return "\n".join([*blocks, *inline])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TREE)))
def test_every_link_between_documents_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(TREE)))
def test_every_command_a_document_names_exists(document: Path) -> None:
    """`supervise X` and `logship X` in code name a subcommand, or an alternative list of them (`ctl | ps`)."""
    for program, words in re.findall(r"(?<![\w./-])(?:\.venv/bin/)?(supervise|logship) ([a-z]+)\b", code_of(document)):
        assert words in COMMANDS[program], f"{document.name}: {program} {words}"


def test_every_make_target_a_document_names_exists() -> None:
    makefile = (TREE / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*)\s*:(?!=)", makefile, re.MULTILINE))
    for document in DOCUMENTS:
        for target in re.findall(r"(?<![\w-])make ([a-z][a-z-]*)", code_of(document)):
            assert target in targets, f"{document.name}: make {target}"


@pytest.mark.parametrize(
    ("program", "command"), [(program, command) for program, rooms in COMMANDS.items() for command in rooms]
)
def test_every_command_explains_itself(program: str, command: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", program, command, "--help"], cwd=TREE, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"usage: {program} {command}")


@pytest.mark.parametrize(
    ("program", "command"), [(program, command) for program, rooms in COMMANDS.items() for command in rooms]
)
def test_an_unknown_option_is_a_usage_error(program: str, command: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", program, command, "--no-such-option"],
        cwd=TREE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_every_setting_has_its_line_of_help() -> None:
    assert [item.name for item in fields(Settings) if not item.metadata.get("help")] == []


def test_the_tree_names_no_place_outside_it() -> None:
    """No package index, and no address of the machine somebody worked on."""
    listed = subprocess.run(["git", "ls-files"], cwd=TREE, capture_output=True, text=True, check=True).stdout.split()
    bad = re.compile(r"(extra-)?index-url|--find-links|\"resolved\": *\"http|" + re.escape(f"{TREE}/"))
    for name in listed:
        path = TREE / name
        if path.suffix in {".py", ".md", ".toml", ".yaml", ".j2", ".lock", ".json", ""} and path.name != "test_docs.py":
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not bad.search(text), name


def test_a_reader_that_goes_away_ends_a_command_with_141_and_no_trace() -> None:
    """As `supervise --help | head -1`, with a reader that is gone before the first byte."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as output:
        words = [sys.executable, "-m", "supervise", "check", "--no-files", "images/webapp/supervise.toml"]
        result = subprocess.run(words, cwd=TREE, stdout=output, stderr=subprocess.PIPE, text=True, check=False)
    assert (result.returncode, result.stderr) == (141, "")
