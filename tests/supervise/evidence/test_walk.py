"""The whole walk on a stack that lives in this process: everything collected, faults told, the stack left as found."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from logship.errors import Fault
from supervise.evidence import deeds, run
from supervise.evidence.folder import Folder
from supervise.evidence.run import Walk, Wishes
from supervise.evidence.tasks import STEPS, missing, wanted
from supervise.evidence.values import Evidence
from tests.supervise.evidence.fake_stack import FakeStack, browser, running

Good = tuple[Path, FakeStack, Evidence, list[str]]
TEMPLATE = (Path(__file__).resolve().parents[3] / "templates" / "report.md.j2").read_text(encoding="utf-8")


def walk(folder: Path, stack: FakeStack, environment: dict[str, str] | None = None) -> tuple[Evidence, list[str]]:
    """A short walk; what it said comes back, too."""
    said: list[str] = []
    place = Folder(folder / "out")
    place.prepare()
    environment = environment or browser(folder / "bin")
    with running(stack):
        wishes = Wishes(nodes_max=5, requests=100, per_second=0)
        return Walk(stack, place, environment, wishes, TEMPLATE, said.append).run(), said


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Good:
    """A walk on a stack where all is well, for all tests that only look at what came of it."""
    folder = tmp_path_factory.mktemp("good")
    stack = FakeStack(3)
    return folder / "out", stack, *walk(folder, stack)


@pytest.fixture
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """What never comes is not waited for so long."""
    monkeypatch.setattr(deeds, "SERVING_SECONDS", 1.0)
    monkeypatch.setattr(run, "SETTLED_SECONDS", 1.0)


def test_a_walk_collects_every_deliverable_and_leaves_the_stack_as_found(good: Good) -> None:
    root, stack, evidence, said = good
    assert evidence.problems == []
    assert evidence.good
    files = wanted({step.name: step.containers for step in evidence.steps})
    assert missing(files, Folder(root).read) == {}
    assert [step.name for step in evidence.steps] == [step.name for step in STEPS]
    assert stack.deeds[-1:] != ["kill"]
    assert len(stack.nodes()) == 3
    assert {"scale 5", "scale 2", "scale 3", "stop", "kill"} <= set(stack.deeds)
    assert all(line.startswith("[") for line in said)


def test_every_link_of_the_report_leads_to_a_file_or_a_heading(good: Good) -> None:
    assert follow(good[0]) > 80


def follow(root: Path) -> int:
    """Go where each link of the report leads; how many there are."""
    links = re.findall(r"\]\(([^)]+)\)", (root / "report.md").read_text(encoding="utf-8"))
    for link in links:
        path, _, fragment = link.partition("#")
        target = root / unquote(path or "report.md")
        assert target.is_file(), link
        if fragment:
            heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert fragment in anchors, link
    return len(links)


def test_every_file_that_was_collected_is_linked_from_the_report(good: Good) -> None:
    root = good[0]
    linked = {unquote(path) for path in re.findall(r"\]\(([^)#]+)\)", (root / "report.md").read_text("utf-8"))}
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert found - linked == {"report.md"}


def test_the_record_says_what_the_report_says(good: Good) -> None:
    root, _, evidence, _ = good
    record = json.loads((root / "evidence.json").read_text())
    assert (record["v"], record["complete"], record["good"], record["failed"]) == (1, True, True, 0)
    text = (root / "report.md").read_text(encoding="utf-8")
    assert f"none of {evidence.requests} requests failed" in text
    assert "None in this run" in text
    for step in evidence.steps:
        if step.outcome:
            assert f"| {step.outcome['requests']} | **0** |" in text


@pytest.mark.usefixtures("_brief")
def test_failed_requests_are_counted_shown_and_make_the_evidence_bad(tmp_path: Path) -> None:
    stack = FakeStack(3)
    stack.failing = True
    evidence, _ = walk(tmp_path, stack)
    assert evidence.failed > 0
    assert not evidence.good
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert f"**{evidence.failed} of {evidence.requests} requests failed;" in text
    assert re.search(r"up: \d+ x status 503", text)
    assert "None of" not in text
    assert len(stack.nodes()) == 3


@pytest.mark.usefixtures("_brief")
@pytest.mark.parametrize(
    "broken", ["logs", "supervise", "inside", "generations", "listing", "kill", "history", "scale"]
)
def test_whatever_breaks_the_rest_is_collected_and_the_report_says_so(tmp_path: Path, broken: str) -> None:
    stack = FakeStack(3)
    stack.broken = {broken}
    evidence, _ = walk(tmp_path, stack)
    assert not evidence.good
    assert any("broken on purpose" in problem.text for problem in evidence.problems)
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "broken on purpose" in text.partition("## Difficulties")[2]
    assert follow(tmp_path / "out") > 20
    assert [step.name for step in evidence.steps] == [step.name for step in STEPS]
    assert (tmp_path / "out" / "logs" / "task 6" / "end" / "stats.csv").is_file()


def test_without_a_browser_the_statistics_are_there_as_text_and_the_report_says_how_to_get_pictures(
    tmp_path: Path,
) -> None:
    commands = tmp_path / "no browser"
    commands.mkdir()
    evidence, _ = walk(tmp_path, FakeStack(2), {"PATH": str(commands)})
    assert not evidence.good
    assert {problem.where.rpartition("/")[2] for problem in evidence.problems} == {"stats.png", "stats-at-once.png"}
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "apt-get install chromium" in text
    assert "*statistics after up: missing*" in text
    assert follow(tmp_path / "out") > 80
    assert (tmp_path / "out" / "logs" / "task 6" / "up" / "stats.csv").is_file()


def test_a_node_that_ends_with_another_status_than_0_is_a_problem(tmp_path: Path) -> None:
    stack = FakeStack(3)
    stack.exit_status = 137
    evidence, _ = walk(tmp_path, stack)
    assert any("ended with status 137" in problem.text for problem in evidence.problems)


def test_when_a_person_interrupts_the_stack_is_brought_back_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = FakeStack(3)
    docker = stack.docker

    def interrupted(*words: str, seconds: float = 60) -> str:
        if words[0] == "kill":
            raise KeyboardInterrupt
        return docker(*words, seconds=seconds)

    monkeypatch.setattr(stack, "docker", interrupted)
    stack.scale(4)
    with pytest.raises(KeyboardInterrupt):
        walk(tmp_path, stack)
    assert stack.deeds[-1] == "scale 4"
    assert len(stack.nodes()) == 4


def test_a_stack_without_nodes_is_refused_before_anything_is_changed(tmp_path: Path) -> None:
    stack = FakeStack(0)
    with pytest.raises(Fault, match="no running webapp"):
        walk(tmp_path, stack)
    assert stack.deeds == []
