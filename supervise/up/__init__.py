"""The host's side of ``make``: from a machine with only Python to a running fleet, and back to nothing.

Runs with the system's Python and its standard library alone, because it runs before anything is installed.
"""
