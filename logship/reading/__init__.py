"""The commands ``logs`` and ``sources``: they talk to the viewer's API alone, with the standard library alone."""
