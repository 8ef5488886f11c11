"""The wheels of the collector's image: those of the list, whole, fetched by the real pip from a folder as its index."""

from __future__ import annotations

import hashlib
import platform
import tomllib
import zipfile
from pathlib import Path

import pytest

from supervise.up import wheels
from supervise.up.shell import Shell

TREE = Path(__file__).resolve().parents[3]
MACHINE = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
NAMES = ("one-1.0-cp313-cp313-manylinux_2_28_{}.whl", "two-2.0-cp312-abi3-manylinux_2_27_{}.whl")


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A folder that pip takes for an index, with two wheels."""
    folder = tmp_path / "index"
    folder.mkdir()
    for form in NAMES:
        path = folder / form.format(MACHINE)
        name, version, *tags = path.stem.split("-")
        about = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(f"{name}.py", "")
            wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {'-'.join(tags)}\n")
            wheel.writestr(f"{about}/RECORD", "")
    return folder


@pytest.fixture
def tree(tmp_path: Path, index: Path) -> Path:
    """A checkout whose list names those wheels."""
    (tmp_path / "wheels").mkdir()
    lines = []
    for path in sorted(index.iterdir()):
        name, version = path.name.split("-")[:2]
        digests = ("0" * 64, hashlib.sha256(path.read_bytes()).hexdigest())
        lines.append(f"{name}=={version} \\\n" + " \\\n".join(f"    --hash=sha256:{digest}" for digest in digests))
    (tmp_path / "wheels" / "requirements.txt").write_text("# why\n" + "\n".join(lines) + "\n")
    return tmp_path


def shell(index: Path) -> Shell:
    """Programs that know this index alone."""
    return Shell(
        {"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_CONFIG_FILE": "/dev/null"}
    )


def test_what_the_list_names_is_fetched_and_what_it_does_not_name_any_more_goes(tree: Path, index: Path) -> None:
    (tree / "wheels" / "old-1.0-cp313-cp313-any.whl").touch()
    assert not wheels.are_there(tree)
    outcome = wheels.fetch(shell(index), tree)
    assert outcome.status == 0, outcome.text
    assert wheels.are_there(tree)
    assert {path.name for path in (tree / "wheels").iterdir()} == {
        "requirements.txt",
        *(name.format(MACHINE) for name in NAMES),
    }


def test_a_wheel_that_is_cut_off_or_another_is_none(tree: Path, index: Path) -> None:
    wheels.fetch(shell(index), tree)
    path = tree / "wheels" / NAMES[0].format(MACHINE)
    path.write_bytes(path.read_bytes()[:-1])
    assert not wheels.are_there(tree)
    assert wheels.fetch(shell(index), tree).status == 0
    assert wheels.are_there(tree)


def test_without_an_index_what_is_there_stays_and_pip_says_why(tree: Path, index: Path, tmp_path: Path) -> None:
    wheels.fetch(shell(index), tree)
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    outcome = wheels.fetch(shell(nothing), tree)
    assert outcome.status != 0
    assert "one" in outcome.last
    assert wheels.are_there(tree)
    assert not list((tree / "wheels").glob(".new-*"))


def test_the_list_pins_what_pyproject_asks_for_by_digests_for_two_machines_and_names_no_index() -> None:
    text = (TREE / "wheels" / "requirements.txt").read_text()
    pinned = wheels.wanted(text)
    assert [name.partition("-")[0] for name in pinned] == ["duckdb", "nanoarrow"]
    assert all(len(digests) == 2 for digests in pinned.values())
    assert "://" not in text
    asked = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {"duckdb>=1.4,<3", "nanoarrow>=0.6"} <= set(asked)
    assert 1 < int(next(name for name in pinned if name.startswith("duckdb")).split("-")[1].split(".")[0]) < 3
