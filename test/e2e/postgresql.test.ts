/** A database server of another user: shared memory of all kinds, latches, a client with an open transaction. */
import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, chownSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { eventually } from "../harness/eventually.js";
import { statOf } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import type { Target } from "../harness/target.js";
import { checkpointTree, killTree, membersOf, restoreTree } from "../harness/tree.js";

const PORT = 20_000 + ((process.pid + 5_711) % 10_000);
const [VERSION = ""] = readdirSync("/usr/lib/postgresql");
const PROGRAMS = `/usr/lib/postgresql/${VERSION}/bin`;
const AS_POSTGRES = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"];

/** Nothing is written in the background: what the core does not hold stays as it is. */
const CONFIGURATION = `
port = ${PORT}
listen_addresses = '127.0.0.1'
shared_buffers = 2MB
autovacuum = off
wal_writer_delay = 10s
bgwriter_delay = 10s
`;

/** A fresh cluster of user postgres, in a folder of its own. */
function makeCluster(scene: Scene): string {
  const folder = join(scene.folder, "pg");
  const id = (what: string) => Number(execFileSync("id", [what, "postgres"], { encoding: "utf8" }));
  mkdirSync(folder);
  chownSync(folder, id("-u"), id("-g"));
  const data = join(folder, "data");
  const options = ["-A", "trust", "-E", "UTF8", "--no-locale", "-N"];
  const [setpriv = "", ...identity] = AS_POSTGRES;
  execFileSync(setpriv, [...identity, join(PROGRAMS, "initdb"), "-D", data, ...options], { stdio: "ignore" });
  appendFileSync(join(data, "postgresql.conf"), `${CONFIGURATION}unix_socket_directories = '${folder}'\n`);
  return folder;
}

const SCRIPT = `
PATH=${PROGRAMS}:$PATH PGHOST=$1 PGPORT=${PORT} PGDATABASE=postgres PGUSER=postgres
export PATH PGHOST PGPORT PGDATABASE PGUSER
postgres -D $1/data &
until pg_isready -q; do sleep 0.05; done
psql -X -q -At -v ON_ERROR_STOP=1 <<'SQL'
create table numbers (n int);
begin;
insert into numbers values (42);
\\! psql -X -q -c 'create table others (n int)'
\\! echo working; until [ -e $GO ]; do sleep 0.05; done
insert into numbers values (43);
commit;
SQL
psql -X -At -c 'select sum(n) from numbers'
kill $!; wait $!; echo end $?
`;

test("a client among them commits what it had begun", { timeout: 180_000 }, () =>
  withScene(async (scene) => {
    const folder = makeCluster(scene);
    const script = join(scene.folder, "script.sh");
    const go = join(scene.folder, "go");
    writeFileSync(script, SCRIPT);
    const target = await scene.start([...AS_POSTGRES, "/bin/bash", script, folder], { env: { GO: go } });
    await target.says("working", { timeoutMs: 60_000 });
    const bundle = join(scene.folder, "bundle");
    await checkpointTree(scene, { target, bundle, extra: ["--files", "snapshot"] });
    await killTree(scene, membersOf(bundle));
    const { cr, root } = await restoreTree(scene, { target, bundle });
    if (root === null) throw new Error(describeResult(await cr.done));
    writeFileSync(go, "");
    const end = await cr.done;
    expect(end.status, describeResult(end)).toBe(0);
    expect(target.output()).toBe("working\n85\nend 0\n");
  }),
);

test("a client outside commits what it had begun", { timeout: 180_000 }, () =>
  withScene(async (scene) => {
    const folder = makeCluster(scene);
    const target = await scene.start([
      ...AS_POSTGRES,
      join(PROGRAMS, "postgres"),
      "-D",
      join(folder, "data"),
    ]);
    const client = await startClient(target);
    try {
      expect(await client.ask("create table numbers (n int); begin; insert into numbers values (42)")).toBe(
        "",
      );
      const bundle = join(scene.folder, "bundle");
      await checkpointTree(scene, { target, bundle, extra: ["--kill"] });
      const answer = client.ask("insert into numbers values (43); commit; select sum(n) from numbers");
      await eventually("the tree is gone", () => membersOf(bundle).every((pid) => statOf(pid) === null));
      const { cr, root } = await restoreTree(scene, { target, bundle });
      if (root === null) throw new Error(describeResult(await cr.done));
      expect(await answer).toBe("85\n");
      expect(await client.ask("select pg_backend_pid()")).toBe(`${client.backend}\n`);
      client.end();
      process.kill(root.pid, "SIGINT");
      const end = await cr.done;
      expect(end.status, describeResult(end)).toBe(0);
    } finally {
      client.end();
    }
  }),
);

/** psql with commands in and their results out, over one connection. */
async function startClient(server: Target) {
  const ready = ["-q", "-h", "127.0.0.1", "-p", `${PORT}`, "-t", "60"];
  execFileSync("timeout", [
    "60",
    "sh",
    "-c",
    `until ${PROGRAMS}/pg_isready ${ready.join(" ")}; do sleep 0.05; done`,
  ]);
  const argv = ["-X", "-q", "-At", "-h", "127.0.0.1", "-p", `${PORT}`, "-U", "postgres", "postgres"];
  const child = spawn("psql", argv, { stdio: ["pipe", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  let asked = 0;
  const ask = async (command: string) => {
    asked += 1;
    const mark = `done ${asked}\n`;
    child.stdin.write(`${command};\n\\echo ${mark}`);
    await eventually(
      () => `${server.pid} answers: ${output}`,
      () => output.endsWith(mark),
      { timeoutMs: 60_000 },
    );
    const answer = output.slice(0, -mark.length);
    output = "";
    return answer;
  };
  const backend = (await ask("select pg_backend_pid()")).trim();
  return { ask, backend, end: () => child.kill("SIGKILL") };
}
