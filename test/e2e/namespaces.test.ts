/**
 * Programs and trees in namespaces of their own, as unshare(1) makes them: killed and restored they are in equal ones.
 * What is in there and cannot be made again is refused by name.
 */
import { readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { throughLives } from "../harness/lives.js";
import { runsFreely } from "../harness/process.js";
import { expectRefusal } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import type { Target } from "../harness/target.js";

function childOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ")[0]);
}

async function script(folder: string, text: string): Promise<string> {
  const path = join(folder, "script.sh");
  writeFileSync(path, `exec 2>&1\n${text}`);
  return path;
}

const KINDS = ["uts", "ipc", "net", "mnt", "pid", "user"] as const;

function namespaces(pid: number): string[] {
  return KINDS.filter(
    (kind) => readlinkSync(`/proc/${pid}/ns/${kind}`) !== readlinkSync(`/proc/self/ns/${kind}`),
  );
}

/** What it tells is as seen in there; the last word is from its own /proc. */
const INSIDE = `
mount_count() { grep -c . /proc/self/mountinfo; }
before="$$ $(mount_count) $(id -u) $(cat /proc/$$/comm) $(pwd)"
sleep 1000 & job=$!
ping() { until [ -e go ]; do echo .; sleep 0.02; done; echo end; }
ping | while read -r line; do [ $line != end ] || break; [ $((n += 1)) != 3 ] || echo working >&2; done
after="$$ $(mount_count) $(id -u) $(cat /proc/$$/comm) $(pwd)"
[ "$before" = "$after" ] || echo "was $before, is $after"
kill $job; wait $job; set -- $? /proc/[1-9]*; echo "$1 $#"
`;

/** Flags of unshare(1), and which namespaces the root and its child then have of their own. */
const SHAPES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ["-m -u --propagation slave", ["uts", "mnt"], ["uts", "mnt"]],
  ["-p -f -m --mount-proc", ["mnt"], ["mnt", "pid"]],
  ["-U -r -n -u -i", ["uts", "ipc", "net", "user"], ["uts", "ipc", "net", "user"]],
  ["-U -p -f -r --mount-proc", ["mnt", "user"], ["mnt", "pid", "user"]],
];

describe("a tree in namespaces of its own, twice, made by unshare", () => {
  test.concurrent.each(SHAPES)("%s", { timeout: 120_000 }, (flags, ...[ofRoot, ofChild]) =>
    withScene(async (scene) => {
      const path = await script(scene.folder, INSIDE);
      const target = await throughLives(scene, {
        argv: ["unshare", ...flags.split(" "), "/bin/bash", path],
        times: 2,
        started: async (running) => {
          await running.says("working");
          expect(namespaces(running.pid)).toEqual(ofRoot);
          const child = childOf(running.pid);
          expect(namespaces(child)).toEqual(ofChild);
        },
      });
      expect(target.output()).toMatch(/^working\n143 \d+\n$/);
    }),
  );
});

/** Ends with its parent. */
const CHILD = "read -r line < <(unshare -u setpriv --pdeathsig KILL sh -c 'echo there; exec sleep 1000')";

const THREADED =
  "exec python3 -c 'import threading; threading.Thread(target=threading.Event().wait).start(); print(\"ready\", flush=True)'";

describe("what is in a namespace and cannot be made again is refused by name", () => {
  test.concurrent.each([
    [
      "an interface",
      "-n",
      "ip link add other type veth peer name far",
      /the interface (other|far) in its own net/,
    ],
    [
      "an address",
      "-n",
      "ip link set lo up; ip address add 10.9.8.7/32 dev lo",
      /the address 10\.9\.8\.7 in its/,
    ],
    [
      "a route",
      "-n",
      "ip link set lo up; ip route add 10.9.8.0/24 dev lo",
      /routes in its own net namespace/,
    ],
    ["a segment", "-i", "ipcmk -M 4096 >/dev/null", /segment 0, which nobody has attached, in its own ipc/],
    ["a child elsewhere", "-u", CHILD, /an own uts namespace, another one than that of/],
    ["a mount", "-m", "mount -t tmpfs none /mnt", /the mount of tmpfs on \/mnt in its own mnt namespace/],
    [
      "no mount",
      "-m",
      "umount /run/netns || mount -o remount,bind,ro /dev/shm",
      /the lack of the \w+ that cr has/,
    ],
    ["users with threads", "-U", THREADED, /several threads in an own user namespace/],
    ["control groups", "-C", ":", /an own cgroup namespace/],
  ])("%s", (_title, ...[flag, act, names]) =>
    withScene(async (scene) => {
      const path = await script(scene.folder, `${act}\necho ready\nexec sleep 1000`);
      const target: Target = await scene.start(["unshare", flag, "/bin/bash", path]);
      await target.says("ready");
      const result = await scene.cr(["checkpoint", `${target.pid}`, "-o", join(scene.folder, "core")]);
      expectRefusal(result, { codes: ["UNSUPPORTED_STATE"], names });
      expect(runsFreely(target)).toBe(true);
    }),
  );
});

test("of a tree in a pid namespace the process outside of it is to be taken", () =>
  withScene(async (scene) => {
    const target = await scene.start([
      "unshare",
      "-p",
      "-f",
      "--kill-child",
      "sh",
      "-c",
      "echo ready; sleep 1000",
    ]);
    await target.says("ready");
    const args = ["checkpoint", `${childOf(target.pid)}`, "-o", join(scene.folder, "core")];
    const names = new RegExp(
      `an own pid namespace: checkpoint process ${target.pid} \\(unshare\\), which made it`,
    );
    expectRefusal(await scene.cr(args), { codes: ["UNSUPPORTED_STATE"], names });
  }));
