/** Flags of mappings that this version cannot carry are told. */
import { expect, test } from "vitest";
import { lostOfMappings } from "../../src/checkpoint/lost-of-mappings.js";
import { parseSmaps, readMappings } from "../../src/tracee/maps.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const LINE = "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 ";

function withFlags(flags: string) {
  return parseSmaps(`${LINE}\nVmFlags: ${flags} \n`);
}

test("nothing of ordinary programs", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("advice"), "FOLDER"]);
    await target.says("ready");
    expect(lostOfMappings(readMappings(target.pid))).toEqual([]);
  }));

test("a flag of a later kernel, once, with the address", () => {
  const lost = lostOfMappings([...withFlags("rd wr ?? ac"), ...withFlags("rd wr ??")]);
  expect(lost).toEqual([
    { kind: "mapping", id: "0x7f0000000000", message: expect.stringContaining("the flag ??") },
  ]);
});

test("that all memory is locked, which may mean later memory too", () => {
  expect(lostOfMappings(withFlags("rd wr lo"))).toMatchObject([
    { message: expect.stringContaining("MCL_FUTURE") },
  ]);
  expect(lostOfMappings([...withFlags("rd lo"), ...withFlags("rd")])).toEqual([]);
});
