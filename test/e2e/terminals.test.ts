/** Sessions on terminals: a tmux server with a shell and editors, script(1), a shell on the terminal of cr's caller. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { eventually } from "../harness/eventually.js";
import { type Identity, identify, runsFreely, statOf } from "../harness/process.js";
import { type Scene, withScene } from "../harness/scene.js";
import { onTerminal, TERMINAL, type Tmux, tmuxAt } from "../harness/screen.js";
import { checkpointTree, killTree, membersOf, restoreTree } from "../harness/tree.js";

const CR = fileURLToPath(new URL("../../bin/cr", import.meta.url));
const SHELL = ["bash", "--norc", "--noprofile", "-i"];
/** What a shell does to be without jobs. */
const END_JOBS = 'kill -9 %1 %2; while [ -n "$(jobs -rs)" ]; do :; done';

interface Server extends Tmux {
  readonly server: Identity;
  readonly socket: string;
}

/** A server with one window, in which a shell has a job in the background and one that Ctrl-Z stopped. */
async function startTmux(scene: Scene): Promise<Server> {
  const socket = join(scene.folder, "socket");
  const size = ["-x", "80", "-y", "24"];
  const first = ["tmux", "-f", "/dev/null", "-S", socket, "new-session", "-d", ...size, SHELL.join(" ")];
  const starter = await scene.start(first, { env: { ...TERMINAL, PS1: "$ " } });
  await starter.ended();
  const tmux = tmuxAt(socket);
  tmux.type(":0", "PS1='at $((40+2))> '", "Enter");
  await tmux.shows(":0", /^at 42>$/m);
  tmux.type(":0", "sleep 1000 &", "Enter", "sleep 2000", "Enter");
  await tmux.shows(":0", /^at 42> sleep 2000$/m);
  await eventually("the second job runs", () => /sleep/.test(inFront(tmux)));
  tmux.type(":0", "C-z");
  await tmux.shows(":0", /Stopped +sleep 2000\n(.*\n)*at 42>$/m);
  return { ...tmux, socket, server: identify(Number(tmux.run("display", "-p", "#{pid}"))) };
}

/** Name of the command in the foreground of the first window. */
function inFront(tmux: Tmux): string {
  return tmux.run("display", "-p", "-t", ":0", "#{pane_current_command}");
}

/** Checkpoints, kills all, restores in the background. */
async function cycle(scene: Scene, server: Identity, bundle: string): Promise<Identity> {
  await checkpointTree(scene, { target: server, bundle });
  await killTree(scene, membersOf(bundle));
  const result = await scene.cr(["restore", "--detach", bundle]);
  expect(result.status, describeResult(result)).toBe(0);
  expect(result.stderr).not.toMatch(/terminal/);
  return scene.adopt(server.pid);
}

/** That job control works: the stopped job comes to the front, is stopped again, and both can be ended. */
async function controlJobs(tmux: Tmux): Promise<void> {
  tmux.type(":0", "clear", "Enter", "fg %2", "Enter");
  await eventually("the job is in front", () => /sleep/.test(inFront(tmux)));
  tmux.type(":0", "C-z");
  await tmux.shows(":0", /Stopped +sleep 2000/);
  tmux.type(":0", `${END_JOBS}; echo all $((1+1)) ended`, "Enter");
  await tmux.shows(":0", /^all 2 ended$/m);
}

describe("a tmux server", () => {
  test.each([1, 3])(
    "with unsaved text in editors comes back %i times",
    (times) =>
      withScene(async (scene) => {
        const tmux = await startTmux(scene);
        const [ofVim, ofNano] = [join(scene.folder, "of-vim"), join(scene.folder, "of-nano")];
        tmux.type(":0", `vim.tiny -n -u NONE ${ofVim}`, "Enter");
        await tmux.shows(":0", /^~$/m);
        tmux.type(":0", "iunsaved text");
        tmux.run("new-window", "-d", `nano -I ${ofNano}`);
        await tmux.shows(":1", /New File/);
        tmux.type(":1", "unsaved words");
        await tmux.shows(":0", /unsaved text/);
        await tmux.shows(":1", /unsaved words/);
        let life = tmux.server;
        for (let time = 1; time <= times; time += 1) {
          life = await cycle(scene, life, join(scene.folder, `bundle.${time}`));
          tmux.type(":0", ` and ${time}`);
          await tmux.shows(":0", new RegExp(`unsaved text.* and ${time}`));
        }
        using client = onTerminal(`exec tmux -S ${tmux.socket} attach`);
        await client.says(/unsaved text/);
        client.type("\x1b:wq\r");
        await eventually("vim has ended", () => /bash/.test(inFront(tmux)));
        tmux.run("detach-client");
        const added = Array.from({ length: times }, (_, time) => ` and ${time + 1}`);
        expect(readFileSync(ofVim, "utf8")).toBe(`unsaved text${added.join("")}\n`);
        await controlJobs(tmux);
        tmux.type(":1", "C-s", "C-x");
        await eventually("nano has ended", () => !/nano/.test(tmux.run("list-windows")));
        expect(readFileSync(ofNano, "utf8")).toBe("unsaved words\n");
        expect(runsFreely(life)).toBe(true);
        tmux.run("kill-server");
      }),
    120_000,
  );

  test("is not saved while a client is attached, and after that it is", () =>
    withScene(async (scene) => {
      const tmux = await startTmux(scene);
      using client = onTerminal(`exec tmux -S ${tmux.socket} attach`);
      await client.says(/at 42> /);
      const result = await scene.cr(["checkpoint", `${tmux.server.pid}`, "-o", "bundle"]);
      expect(result.status).toBe(1);
      expect(result.stderr).toMatch(/a socket \(socket:\[\d+\]\) whose other end is not in it/);
      expect(result.stderr).toMatch(/fd:\d+: the terminal \/dev\/pts\/\d+/);
      expect(runsFreely(tmux.server)).toBe(true);
      tmux.run("detach-client");
      await checkpointTree(scene, { target: tmux.server, bundle: join(scene.folder, "bundle") });
      tmux.run("kill-server");
    }));
});

test("script(1) goes on with its shell", () =>
  withScene(async (scene) => {
    const path = join(scene.folder, "fifo");
    execFileSync("mkfifo", [path]);
    const target = await scene.start(["script", "-q", "-E", "never", "-c", SHELL.join(" "), "log"], {
      stdin: { kind: "pipe", path },
      env: { ...TERMINAL, PS1: "" },
    });
    // r+ does not wait for the reader.
    const input = openSync(path, "r+");
    // What readline switches on at its prompt.
    await target.says("[?2004h");
    const bundle = join(scene.folder, "bundle");
    await checkpointTree(scene, { target, bundle });
    await killTree(scene, membersOf(bundle));
    closeSync(input);
    const { cr } = await restoreTree(scene, { target, bundle });
    cr.stdin.write("echo $((6*7)) on $(tty)\n");
    await eventually("the shell answers", () => /42 on \/dev\/pts\/\d+/.test(target.output()));
    cr.stdin.write("exit 5\n");
    expect((await cr.done).status).toBe(0);
  }));

/** Whether a child of the shell that runs this program is in the foreground, so that Ctrl-Z gets to it. */
function hasTerminal(shell: number, command: string): boolean {
  const children = readFileSync(`/proc/${shell}/task/${shell}/children`, "utf8").trim().split(" ");
  return children.some((child) => {
    const [, comm, rest = ""] = /\((.*)\) (.*)/.exec(readFileSync(`/proc/${child}/stat`, "utf8")) ?? [];
    const [, , group, , , foreground] = rest.split(" ");
    return comm === command && group === foreground;
  });
}

test("a shell with its jobs comes back on the terminal of cr's caller, which is given back at the end", () =>
  withScene(async (scene) => {
    const bundle = join(scene.folder, "bundle");
    using outer = onTerminal(SHELL.join(" "));
    outer.type("stty -echo; PS1=; echo outer $((1+1))\n");
    await outer.says(/outer 2/);
    const inner = `RECORE_SCENE=${scene.folder} ${SHELL.join(" ")}`;
    // Who works in the scene's folder is ended with the tree.
    outer.type(`(cd ${scene.folder}; exec env ${inner})\n`);
    outer.type("set -b; PS1=; echo inner is $$ at $((1+1))\n");
    const pid = Number((await outer.says(/inner is (\d+) at 2/))[1]);
    outer.type("sleep 1000 &\nsleep 2000\n");
    await eventually("the second job has the terminal", () => hasTerminal(pid, "sleep"));
    outer.type("\x1a");
    await outer.says(/Stopped +sleep 2000/);
    await checkpointTree(scene, { target: identify(pid), bundle });
    await killTree(scene, membersOf(bundle));
    outer.type("echo outer $((2+2)); stty sane -echo\n");
    await outer.says(/outer 4/);
    outer.type(`${process.execPath} ${CR} restore ${bundle}; echo status $?\n`);
    await eventually("it runs again", () => statOf(pid) !== null && runsFreely(identify(pid)));
    outer.type("echo inner $((3+3)); jobs; fg %2\n");
    await outer.says(/inner 6[\s\S]*Running +sleep 1000[\s\S]*Stopped +sleep 2000[\s\S]*sleep 2000/);
    await eventually("it has the terminal again", () => hasTerminal(pid, "sleep"));
    outer.type("\x1a");
    await outer.says(/Stopped +sleep 2000/);
    outer.type(`${END_JOBS}; exit 7\n`);
    await outer.says(/status 7/);
    outer.type("echo outer $((4+4)); exit\n");
    await outer.says(/outer 8/);
  }));

/** The first process keeps the master, the second is the root of a tree, the third leads a session on the slave. */
const ELSEWHERE = `
import ctypes, fcntl, os, termios, time
m, s = os.openpty()
def child(act):
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(1, 9)
        act()
        time.sleep(1000)
def leader():
    os.setsid()
    fcntl.ioctl(s, termios.TIOCSCTTY, 0)
    os.dup2(s, 0)
    os.close(s)
    print('root', os.getppid(), os.getpid(), os.ttyname(0), flush=True)
def root():
    os.close(m)
    child(leader)
    os.close(s)
child(root)
os.close(s)
time.sleep(1000)
`;

test("a session in the tree on a terminal elsewhere is refused by name", () =>
  withScene(async (scene) => {
    const target = await scene.start(["python3", "-c", ELSEWHERE]);
    await target.says("\n");
    const [, root, leader, name] = /root (\d+) (\d+) (.*)/.exec(target.output()) ?? [];
    const result = await scene.cr(["checkpoint", `${root}`, "-o", "bundle"]);
    expect(result.status, describeResult(result)).toBe(1);
    const session = `the controlling terminal of session ${leader}, ${name}, which is not in the tree`;
    expect(result.stderr).toContain(`process ${leader}: ${name}: ${session}`);
  }));
