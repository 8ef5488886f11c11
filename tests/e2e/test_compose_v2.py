"""The same compose file with compose version 2: build, up, scale, down."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import compose_v2
from tests.e2e.stack import PREFIX, Stack, docker, eventually, run
from tests.e2e.test_images import base_image

pytestmark = [pytest.mark.engine, pytest.mark.long, pytest.mark.timeout(1500)]

IMAGES = f"{PREFIX}v2"
"""Images of this test's own: a build by version 2 must not replace those that other tests run."""


class StackOfV2(Stack):
    """A stack whose compose is the binary of version 2."""

    binary: Path

    def compose(self, *words: str, timeout: float = 900) -> str:
        environment = {name: str(port) for name, port in self.ports.items()}
        environment |= {"LOGSHIP_IMAGES": IMAGES, "BASE_IMAGE": base_image()}
        done = run(str(self.binary), "-p", self.project, *words, timeout=timeout, environment=environment)
        assert "obsolete" not in done.stderr, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compose version 2; the test is skipped, saying why, where it cannot be had."""
    folder = Path(os.environ.get("COMPOSE_V2_FOLDER") or tmp_path_factory.mktemp("compose-v2"))
    try:
        return compose_v2.fetch(folder)
    except compose_v2.Unavailable as reason:
        pytest.skip(f"compose version 2: {reason}")


@pytest.fixture
def stack(binary: Path) -> Iterator[StackOfV2]:
    """A project with nothing started; its containers, volumes and images are gone at the end."""
    found = StackOfV2()
    found.binary = binary
    try:
        yield found
    finally:
        found.remove()
        for image in docker("image", "ls", "-q", "--filter", f"reference={IMAGES}/*", check=False).split():
            docker("image", "rm", "-f", image, check=False)


def test_version_2_builds_starts_scales_and_removes_the_fleet(stack: StackOfV2) -> None:
    stack.compose("up", "-d", "--build", "--scale", "webapp=2")
    eventually("two nodes serve", lambda: stack.serving(2), seconds=120)
    eventually("every container is healthy", stack.healthy, seconds=120)
    before = stack.ids("webapp")
    stack.up(4)
    eventually("four nodes serve", lambda: stack.serving(4), seconds=120)
    assert stack.ids("webapp")[:2] == before, "scaling up recreated what ran"
    stack.up(1)
    eventually("one node serves", lambda: stack.serving(1), seconds=120)
    stack.compose("down", "-v")
    label = f"label=com.docker.compose.project={stack.project}"
    for kind in ("ps -aq", "network ls -q", "volume ls -q"):
        assert docker(*kind.split(), "--filter", label) == ""
