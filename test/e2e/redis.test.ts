/** A server without clients at the instant of its checkpoint, and one with ten of them in its tree. */
import { execFile } from "node:child_process";
import { readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { checkpoint, restore, running } from "../harness/cycle.js";
import { eventually } from "../harness/eventually.js";
import { throughLives } from "../harness/lives.js";
import { killHard } from "../harness/process.js";
import { withScene } from "../harness/scene.js";

const run = promisify(execFile);
const PORT = String(20_000 + (process.pid % 20_000));
const KEYS = 500;

async function redis(...command: readonly string[]): Promise<string> {
  const { stdout } = await run("redis-cli", ["-p", PORT, ...command], { timeout: 10_000 });
  return stdout.trim();
}

function socketsOf(pid: number): number {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  return links.filter((link) => link.startsWith("socket:")).length;
}

test("redis-server goes on with its keys after a kill and a restore", { timeout: 60_000 }, () =>
  withScene(async (scene) => {
    const target = await scene.start(["redis-server", "--port", PORT, "--save", "", "--dir", "FOLDER"]);
    await target.says("Ready to accept connections");
    const listening = socketsOf(target.pid);
    const script = `for i = 1, ${KEYS} do redis.call("set", "key" .. i, "value" .. i * i) end return "done"`;
    expect(await redis("eval", script, "0")).toBe("done");
    const core = join(scene.folder, "core");
    // Its sockets are the listening ones again when the last client's is closed.
    await eventually("the last client is gone", () => socketsOf(target.pid) === listening);
    await checkpoint(scene, { target, core });
    expect(await redis("set", "later", "lost")).toBe("OK");
    const restored = await restore(scene, { target, core });
    const life = await running(restored);
    expect(await redis("dbsize")).toBe(String(KEYS));
    expect(await redis("get", "key77")).toBe(String(`value${77 * 77}`));
    expect(await redis("get", "later")).toBe("");
    expect(await redis("set", "new", "kept")).toBe("OK");
    await killHard(life);
    expect((await restored.cr.done).status).toBe(128 + 9);
  }),
);

const CLIENTS = `
import os, socket, time
def ask(client, *words):
    client.sendall(b"*%d\\r\\n" % len(words) + b"".join(b"$%d\\r\\n%s\\r\\n" % (len(word), word) for word in words))
    return client.recv(65536)
def connected():
    while True:
        try:
            return socket.create_connection(("127.0.0.1", ${Number(PORT) + 1}))
        except ConnectionRefusedError:
            time.sleep(0.05)
clients = [connected() for _ in range(10)]
for client in clients:
    assert ask(client, b"multi") == b"+OK\\r\\n"
rounds = 0
while rounds < 20 or not os.path.exists("go"):
    for client in clients:
        assert ask(client, b"incr", b"number") == b"+QUEUED\\r\\n"
    rounds += 1
    if rounds == 10: print("working", flush=True)
    time.sleep(0.01)
for client in clients:
    last = ask(client, b"exec").split(b":")[-1]
print("ok" if int(last) == 10 * rounds else f"{last} after {rounds}", flush=True)
`;

test("a tree with redis-server and ten clients in transactions goes on", { timeout: 120_000 }, () =>
  withScene(async (scene) => {
    const clients = join(scene.folder, "clients.py");
    writeFileSync(clients, CLIENTS);
    const server = `redis-server --port ${Number(PORT) + 1} --save '' > log`;
    const target = await throughLives(scene, {
      argv: ["/bin/bash", "-c", `${server} & python3 ${clients}; kill $!; wait $!; echo end $?`],
      times: 2,
      started: (running) => running.says("working"),
    });
    expect(target.output()).toBe("working\nok\nend 0\n");
  }),
);
