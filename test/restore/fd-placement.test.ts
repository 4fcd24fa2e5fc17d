/** Where descriptors lead: the caller's, what --fd names, or refused by number. */
import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { planDescriptors } from "../../src/restore/descriptor-plan.js";
import { parseFdPlacement } from "../../src/restore/fd-placement.js";
import { prepareFiles } from "../../src/restore/files.js";
import { code, message } from "./failure.js";
import { makeFolder, optionsFor, record, stateOf } from "./recorded.js";

/** Node waits with epoll; the program has no use for that. */
function isNodesOwn(fd: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === "anon_inode:[eventpoll]";
  } catch {
    return false;
  }
}

const pipe = record("/dev/null", { kind: "outside", path: "pipe:[77]", flags: 1 });
const terminal = record("/dev/null", { kind: "terminal", path: "/dev/pts/9", rdev: "136:9", flags: 2 });

describe("parseFdPlacement()", () => {
  it("reads PATH, inherit and null, and refuses all else as wrong usage", () => {
    expect(parseFdPlacement("7=/a=b c")).toEqual({ fd: 7, target: { kind: "path", path: "/a=b c" } });
    expect(parseFdPlacement("0=inherit")).toEqual({ fd: 0, target: { kind: "inherit" } });
    expect(parseFdPlacement("12=null")).toEqual({ fd: 12, target: { kind: "null" } });
    for (const text of ["", "7", "7=", "=x", "-1=x", "x=y", "99999999999=x"]) {
      expect(message(() => parseFdPlacement(text))).toMatch(/^USAGE: --fd/);
    }
  });
});

describe("planDescriptors()", () => {
  const options = { placements: [], foreign: false };

  it("attaches what is behind 0 to 2 to the caller's, duplicates of it too", () => {
    const state = stateOf([terminal, pipe], [0, 1]);
    const files = { ...state, descriptors: [...state.descriptors, { fd: 9, description: 1, cloexec: true }] };
    const planned = planDescriptors(files, options).map((plan) => [
      plan.fd,
      plan.to === "placement" && plan.placement,
    ]);
    expect(planned).toEqual([
      [0, { fd: 0, target: { kind: "inherit" } }],
      [1, { fd: 1, target: { kind: "inherit" } }],
      [9, { fd: 1, target: { kind: "inherit" } }],
    ]);
  });

  it("refuses every other descriptor that leads outside, by number and name", () => {
    const text = message(() => planDescriptors(stateOf([terminal, pipe], [5, 7]), options));
    expect(text).toMatch(/^FD_OUTSIDE: .*5 \(terminal \/dev\/pts\/9\), 7 \(pipe:\[77\]\)/);
  });

  it("lets --fd place any descriptor, and refuses one the program did not have or that is placed twice", () => {
    const state = stateOf([pipe, record("/dev/null")], [7, 8]);
    const place = (...texts: string[]) =>
      planDescriptors(state, { ...options, placements: texts.map(parseFdPlacement) });
    expect(place("7=null", "8=inherit").map(({ to }) => to)).toEqual(["placement", "placement"]);
    expect(message(() => place("7=null", "6=null"))).toMatch(/USAGE: --fd 6/);
    expect(message(() => place("7=null", "7=inherit"))).toMatch(/USAGE: --fd 7/);
  });

  it("gives a program from a core of another tool the caller's 0 to 2", () => {
    const none = { descriptions: [], descriptors: [] };
    const planned = planDescriptors(none, { placements: [parseFdPlacement("5=null")], foreign: true });
    expect(planned.map(({ fd }) => fd)).toEqual([0, 1, 2, 5]);
    expect(planDescriptors(none, options)).toEqual([]);
  });
});

describe("prepareFiles() with placements", () => {
  it("makes a missing file to write to, and takes it away again unless the program starts", () => {
    const folder = makeFolder();
    const path = join(folder, "out");
    const placements = [parseFdPlacement(`7=${path}`)];
    const prepare = () => prepareFiles(stateOf([pipe], [7]), optionsFor(folder, { placements }));
    prepare()[Symbol.dispose]();
    expect(existsSync(path)).toBe(false);
    const files = prepare();
    files.commit();
    files[Symbol.dispose]();
    expect(statSync(path).size).toBe(0);
  });

  it("goes on behind the end of an existing file, and at the start of one to read", () => {
    const folder = makeFolder();
    const path = join(folder, "out");
    writeFileSync(path, "kept");
    const placements = [parseFdPlacement(`7=${path}`), parseFdPlacement(`8=${path}`)];
    const state = stateOf([pipe, { ...pipe, flags: 0 }], [7, 8]);
    using files = prepareFiles(state, optionsFor(folder, { placements }));
    expect(files.sources.map(({ position }) => position)).toEqual([4n, 0n]);
    expect(readFileSync(path, "utf8")).toBe("kept");
  });

  it("inherits a descriptor that cr was given, never one of Node's own, and does not close it", () => {
    const folder = makeFolder();
    const given = openSync("/dev/zero", "r");
    const place = (fd: number) => {
      const placements = [parseFdPlacement(`${fd}=inherit`)];
      return prepareFiles(stateOf([pipe], [fd]), optionsFor(folder, { placements }));
    };
    const files = place(given);
    expect(files.sources).toEqual([{ fd: given, position: null, descriptionId: null }]);
    files[Symbol.dispose]();
    expect(fstatSync(given).isCharacterDevice()).toBe(true);
    closeSync(given);
    expect(code(() => place(given))).toBe("FD_OUTSIDE");
    expect(code(() => place(500))).toBe("FD_OUTSIDE");
    const own = readdirSync("/proc/self/fd").map(Number).filter(isNodesOwn);
    expect(own.length).toBeGreaterThan(0);
    for (const fd of own) expect(message(() => place(fd))).toContain(`was not given a descriptor ${fd}`);
  });
});
