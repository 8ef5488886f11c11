import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["suite.test.mjs"],
    // Two tests wait for a whole long-poll (20 s here, as the suite's own option has it) without a time of their own.
    testTimeout: 30_000,
    // What run.py leaves out, as one pattern over full names; nothing when all shall run.
    testNamePattern: process.env.SUITE_PATTERN ? new RegExp(process.env.SUITE_PATTERN) : undefined,
  },
})
