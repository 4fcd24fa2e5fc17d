/** cr as the parent of a program: exit status, signals, and job control under bash on a terminal of script(1). */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { processStatus } from "../../src/host/process-status.js";
import { makeFolder } from "./recorded.js";

const PARENT = fileURLToPath(new URL("foreground-parent.mjs", import.meta.url));

/** A shell script that is started with its standard streams at 3 to 5. */
function script(...lines: string[]): string {
  const path = join(makeFolder(), "program");
  writeFileSync(
    path,
    `#!/bin/sh\nPATH=/usr/bin:/bin\nexec 0<&3 1>&4 2>&5 3<&- 4>&- 5>&-\n${lines.join("\n")}\n`,
  );
  chmodSync(path, 0o755);
  return path;
}

interface Session {
  readonly process: ChildProcessByStdio<Writable, Readable, null>;
  output(): string;
  /** Waits until the output matches; the match. */
  says(pattern: RegExp): Promise<RegExpMatchArray>;
  type(text: string): void;
  /** Exit status, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
}

function start(command: string, args: readonly string[]): Session {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], detached: true });
  // A session of its own: its end hangs the terminal up, and with it whatever a failed test left there.
  onTestFinished(() => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  return {
    process: child,
    output: () => output,
    async says(pattern) {
      for (const deadline = Date.now() + 15_000; ; await sleep(10)) {
        const match = output.match(pattern);
        if (match) return match;
        if (Date.now() > deadline) throw new Error(`${pattern} never came:\n${output}`);
      }
    },
    type: (text) => child.stdin.write(text),
    ended: new Promise((resolve) => child.once("exit", (status, signal) => resolve(status ?? signal ?? "?"))),
  };
}

/** A parent without a terminal. */
function startParent(program: string, ...more: string[]): Session {
  return start(process.execPath, [PARENT, program, ...more]);
}

/** An interactive shell with job control on a terminal of its own; what is typed goes to that terminal. */
async function startShell(): Promise<Session> {
  const session = start("script", ["-q", "-E", "never", "-c", "bash --norc --noprofile -i", "/dev/null"]);
  session.type("PS1=; set -b; stty -echo; echo shell is $((1 + 1))\n");
  await session.says(/shell is 2/);
  return session;
}

function childOf(match: RegExpMatchArray): number {
  return Number(match[1]);
}

async function state(pid: number, wanted: string): Promise<void> {
  for (const deadline = Date.now() + 15_000; ; await sleep(10)) {
    const found = processStatus(pid)?.state ?? "gone";
    if (wanted.includes(found)) return;
    if (Date.now() > deadline) throw new Error(`process ${pid} is in state ${found}, not ${wanted}`);
  }
}

describe("openForeground() without a terminal", () => {
  it("ends with the program's exit status, 128+N for a signal", async () => {
    expect(await startParent(script("exit 0")).ended).toBe(0);
    expect(await startParent(script("exit 7")).ended).toBe(7);
    expect(await startParent(script("kill -SEGV $$")).ended).toBe(128 + constants.signals.SIGSEGV);
    expect(await startParent(script("kill -KILL $$")).ended).toBe(128 + constants.signals.SIGKILL);
  });

  it("passes every signal that it gets on to the program, once", async () => {
    const names = [
      "TERM",
      "INT",
      "HUP",
      "QUIT",
      "USR1",
      "USR2",
      "ALRM",
      "WINCH",
      "CONT",
      "TSTP",
      "URG",
      "PWR",
    ];
    const traps = names.map((name) => `trap 'echo got ${name}.' ${name}`);
    const wait = "i=0; while [ $i -lt 1000 ]; do sleep 0.01; i=$((i+1)); done; exit 9";
    for (const more of [[], ["shared"]]) {
      const session = startParent(script(...traps, "trap 'exit 3' VTALRM", "echo ready", wait), ...more);
      await session.says(/ready/);
      for (const name of names) {
        session.process.kill(`SIG${name}` as NodeJS.Signals);
        await session.says(new RegExp(`got ${name}\\.`));
      }
      session.process.kill("SIGVTALRM");
      expect(await session.ended).toBe(3);
      expect(session.output().match(/got /g)).toHaveLength(names.length);
    }
  });

  it("outlives a stop of the program without stopping itself", async () => {
    const session = startParent(script("kill -STOP $$; exit 5"));
    const child = childOf(await session.says(/child (\d+)/));
    await state(child, "T");
    await sleep(100);
    expect(processStatus(session.process.pid ?? 0)?.state).toBe("S");
    process.kill(child, "SIGCONT");
    expect(await session.ended).toBe(5);
  });
});

describe("openForeground() on a terminal", () => {
  const command = (program: string, ...more: string[]) =>
    `${process.execPath} ${PARENT} ${[program, ...more].join(" ")}`;

  it("puts the program in the foreground: it reads the terminal and gets its Ctrl-C", async () => {
    const program = script(
      "trap 'echo interrupted; exit 4' INT",
      "read line; echo read $line",
      "while :; do sleep 0.01; done",
    );
    for (const more of [[], ["shared"]]) {
      const shell = await startShell();
      shell.type(`${command(program, ...more)}; echo status $?\n`);
      await shell.says(/child \d+/);
      shell.type("typed\n");
      await shell.says(/read typed/);
      shell.type("\x03");
      await shell.says(/interrupted[\s\S]*status 4/);
      expect(shell.output().match(/interrupted/g)).toHaveLength(1);
      // The shell has its terminal back.
      shell.type("echo still here; exit\n");
      await shell.says(/still here/);
      expect(await shell.ended).toBe(0);
    }
  });

  it("stops with the program on Ctrl-Z, and goes on with it in the fore- and background", async () => {
    const program = script("read one; echo read $one", "read two; echo read $two; exit 6");
    for (const more of [[], ["shared"]]) {
      const shell = await startShell();
      shell.type(`${command(program, ...more)}\n`);
      const child = childOf(await shell.says(/child (\d+)/));
      shell.type("1st\n");
      await shell.says(/read 1st/);
      shell.type("\x1a");
      await shell.says(/Stopped/);
      await state(child, "T");
      shell.type("bg\n");
      // In the background its read stops it again, and the shell hears of that.
      await shell.says(/Stopped[\s\S]*Stopped/);
      shell.type("fg; echo status $?\n");
      await state(child, "S");
      shell.type("2nd\n");
      await shell.says(/read 2nd[\s\S]*status 6/);
      shell.type("exit\n");
      expect(await shell.ended).toBe(0);
    }
  });

  it("goes on after a Ctrl-Z that no shell could take back", async () => {
    const program = script("echo ready", "read line; echo read $line; exit 8");
    const session = start("script", [
      "-q",
      "-e",
      "-E",
      "never",
      "-c",
      `exec ${command(program)}`,
      "/dev/null",
    ]);
    await session.says(/ready/);
    session.type("\x1a");
    await sleep(100);
    session.type("typed\n");
    await session.says(/read typed/);
    expect(await session.ended).toBe(8);
  });

  it("leaves the terminal to others when it was started in the background", async () => {
    const shell = await startShell();
    shell.type(`${command(script("sleep 0.3; echo worked; exit 0"))} &\n`);
    shell.type("echo typed on\n");
    await shell.says(/typed on/);
    await shell.says(/worked/);
    shell.type("exit\n");
    expect(await shell.ended).toBe(0);
  });
});
