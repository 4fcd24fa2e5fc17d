import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** Programs that are to be caught in the middle of some seconds of work or waiting: they have the machine to themselves. */
const ALONE = ["test/e2e/programs.test.ts", "test/e2e/blocked.test.ts"];

export default defineConfig({
  test: {
    pool: "forks",
    testTimeout: 120_000,
    hookTimeout: 60_000,
    reporters: ["default", "./test/summary-reporter.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "side by side",
          include: ["test/**/*.test.ts"],
          exclude: ALONE,
          // Tests wait more than they work, so as many run as there are CPUs, not one less.
          maxWorkers: availableParallelism(),
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: "alone",
          include: ALONE,
          maxWorkers: 1,
          maxConcurrency: availableParallelism(),
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
