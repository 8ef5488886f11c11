"""Where every byte goes: from a program's output to the collector, and from there to the reader."""

__version__ = "0.1.0"
