/** System V semaphores and message queues of real programs: rolled back, made again, and refused where others use them. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { checkpoint } from "../harness/cycle.js";
import { killHard } from "../harness/process.js";
import { expectRefusal, FAILED, FAILED_FOREGROUND } from "../harness/refusal.js";
import { type Scene, withScene } from "../harness/scene.js";
import type { Target } from "../harness/target.js";
import { checkpointTree, killTree, membersOf } from "../harness/tree.js";

/** Two semaphores and a queue with two messages; at the end it tells what is in them, and removes them. */
const PROGRAM = `
$| = 1;
my ($set, $queue) = (semget(0, 2, 0600), msgget(0, 0600));
semop($set, pack("s!3 s!3", 0, 3, 0, 1, 4, 0)) or die "semop: $!";
msgsnd($queue, pack("l! a*", $_, "message $_"), 0) or die "msgsnd: $!" for 7, 8;
print "ready $set $queue\\n";
select(undef, undef, undef, 0.01) until -e "$ARGV[0]/go";
my @told = map { semctl($set, $_, 12, 0) } 0, 1;
while (msgrcv($queue, my $message, 100, 0, 04000)) { push @told, unpack("x[l!] a*", $message) }
print join(", ", @told), "\\n";
semctl($set, 0, 0, 0); msgctl($queue, 0, 0);
`;
const TOLD = /\n3, 4, message 7, message 8\n$/;

interface Used extends Target {
  readonly set: string;
  readonly queue: string;
}

async function start(scene: Scene): Promise<Used> {
  const target = await scene.start(["perl", "-e", PROGRAM, "FOLDER"]);
  await target.says("ready");
  const [, set = "", queue = ""] = /ready (\d+) (\d+)/.exec(target.output()) ?? [];
  return { ...target, set, queue };
}

function perl(script: string): void {
  execFileSync("perl", ["-e", script]);
}

test("what the dead program had left behind is rolled back, or made again", () =>
  withScene(async (scene) => {
    const target = await start(scene);
    const { set, queue } = target;
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core });
    await killHard(target);
    perl(`semop(${set}, pack("s!3", 1, -2, 0)) or die; msgrcv(${queue}, my $m, 100, 0, 0) or die`);
    const detached = await scene.cr(["restore", core, "--detach", "--json"]);
    expect(detached.status, describeResult(detached)).toBe(0);
    const life = scene.adopt(Number(JSON.parse(detached.stdout).pid));
    // What was put back is the program's again.
    await checkpoint(scene, { target: life, core: `${core}.2` });
    await killHard(life);
    perl(`semctl(${set}, 0, 0, 0) or die; msgctl(${queue}, 0, 0) or die`);
    target.go();
    const end = await scene.cr(["restore", `${core}.2`]);
    expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    expect(end.stderr).toContain(`the System V semaphores ${set} (key 0x00000000): gone, and made again`);
    expect(target.output()).toMatch(TOLD);
  }));

test("what somebody else uses is refused by name, and left as it is", () =>
  withScene(async (scene) => {
    const target = await start(scene);
    const { set, queue } = target;
    const core = join(scene.folder, "core");
    await checkpoint(scene, { target, core });
    const uses = `semop(${set}, pack("s!3", 1, 1, 0)); semop(${set}, pack("s!3", 1, -1, 0)); print "ready\\n"; sleep`;
    const other = await scene.start(["perl", "-e", `$| = 1; ${uses}`]);
    await other.says("ready");
    const used = `\\(key 0x00000000\\).* process ${other.pid} \\(perl\\) uses`;
    expectRefusal(await scene.cr(["checkpoint", `${target.pid}`, "-o", `${core}.2`]), {
      ...{ codes: ["UNSUPPORTED_STATE"], status: FAILED },
      names: new RegExp(`sem:${set}: System V semaphores ${used}`),
    });
    await killHard(target);
    const codes = ["FILE_CHANGED"] as const;
    const names = new RegExp(`restore the System V semaphores ${set} ${used}`);
    expectRefusal(await scene.cr(["restore", core]), { codes, status: FAILED_FOREGROUND, names });
    await killHard(other);
    perl(`msgctl(${queue}, 0, 0) or die`);
    const failed = await scene.cr(["restore", core], { env: { CR_FAULT: "restore-after-rebuild:error" } });
    expect(failed.status).toBe(FAILED_FOREGROUND);
    expect(() => perl(`msgsnd(${queue}, pack("l!", 1), 0) or die`)).toThrow();
    writeFileSync(join(target.folder, "go"), "");
    const end = await scene.cr(["restore", core]);
    expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    expect(target.output()).toMatch(TOLD);
  }));

test("all that is in an IPC namespace of its own comes back in one made anew", () =>
  withScene(async (scene) => {
    const path = join(scene.folder, "program.sh");
    const list = "awk 'FNR > 1 { print FILENAME, $2, $3 }' /proc/sysvipc/sem /proc/sysvipc/msg";
    writeFileSync(
      path,
      `ipcmk -S 2 -p 0640; ipcmk -Q; echo ready; until test -e "$1/go"; do sleep 0.01; done; ${list}`,
    );
    const target = await scene.start(["unshare", "-i", "/bin/bash", path, "FOLDER"]);
    await target.says("ready");
    const core = join(scene.folder, "core");
    await checkpointTree(scene, { target, bundle: core });
    await killTree(scene, membersOf(core));
    target.go();
    const end = await scene.cr(["restore", core]);
    expect(end.status, `${describeResult(end)}\nit said: ${target.output()}`).toBe(0);
    expect(end.stderr).toBe("");
    expect(target.output()).toMatch(/ready\n\/proc\/sysvipc\/sem 0 640\n\/proc\/sysvipc\/msg 0 644\n$/);
  }));
