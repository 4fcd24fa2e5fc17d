/** Terminals under test: a program on a terminal of script(1), and panes of a tmux server as text. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { eventually } from "./eventually.js";

/** For programs that draw on the terminal. */
export const TERMINAL = { TERM: "xterm", LC_ALL: "C.UTF-8" } as const;

export interface Terminal extends Disposable {
  /** What came after the last `says`. */
  output(): string;
  /** Waits until the output matches, and forgets it up to there. */
  says(pattern: RegExp): Promise<RegExpMatchArray>;
  type(text: string): void;
}

/** What the test itself was started with at higher numbers is nobody else's. */
const CLOSED = "import os, sys; os.closerange(3, 4096); os.execvp(sys.argv[1], sys.argv[1:])";

/** Runs a command of sh on a terminal of its own; disposing hangs that up. */
export function onTerminal(command: string, env: Readonly<Record<string, string>> = {}): Terminal {
  const child: ChildProcess = spawn(
    "python3",
    ["-c", CLOSED, "script", "-q", "-E", "never", "-c", command, "/dev/null"],
    {
      stdio: ["pipe", "pipe", "inherit"],
      detached: true,
      env: { PATH: process.env.PATH, ...TERMINAL, ...env },
    },
  );
  let output = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stdin?.on("error", () => {});
  return {
    output: () => output,
    async says(pattern) {
      const match = await eventually(
        () => `${pattern} on the terminal, where there is:\n${output}`,
        () => output.match(pattern),
      );
      output = output.slice((match.index ?? 0) + match[0].length);
      return match;
    },
    type: (text) => child.stdin?.write(text),
    [Symbol.dispose]: () => child.kill("SIGKILL"),
  };
}

export interface Tmux {
  /** Runs a command of tmux(1); its output. */
  run(...args: readonly string[]): string;
  /** Waits until the window shows the text. */
  shows(window: string, pattern: RegExp): Promise<void>;
  /** Types into the window, in the words of send-keys. */
  type(window: string, ...keys: readonly string[]): void;
}

/** The server at `socket`, started or not. */
export function tmuxAt(socket: string): Tmux {
  const run = (...args: readonly string[]) =>
    execFileSync("tmux", ["-S", socket, ...args], { encoding: "utf8", env: { ...process.env, ...TERMINAL } });
  const text = (window: string) => run("capture-pane", "-p", "-t", window);
  return {
    run,
    async shows(window, pattern) {
      await eventually(
        () => `${pattern} in window ${window}, which shows:\n${text(window)}`,
        () => pattern.test(text(window)),
        { everyMs: 30 },
      );
    },
    type: (window, ...keys) => void run("send-keys", "-t", window, ...keys),
  };
}
