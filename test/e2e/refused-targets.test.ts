/** Processes that cannot be checkpointed: each is refused by name, is not disturbed, and no file appears. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { ErrorCode } from "../../src/errors.js";
import { describeResult, jsonOf } from "../harness/cr.js";
import { killHard, runsFreely, statOf, statusLine } from "../harness/process.js";
import { expectRefusal, listing } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import { fixture, type Target } from "../harness/target.js";

const CR = fileURLToPath(new URL("../../bin/cr", import.meta.url));

async function ready(scene: Scene, argv: readonly string[]): Promise<Target> {
  const target = await scene.start(argv);
  await target.says("ready");
  return target;
}

/** A checkpoint that must be refused with the code, and leave neither a file nor the temporary of one. */
async function refuses(
  scene: Scene,
  pid: number,
  { code, ...options }: { code: ErrorCode; names?: RegExp; asNobody?: boolean },
): Promise<void> {
  const before = listing(scene.folder);
  const output = join(scene.folder, "core");
  const result = await scene.cr(["checkpoint", String(pid), "-o", output], options);
  expectRefusal(result, { codes: [code], ...(options.names && { names: options.names }) });
  expect(listing(scene.folder)).toEqual(before);
}

async function endsWell(target: Target): Promise<void> {
  expect(runsFreely(target), `state ${statOf(target.pid)?.state}`).toBe(true);
  target.go();
  expect(await target.ended(), target.output()).toBe("exited 0");
}

describe("cr checkpoint refuses", () => {
  test.concurrent("a pid that nobody has", () =>
    withScene(async (scene) => {
      const target = await ready(scene, [fixture("calls"), "FOLDER"]);
      await killHard(target);
      await refuses(scene, target.pid, { code: "NO_SUCH_PROCESS", names: new RegExp(`${target.pid}`) });
    }));

  test.concurrent("a kernel thread", () =>
    withScene((scene) =>
      refuses(scene, 2, { code: "UNSUPPORTED_PROCESS", names: /thread of the kernel|kernel thread/ }),
    ));

  test.concurrent("a zombie", () =>
    withScene(async (scene) => {
      const parent = await ready(scene, [fixture("unsupported"), "FOLDER", "zombie"]);
      const zombie = Number(parent.output().match(/child (\d+)/)?.[1]);
      await refuses(scene, zombie, { code: "UNSUPPORTED_PROCESS", names: /zombie/ });
      await endsWell(parent);
    }));

  test.concurrent("somebody else's process", () =>
    withScene(async (scene) => {
      const target = await ready(scene, [fixture("calls"), "FOLDER"]);
      await refuses(scene, target.pid, { code: "NOT_PERMITTED", asNobody: true });
      await endsWell(target);
    }));

  test.concurrent("a process that somebody traces", () =>
    withScene(async (scene) => {
      const target = await ready(scene, [fixture("calls"), "FOLDER"]);
      const tracer = await ready(scene, [fixture("trace"), "FOLDER", String(target.pid)]);
      await refuses(scene, target.pid, { code: "ALREADY_TRACED", names: new RegExp(`${tracer.pid}`) });
      expect(statusLine(target.pid, "TracerPid")).toBe(String(tracer.pid));
      tracer.go();
      expect(await tracer.ended()).toBe("exited 0");
      await endsWell(target);
    }));

  test.concurrent("seccomp filters that would kill it if cr died, and any without the right to suspend them", () =>
    withScene(async (scene) => {
      const deadly = await ready(scene, [fixture("seccomp"), "FOLDER", "deadly"]);
      await refuses(scene, deadly.pid, { code: "UNSUPPORTED_STATE", names: /seccomp filter.*getitimer/ });
      await endsWell(deadly);
      const other = await scene.start([fixture("seccomp"), "FOLDER"], { asNobody: true });
      await other.says("ready");
      await refuses(scene, other.pid, {
        code: "UNSUPPORTED_STATE",
        names: /seccomp filter.*CAP_SYS_ADMIN/,
        asNobody: true,
      });
      await endsWell(other);
    }));

  test.concurrent("a 32-bit process", () =>
    withScene(async (scene) => {
      const target = await scene.start([fixture("loop32")]);
      await refuses(scene, target.pid, { code: "UNSUPPORTED_PROCESS", names: /32-bit/ });
      expect(runsFreely(target)).toBe(true);
    }));

  test.concurrent("itself", () =>
    withScene(async (scene) => {
      const script = `exec ${CR} checkpoint $$ -o core`;
      const self = await scene.start(["sh", "-c", script]);
      expect(await self.ended()).toBe("exited 1");
      expect(existsSync(join(self.folder, "core"))).toBe(false);
      const said = readFileSync(join(self.folder, "stderr"), "utf8");
      expect(said).toMatch(/^cr: UNSUPPORTED_PROCESS: .*itself.*\ncr: next: /);
    }));

  test.concurrent.each(["abc", "0", "-5", "1.5", ""])("the pid '%s' as wrong usage", (pid) =>
    withScene(async (scene) => {
      const result = await scene.cr(["checkpoint", "-o", join(scene.folder, "core"), "--", pid]);
      expect(result.status, describeResult(result)).toBe(2);
      expect(listing(scene.folder)).toEqual([]);
    }),
  );
});

/** Each kind of state of a later version, with a word its message must hold. */
const UNSUPPORTED: readonly (readonly [string, RegExp])[] = [
  ["thread-folder", /working folder or umask of its own/],
  ["thread-files", /descriptors of its own/],
  ["met", /fd:\d+.*a connection to a name where nobody in it listens any more \(unix\)/],
  ["met-twice", /fd:\d+.*a pair with two names \(unix\)/],
  ["met-letters", /fd:\d+.*a pair with a name \(unix, datagrams\)/],
  ["ending", /fd:\d+.*a connection to 127\.0\.0\.1:\d+ that is being made or ended \(TCP\)/],
  ["netlink", /fd:\d+.*address family 16/],
  ["packets", /fd:\d+.*unread packets/],
  ["events", /fd:\d+.*unread events/],
  ["far-owner", /fd:\d+.*F_SETOWN/],
  ["pty-unread", /fd:\d+: a pseudo-terminal \(\/dev\/pts\/\d+\) with unread bytes/],
  ["pty-session", /fd:\d+: a pseudo-terminal .* that is the controlling terminal of session \d+/],
  ["pty-locked", /fd:\d+: a pseudo-terminal .* with locked settings \(TIOCSLCKTRMIOS\)/],
  ["namespace", /fd:\d+.*mnt:/],
  ["pidfd", /fd:\d+.*pidfd/],
  ["io_uring", /fd:\d+.*io_uring/],
];

/** What only the stop shows. */
const SELDOM: readonly (readonly [string, RegExp])[] = [
  ["ldt", /modify_ldt/],
  ["process-keyring", /KEY_SPEC_PROCESS_KEYRING/],
  ["thread-keyring", /tid:\d+.*KEY_SPEC_THREAD_KEYRING/],
  ["breakpoint", /tid:\d+.*hardware breakpoints/],
  ["thread-area", /tid:\d+.*set_thread_area/],
];

describe("cr checkpoint refuses by name, in the stop,", () => {
  test.concurrent.each(SELDOM)("a process with: %s", (kind, names) =>
    withScene(async (scene) => {
      const target = await ready(scene, [fixture("seldom"), "FOLDER", kind]);
      await refuses(scene, target.pid, { code: "UNSUPPORTED_STATE", names });
      await endsWell(target);
    }),
  );
});

describe("cr checkpoint refuses by name, before it stops anything,", () => {
  test.concurrent.each(UNSUPPORTED)("a process with: %s", (kind, names) =>
    withScene(async (scene) => {
      const target = await ready(scene, [fixture("unsupported"), "FOLDER", kind]);
      await refuses(scene, target.pid, { code: "UNSUPPORTED_STATE", names });
      await endsWell(target);
    }),
  );

  test.concurrent("and tells all of it with --json", () =>
    withScene(async (scene) => {
      const target = await ready(scene, [fixture("unsupported"), "FOLDER", "ending"]);
      const result = await scene.cr(["checkpoint", String(target.pid), "--json"]);
      expect(result.status).toBe(1);
      const { error } = jsonOf(result) as { error: Record<string, unknown> };
      expect(error).toMatchObject({ code: "UNSUPPORTED_STATE", hint: expect.any(String) });
      expect(JSON.stringify(error).match(/fd:\d+/g)?.length).toBeGreaterThanOrEqual(2);
      await endsWell(target);
    }));
});
