/** What /proc tells of a whole process that cannot be carried, and that no test can set here without more rights. */
import { expect, test } from "vitest";
import { refusedOfProcess } from "../../src/checkpoint/target.js";
import { readProcessFacts } from "../../src/tracee/process-facts.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

test("the role of an I/O flusher and tagged addresses are refused by name, and nothing of an ordinary program", () =>
  withScene(async (scene) => {
    const { pid, says } = await scene.start([fixture("calls"), "FOLDER"]);
    await says("ready");
    const facts = readProcessFacts(pid);
    expect(refusedOfProcess(pid, facts)).toEqual([]);
    const flusher = { ...facts.stat, flags: facts.stat.flags | 0x0018_0000 };
    expect(refusedOfProcess(pid, { ...facts, stat: flusher })).toMatchObject([
      { kind: "setting", what: expect.stringContaining("PR_SET_IO_FLUSHER") },
    ]);
    const tagged = new Map([...facts.status, ["untag_mask", "0x81ffffffffffffff"]]);
    expect(refusedOfProcess(pid, { ...facts, status: tagged })).toMatchObject([
      { kind: "setting", what: expect.stringContaining("ARCH_ENABLE_TAGGED_ADDR") },
    ]);
  }));
