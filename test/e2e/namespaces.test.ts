/**
 * Programs and trees in namespaces of their own, as unshare(1) makes them: killed and restored they are in equal ones.
 * What is in there and cannot be made again is refused by name.
 */
import { readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { throughLives } from "../harness/lives.js";
import { runsFreely } from "../harness/process.js";
import { expectRefusal } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import type { Target } from "../harness/target.js";

/** Two processes with a pipe between them, which tell at the end what they see. */
const TREE = `
hostname in-here
ip link set lo up
ping() { until [ -e go ]; do echo .; sleep 0.02; done; echo end; }
ping | while read -r line; do [ $line != end ] || break; [ $((n += 1)) != 3 ] || echo working >&2; done
echo "$(hostname) $(ip -o link show up | cut -d: -f2) $(ls /proc/sys/net/ipv4/conf | tr '\\n' ' ')" >&2
`;

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

test("a tree in host, IPC and network namespaces of its own, twice", { timeout: 120_000 }, () =>
  withScene(async (scene) => {
    const path = await script(scene.folder, TREE);
    let root = 0;
    const target = await throughLives(scene, {
      argv: ["unshare", "-u", "-i", "-n", "/bin/bash", path],
      times: 2,
      started: async (running) => {
        await running.says("working");
        root = running.pid;
        expect(namespaces(root)).toEqual(["uts", "ipc", "net"]);
      },
    });
    expect(target.output()).toBe("working\nin-here  lo all default lo \n");
    expect(root).toBe(target.pid);
  }),
);

/** Ends with its parent. */
const CHILD = "read -r line < <(unshare -u setpriv --pdeathsig KILL sh -c 'echo there; exec sleep 1000')";

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
    ["a semaphore", "-i", "ipcmk -S 1 >/dev/null", /the System V semaphore set 0 in its own ipc namespace/],
    ["a queue", "-i", "ipcmk -Q >/dev/null", /the System V queue 0 in its own ipc namespace/],
    ["a segment", "-i", "ipcmk -M 4096 >/dev/null", /segment 0, which nobody has attached, in its own ipc/],
    ["a child elsewhere", "-u", CHILD, /an own uts namespace, another one than that of/],
    ["control groups", "-C", ":", /an own cgroup namespace/],
  ])("%s", (_title, flag, act, names) =>
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
