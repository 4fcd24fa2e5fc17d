import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** Programs that compute for some seconds and are to be caught in the middle of it: they have the machine to themselves. */
const ALONE = ["test/e2e/programs.test.ts"];

export default defineConfig({
  test: {
    pool: "forks",
    testTimeout: 60_000,
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
