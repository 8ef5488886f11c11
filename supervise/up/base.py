"""Edge: the base image: from a registry, or made here from Debian's signed packages.

The options of mmdebstrap are those of the official slim image (no documentation, no translations): 78 MB either way.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from supervise.up.shell import Outcome, Shell

PULL_SECONDS = 60
"""A registry that cannot be reached must not look like a slow one for long; the slim image has 30 MB."""

MAKE_SECONDS = 600
IMPORT_SECONDS = 120
RELEASE = "trixie"
LEFT_OUT = ("doc", "man", "locale", "info", "lintian", "groff")


def pull(shell: Shell, name: str) -> Outcome:
    """Pull an image; what a registry answered is told by the outcome."""
    return shell.run("docker", "pull", "--quiet", name, seconds=PULL_SECONDS)


def make(shell: Shell, name: str, mirror: str) -> None:
    """Make a minimal Debian 13 and import it as ``name``. Raises Fault where one of the two steps fails."""
    options = ["--quiet", "--variant=minbase", "--dpkgopt=path-include=/usr/share/doc/*/copyright"]
    options[2:2] = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in LEFT_OUT]
    options += ['--aptopt=APT::Install-Recommends "false"']
    options += ['--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin']
    with tempfile.TemporaryDirectory(prefix="logship-os-") as folder:
        tar = Path(folder, "rootfs.tar")
        words = ["mmdebstrap", *options, RELEASE, str(tar), *([mirror] if mirror else [])]
        hint = "MIRROR=http://... takes another mirror of Debian"
        shell.must("make the base image", *words, seconds=MAKE_SECONDS, hint=hint)
        change = ["--change", 'CMD ["bash"]']
        shell.must("import the base image", "docker", "import", *change, str(tar), name, seconds=IMPORT_SECONDS)
