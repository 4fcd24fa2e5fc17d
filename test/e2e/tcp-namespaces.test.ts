/**
 * An address that moves: a server in one network namespace is saved and killed, another namespace takes its address
 * over, and the server is restored there. Its client, in a third, notices a pause.
 */
import { execFile, spawn } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { describeResult, jsonOf } from "../harness/cr.js";
import { eventually } from "../harness/eventually.js";
import { findByEnvironment } from "../harness/process.js";
import { expectRefusal } from "../harness/refusal.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

const run = promisify(execFile);
const SERVER = "10.213.0.2";
/** Connects to the address it is given and passes lines on, both ways. */
const CLIENT = `
import socket, sys, threading
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def show():
    for line in s.makefile():
        print(line, end="", flush=True)
    print("ended", flush=True)
threading.Thread(target=show, daemon=True).start()
for line in sys.stdin:
    s.sendall(line.encode())
`;

/** Three namespaces on one bridge, which is in that of the client. */
async function withNetworks(act: (names: Record<"client" | "old" | "fresh", string>) => Promise<void>) {
  const [client, old, fresh] = ["c", "o", "f"].map((letter) => `recore-${process.pid}-${letter}`);
  if (client === undefined || old === undefined || fresh === undefined) throw new RangeError("three names");
  const ip = async (...words: readonly string[]) => await run("ip", words);
  try {
    for (const name of [client, old, fresh]) {
      await ip("netns", "add", name);
      await ip("-n", name, "link", "set", "lo", "up");
    }
    await ip("-n", client, "link", "add", "bridge", "type", "bridge");
    for (const [index, name] of [old, fresh].entries()) {
      const port = `port${index}`;
      await ip("-n", client, "link", "add", port, "type", "veth", "peer", "name", "eth", "netns", name);
      await ip("-n", client, "link", "set", port, "master", "bridge", "up");
      await ip("-n", name, "link", "set", "eth", "up");
    }
    await ip("-n", client, "address", "add", "10.213.0.1/24", "dev", "bridge");
    await ip("-n", client, "link", "set", "bridge", "up");
    await ip("-n", old, "address", "add", `${SERVER}/24`, "dev", "eth");
    await act({ client, old, fresh });
  } finally {
    for (const name of [client, old, fresh]) await ip("netns", "delete", name).catch(() => {});
  }
}

/**
 * Where the client looks for the address. It goes on looking in the old place until the server is restored: where a
 * packet comes to an address without the connection, it is answered by a reset.
 */
async function leadTo(client: string, server: string): Promise<void> {
  const { stdout } = await run("ip", ["-n", server, "-json", "link", "show", "eth"]);
  const [{ address }] = JSON.parse(stdout);
  const entry = [SERVER, "lladdr", address, "dev", "bridge", "nud", "permanent"];
  await run("ip", ["-n", client, "neighbour", "replace", ...entry]);
}

function inside(name: string): string[] {
  return ["nsenter", `--net=/run/netns/${name}`];
}

function startClient(name: string, port: string) {
  const [enter = "", ...args] = inside(name);
  const child = spawn(enter, [...args, "/usr/bin/python3", "-c", CLIENT, SERVER, port], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (more: string) => {
    text += more;
  });
  return {
    send: (line: string) => child.stdin.write(`${line}\n`),
    says: (line: string) =>
      eventually(
        () => `the client says ${line}; it said ${text}`,
        () => text.includes(`${line}\n`),
        { timeoutMs: 60_000 },
      ),
    said: () => text,
    end: () => child.kill("SIGKILL"),
  };
}

test("a server goes on where its address has moved to", { timeout: 120_000 }, () =>
  withNetworks(({ client: clientNet, old, fresh }) =>
    withScene(async (scene) => {
      const target = await scene.start([...inside(old), fixture("echo"), "FOLDER", "4", SERVER]);
      await target.says("port");
      const client = startClient(clientNet, /port (\d+)/.exec(target.output())?.[1] ?? "");
      try {
        await leadTo(clientNet, old);
        client.send("one");
        await client.says("1 one");
        const core = join(scene.folder, "core");
        const args = ["checkpoint", `${target.pid}`, "-o", core, "--kill", "--tcp-hold", "2m"];
        const saved = await scene.cr(args, { under: inside(old) });
        expect(saved.status, describeResult(saved)).toBe(0);
        client.send("two");
        const early = await scene.cr(["restore", core, "--detach"], { under: inside(fresh) });
        expectRefusal(early, { codes: ["RESTORE_FAILED"], names: /10\.213\.0\.2:\d+: EADDRNOTAVAIL/ });
        expect(early.stderr).toMatch(/ip address add/);
        await run("ip", ["-n", old, "address", "delete", `${SERVER}/24`, "dev", "eth"]);
        await run("ip", ["-n", fresh, "address", "add", `${SERVER}/24`, "dev", "eth"]);
        const restored = await scene.cr(["restore", core, "--detach", "--json"], { under: inside(fresh) });
        expect(restored.status, describeResult(restored)).toBe(0);
        scene.adopt(Number(jsonOf(restored).pid));
        await leadTo(clientNet, fresh);
        await client.says("2 two");
        client.send("three");
        await client.says("3 three");
        expect(client.said()).not.toContain("ended");
      } finally {
        client.end();
        // It holds packets in the old namespace, where nobody will come back to.
        for (const { pid, command } of findByEnvironment(`RECORE_SCENE=${scene.folder}`)) {
          if (command.includes("cr-hold")) process.kill(pid, "SIGKILL");
        }
      }
    }),
  ),
);
