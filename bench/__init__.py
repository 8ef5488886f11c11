"""Benchmarks: one command a question, ratios to a plain peer taken in the same run. Results: docs/performance.md."""
