/** A web server of a master and two workers: memory zones, channels, one listening socket, clients that stay connected. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { eventually } from "../harness/eventually.js";
import { throughLives } from "../harness/lives.js";
import { statOf } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { checkpointTree, membersOf, restoreTree } from "../harness/tree.js";

const PORT = 20_000 + ((process.pid + 3_571) % 10_000);

/** Answers tell the worker, the number of the connection, and how many requests came by it. */
function configure(folder: string, port: number): void {
  const configuration = `
worker_processes 2;
daemon off;
pid nginx.pid;
error_log error.log;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  limit_req_zone $binary_remote_addr zone=all:1m rate=100000r/s;
  keepalive_timeout 600s;
  keepalive_requests 1000000;
  server {
    listen 127.0.0.1:${port};
    location / { limit_req zone=all burst=1000; return 200 "$pid $connection $connection_requests"; }
  }
}
`;
  writeFileSync(join(folder, "nginx.conf"), configuration);
}

const CLIENT = `
import http.client, os, time
def ask():
    client.request("GET", "/")
    return client.getresponse().read().decode().split()
while True:
    try:
        client = http.client.HTTPConnection("127.0.0.1", ${PORT})
        first = ask()
        break
    except ConnectionRefusedError:
        time.sleep(0.05)
print("served", flush=True)
asked = 1
while asked < 50 or not os.path.exists("go"):
    asked += 1
    answer = ask()
    assert answer == first[:2] + [str(asked)], f"{answer}, the first was {first}, this is number {asked}"
print("ok")
`;

test("master, workers and a client among them go on five times", { timeout: 180_000 }, () =>
  withScene(async (scene) => {
    configure(scene.folder, PORT);
    const client = join(scene.folder, "client.py");
    writeFileSync(client, CLIENT);
    const server = `nginx -e stderr -p ${scene.folder} -c nginx.conf`;
    const script = `${server} & python3 ${client}; kill -QUIT $!; wait $!; echo end $?`;
    const target = await throughLives(scene, {
      argv: ["/bin/bash", "-c", script],
      times: 5,
      started: (running) => running.says("served"),
    });
    expect(target.output()).toBe("served\nok\nend 0\n");
  }),
);

test("clients outside are served by the same workers and connections", { timeout: 120_000 }, () =>
  withScene(async (scene) => {
    configure(scene.folder, PORT + 1);
    const argv = ["nginx", "-e", "stderr", "-p", scene.folder, "-c", "nginx.conf"];
    const target = await scene.start(argv);
    const agents = Array.from({ length: 4 }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
    const askAll = () => Promise.all(agents.map(ask));
    try {
      const before = await firstAnswers(askAll);
      let asked: Promise<string[]> | undefined;
      const restored = await killAndRestore(scene, target, () => {
        asked = askAll();
      });
      expect(await asked).toEqual(before.map(next));
      expect(await askAll()).toEqual(before.map(next).map(next));
      process.kill(target.pid, "SIGQUIT");
      // A graceful end waits for no idle connection.
      const end = await restored.cr.done;
      expect(end.status, describeResult(end)).toBe(0);
    } finally {
      for (const agent of agents) agent.destroy();
    }
  }),
);

async function ask(agent: Agent): Promise<string> {
  const request = get({ agent, port: PORT + 1, host: "127.0.0.1" });
  const [response] = await once(request, "response");
  let body = "";
  for await (const part of response.setEncoding("utf8")) body += part;
  return body;
}

/** Those of all clients, once the server listens. */
async function firstAnswers(askAll: () => Promise<string[]>): Promise<string[]> {
  let answers: string[] | null = null;
  let isAsking = false;
  await eventually("nginx serves", () => {
    if (!isAsking && answers === null) {
      isAsking = true;
      askAll()
        .then((all) => {
          answers = all;
        })
        .catch(() => {})
        .finally(() => {
          isAsking = false;
        });
    }
    return answers !== null;
  });
  return answers ?? [];
}

/** The answer that the same connection gives next. */
function next(answer: string): string {
  const [worker, connection, count] = answer.split(" ");
  return `${worker} ${connection} ${Number(count) + 1}`;
}

async function killAndRestore(
  scene: Scene,
  target: Parameters<typeof restoreTree>[1]["target"],
  whileDead: () => void,
): ReturnType<typeof restoreTree> {
  const bundle = join(scene.folder, "bundle");
  await checkpointTree(scene, { target, bundle, extra: ["--kill"] });
  whileDead();
  // Their parents are not cr: pid 1 may be slow to bury them.
  await eventually("the tree is gone", () => membersOf(bundle).every((pid) => statOf(pid) === null));
  return await restoreTree(scene, { target, bundle });
}
