/** Real servers under real clients, connected before the checkpoint and served after the restore by one connection. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, get } from "node:http";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult, jsonOf } from "../harness/cr.js";
import { eventually } from "../harness/eventually.js";
import { type Scene, withScene } from "../harness/scene.js";
import type { Target } from "../harness/target.js";

const REDIS_PORT = String(20_000 + ((process.pid + 7_919) % 20_000));
const HTTP_SERVER = `
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    count = 0
    def do_GET(self):
        Handler.count += 1
        body = f"{Handler.count} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print("port", server.server_address[1], flush=True)
server.serve_forever()
`;

async function killAndRestore(scene: Scene, target: Target, whileDead: () => void): Promise<void> {
  const core = join(scene.folder, "core");
  const saved = await scene.cr(["checkpoint", `${target.pid}`, "-o", core, "--kill", "--json"]);
  expect(saved.status, describeResult(saved)).toBe(0);
  whileDead();
  const restored = await scene.cr(["restore", core, "--detach", "--json"]);
  expect(restored.status, describeResult(restored)).toBe(0);
  scene.adopt(Number(jsonOf(restored).pid));
}

test("redis-server goes on with ten clients, one of them in a transaction", { timeout: 120_000 }, () =>
  withScene(async (scene) => {
    const argv = ["redis-server", "--port", REDIS_PORT, "--save", "", "--dir", "FOLDER"];
    const target = await scene.start(argv);
    await target.says("Ready to accept connections");
    const clients = Array.from({ length: 10 }, () => startRedisClient());
    try {
      const ids = await Promise.all(clients.map((client) => client.ask("client id")));
      expect(new Set(ids).size).toBe(10);
      const [first, second] = clients;
      expect(await first?.ask("multi")).toBe("OK");
      expect(await first?.ask("set key inside")).toBe("QUEUED");
      let late: Promise<string> | undefined;
      await killAndRestore(scene, target, () => {
        late = second?.ask("set other late");
      });
      expect(await late).toBe("OK");
      expect(await first?.ask("get other")).toBe("QUEUED");
      expect(await first?.ask("exec")).toBe("OK");
      expect(await first?.next()).toBe("late");
      expect(await second?.ask("get key")).toBe("inside");
      // redis-cli connects anew by itself: the numbers tell that nobody has.
      expect(await Promise.all(clients.map((client) => client.ask("client id")))).toEqual(ids);
    } finally {
      for (const client of clients) client.end();
    }
  }),
);

/** redis-cli with lines in and lines out, over one connection. */
function startRedisClient() {
  const child = spawn("redis-cli", ["-p", REDIS_PORT], { stdio: ["pipe", "pipe", "ignore"] });
  let lines: string[] = [];
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    lines = [...lines, ...parts];
  });
  const next = async () => {
    await eventually("redis-cli prints a line", () => lines.length > 0, { timeoutMs: 60_000 });
    return lines.shift() ?? "";
  };
  return {
    next,
    ask: async (command: string) => {
      child.stdin.write(`${command}\n`);
      return await next();
    },
    end: () => child.kill("SIGKILL"),
  };
}

test("an HTTP server in Python serves the same client by the same connection", { timeout: 120_000 }, () =>
  withScene(async (scene) => {
    const target = await scene.start(["/usr/bin/python3", "-c", HTTP_SERVER]);
    await target.says("port");
    const port = Number(/port (\d+)/.exec(target.output())?.[1]);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      const before = await fetchText(agent, port, "/before");
      expect(before.body).toBe("1 /before");
      let asked: ReturnType<typeof fetchText> | undefined;
      await killAndRestore(scene, target, () => {
        asked = fetchText(agent, port, "/while-dead");
      });
      expect(await asked).toEqual({ body: "2 /while-dead", clientPort: before.clientPort });
      expect(await fetchText(agent, port, "/after")).toEqual({
        body: "3 /after",
        clientPort: before.clientPort,
      });
    } finally {
      agent.destroy();
    }
  }),
);

async function fetchText(agent: Agent, port: number, path: string) {
  const request = get({ agent, port, path, host: "127.0.0.1" });
  const [response] = await once(request, "response");
  // A keep-alive connection gives its socket back when all has been read.
  const clientPort: number = response.socket.localPort;
  let body = "";
  for await (const part of response.setEncoding("utf8")) body += part;
  return { body, clientPort };
}
