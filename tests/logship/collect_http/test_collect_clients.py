"""Clients others wrote write to the collector and follow it: the protocol's own Python client, and curl."""

from __future__ import annotations

import base64
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import durable_streams
import pytest

from tests.logship.collect_http.live import Collector, until
from tests.logship.collect_http.test_collect_sse import parsed

DATA = bytes(range(256)) * 40 + b"\r\n\rno end"


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    made = Collector(tmp_path_factory.mktemp("clients") / "store")
    yield made
    assert made.stop() == 0


def curl(*options: str, body: bytes = b"") -> bytes:
    command = ["curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "60", *options]
    return subprocess.run(command, input=body, capture_output=True, check=True, timeout=90).stdout


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def test_the_python_client_creates_writes_reads_and_deletes(collector: Collector) -> None:
    url = f"http://127.0.0.1:{collector.port}/v1/stream/client/python"
    with durable_streams.DurableStream.create(url, content_type="application/octet-stream") as stream:
        for start in range(0, len(DATA), 1000):
            stream.append(DATA[start : start + 1000])
        assert int(stream.head().offset or "") == len(DATA)
    with durable_streams.stream(url, offset="-1", live=False) as response:
        assert response.read_bytes() == DATA
    with pytest.raises(durable_streams.StreamExistsError):
        durable_streams.DurableStream.create(url, content_type="text/plain")
    durable_streams.DurableStream.delete_static(url)
    with pytest.raises(durable_streams.StreamNotFoundError):
        durable_streams.DurableStream.connect(url)


@pytest.mark.parametrize("live", ["long-poll", "sse", "auto"])
def test_the_python_client_follows(collector: Collector, live: durable_streams.LiveMode) -> None:
    url = f"http://127.0.0.1:{collector.port}/v1/stream/client/follow-{live}"
    collector.ask("PUT", url.partition(str(collector.port))[2], {"Content-Type": "text/plain"}, b"first ")
    found: list[str] = []

    def follow() -> None:
        with durable_streams.stream(url, offset="-1", live=live) as response:
            for text in response.iter_text():
                found.append(text)
                if "".join(found).endswith("last"):
                    return

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    until(lambda: "".join(found) == "first ", "it has caught up")
    with durable_streams.DurableStream.connect(url) as writer:
        for word in (b"second ", b"third ", b"last"):
            writer.append(word)
    follower.join(60)
    assert "".join(found) == "first second third last"


@needs_curl
def test_curl_creates_appends_and_reads(collector: Collector, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{collector.port}/v1/stream/client/curl"
    octets = "Content-Type: application/octet-stream"
    (tmp_path / "data").write_bytes(DATA * 300)  # 3 MB: curl asks with Expect: 100-continue
    curl("-X", "PUT", "-H", octets, url)
    curl("-X", "POST", "-H", octets, "--data-binary", f"@{tmp_path}/data", url)
    curl("-X", "POST", "-H", octets, "-H", "Transfer-Encoding: chunked", "--data-binary", "@-", url, body=b"the end")
    found, offset = b"", 0
    while offset < len(DATA) * 300 + 7:
        piece = curl(f"{url}?offset={offset:020}")
        found, offset = found + piece, offset + len(piece)
    assert found == DATA * 300 + b"the end"


@needs_curl
def test_curl_follows(collector: Collector) -> None:
    url = f"http://127.0.0.1:{collector.port}/v1/stream/client/curl-follow"
    octets = "Content-Type: application/octet-stream"
    curl("-X", "PUT", "-H", octets, url)
    follower = subprocess.Popen(
        ["curl", "--silent", "--no-buffer", f"{url}?offset=-1&live=sse"], stdout=subprocess.PIPE
    )
    until(lambda: b'"readers":1' in collector.ask("GET", "/v1/health").body, "curl follows")
    curl("-X", "POST", "-H", octets, "--data-binary", "@-", url, body=DATA)
    curl("-X", "POST", "-H", "Stream-Closed: true", url)
    output, _ = follower.communicate(timeout=60)
    data = [base64.b64decode(value) for name, value in parsed(output) if name == "data"]
    assert b"".join(data) == DATA
    assert follower.returncode == 0
