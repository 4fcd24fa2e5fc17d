/** Symbolic links that somebody has put on the way to a program's files since: root does not follow them. */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { type Scene, withScene } from "../harness/scene.js";

const WAIT = "print('ready',flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)\nprint('ok')";
const KINDS = {
  open: "f=open('sub/file','r+')",
  mapped: "f=open('sub/file','r+b'); m=mmap.mmap(f.fileno(),0); f.close()",
  deleted: "f=open('sub/file','r+'); os.unlink('sub/file')",
};

/** A program of nobody's with something in the folder `sub`, saved by root and killed. */
async function killed(scene: Scene, kind: keyof typeof KINDS, extra: readonly string[] = []) {
  const script = `import os,mmap,time\nos.mkdir('sub'); open('sub/file','w').write('x'*5000)\n${KINDS[kind]}\n${WAIT}`;
  const target = await scene.start(["python3", "-c", script], { asNobody: true });
  await target.says("ready");
  const core = join(scene.folder, "core");
  const result = await scene.cr(["checkpoint", String(target.pid), "-o", core, "--kill", ...extra]);
  expect(result.status, describeResult(result)).toBe(0);
  return { target, core, sub: join(target.folder, "sub") };
}

test.concurrent.each([
  { kind: "open" as const, extra: [], remove: false },
  { kind: "open" as const, extra: ["--files", "snapshot"], remove: false },
  { kind: "mapped" as const, extra: [], remove: true },
  { kind: "deleted" as const, extra: [], remove: false },
])("a file ($kind, checkpoint $extra)", ({ kind, extra, remove }) =>
  withScene(async (scene) => {
    const { target, core, sub } = await killed(scene, kind, extra);
    const elsewhere = join(scene.folder, "elsewhere");
    mkdirSync(elsewhere);
    if (!remove) writeFileSync(join(elsewhere, "file"), "not to be touched");
    const before = readdirSync(elsewhere);
    renameSync(sub, `${sub}.before`);
    symlinkSync(elsewhere, sub);
    for (const policy of ["rollback", "keep"]) {
      if (kind === "mapped" && policy === "keep") continue;
      const result = await scene.cr(["restore", core, "--files", policy]);
      expect(result.status, describeResult(result)).toBe(125);
      expect(result.stderr).toMatch(/FILE_CHANGED: open .*symbolic link now/);
    }
    expect(readdirSync(elsewhere)).toEqual(before);
    if (!remove) expect(readFileSync(join(elsewhere, "file"), "utf8")).toBe("not to be touched");
    execFileSync("rm", [sub]);
    renameSync(`${sub}.before`, sub);
    expect(existsSync(sub)).toBe(true);
    target.go();
    const again = await scene.cr(["restore", core]);
    expect(again.status, describeResult(again)).toBe(0);
    expect(target.output()).toBe("ready\nok\n");
  }),
);
