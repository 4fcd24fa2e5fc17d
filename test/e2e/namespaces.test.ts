/**
 * Programs and trees in namespaces of their own, as unshare(1) and bwrap(1) make them: killed and restored they are in equal ones.
 * What is in there and cannot be made again is refused by name.
 */
import { readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { throughLives } from "../harness/lives.js";
import { runsFreely } from "../harness/process.js";
import { expectRefusal, FAILED_FOREGROUND } from "../harness/refusal.js";
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

/** What it tells is as seen in there; the last word is from its own /proc. Other tests mount things elsewhere. */
const INSIDE = `
mount_count() { grep -cE ' /(proc|sys|dev)? ' /proc/self/mountinfo; }
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

/** As bwrap(1) makes them: another table of mounts, with a tmpfs that has something in it; FOLDER is there, too. */
const JAIL = `
echo hello >/tmp/file; ln -s file /tmp/link; mkdir -m 1777 /tmp/dir; mkfifo -m 640 /tmp/dir/fifo
chown 1 /tmp/file 2>/dev/null; touch -d 2001-02-03 /tmp/dir
places='/ / /tmp /proc /proc/irq /dev /dev/null /dev/pts'
mounts() { awk -v places="$places" '{ m[$5] = $4 " " $6 } END { n = split(places, p, " "); for (i = 1; i <= n; i++) print p[i], m[p[i]] }' /proc/self/mountinfo; }
look() { ls -lR --full-time /tmp/file /tmp/link /tmp/dir; ls -l /dev | cut -c1-30; cat /tmp/file; mounts; echo $$ $(hostname) $(cat /proc/self/cgroup) /proc/[0-9]*; }
look >before
echo working
until [ -e go ]; do read -r -t 0.05 </dev/zero; done
look >after
diff before after && echo same
`;

test.concurrent("a tree in a jail of bwrap, twice", { timeout: 120_000 }, () =>
  withScene(async (scene) => {
    const path = await script(scene.folder, JAIL);
    const jail = [
      "--tmpfs",
      "/tmp",
      "--bind",
      scene.folder,
      scene.folder,
      "--proc",
      "/proc",
      "--dev",
      "/dev",
    ];
    const target = await throughLives(scene, {
      argv: ["bwrap", "--ro-bind", "/", "/", ...jail, "--unshare-all", "/bin/bash", path],
      times: 2,
      started: async (running) => {
        await running.says("working");
        expect(namespaces(running.pid)).toEqual([]);
        expect(namespaces(childOf(running.pid))).toEqual(KINDS);
      },
    });
    expect(target.output()).toBe("working\nsame\n");
  }),
);

describe("a tree in namespaces of its own, made by unshare", () => {
  test.concurrent.each(SHAPES)("%s", { timeout: 120_000 }, (flags, ...[ofRoot, ofChild]) =>
    withScene(async (scene) => {
      const path = await script(scene.folder, INSIDE);
      const target = await throughLives(scene, {
        argv: ["unshare", ...flags.split(" "), "/bin/bash", path],
        times: flags.includes("-p ") ? 2 : 1,
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

const FOREIGN_SOCKET =
  "exec python3 -c 'import ctypes, socket, time; s = socket.socket(); ctypes.CDLL(None).unshare(1 << 30); print(\"ready\", flush=True); time.sleep(1000)'";

/** Its child has the same working folder (CLONE_FS), and dies with it. */
const SHARER =
  "exec python3 -c 'import ctypes, time; c = ctypes.CDLL(None); p = c.syscall(56, 0x211, 0, 0, 0, 0); p or c.prctl(1, 9); p and print(\"ready\", flush=True); time.sleep(1000)'";

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
    ["a socket of another", "-u", FOREIGN_SOCKET, /a socket \(socket:\[\d+\]\) of another network namespace/],
    ["a mount", "-m", "mount -t ramfs none /mnt", /the mount of ramfs on \/mnt in its own mnt namespace/],
    [
      "a file of its own",
      "-m",
      "mount -t tmpfs none /mnt; exec 5>/mnt/f",
      /\/mnt\/f, which is not to be found by/,
    ],
    [
      "hard links",
      "-m",
      "mount -t tmpfs none /mnt; >/mnt/a; ln /mnt/a /mnt/b",
      /the hard link \/mnt\/[ab] in its/,
    ],
    ["no pids yet", "-p", ":", /a pid namespace for children that it has not got/],
    [
      "who shares",
      "-m",
      SHARER,
      /processes that share what else only threads do \(clone\(2\)\) in an own namespace/,
    ],
    ["users with threads", "-U", THREADED, /several threads in an own user namespace/],
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

test("who may not enter or make them is told so", () =>
  withScene(async (scene) => {
    const argv = ["unshare", "-U", "-u", "sh", "-c", "echo ready; exec sleep 1000"];
    const [own, core] = [await scene.start(argv, { asNobody: true }), join(scene.folder, "core")];
    await own.says("ready");
    const output = join(own.folder, "core");
    const refused = await scene.cr(["checkpoint", `${own.pid}`, "-o", output], { asNobody: true });
    const names = /an own uts namespace, which cr may not enter \(CAP_SYS_ADMIN\)/;
    expectRefusal(refused, { codes: ["UNSUPPORTED_STATE"], names });
    const under = ["setpriv", "--bounding-set", "-sys_admin"];
    const target = await scene.start(["unshare", "-u", ...under, ...argv.slice(3)]);
    await target.says("ready");
    await scene.cr(["checkpoint", `${target.pid}`, "-o", core, "--kill"]);
    const result = await scene.cr(["restore", core, "--pid", "new"], { under });
    expectRefusal(result, {
      codes: ["NOT_PERMITTED"],
      status: FAILED_FOREGROUND,
      names: /namespaces of its own \(uts\): cr may not make them/,
    });
  }));

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
