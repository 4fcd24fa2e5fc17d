/** What is refused before a restore starts: owner, credentials, machine, limits, pid and working folder. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatDevice } from "../../src/host/device-number.js";
import { openFilesMax } from "../../src/host/own-bounds.js";
import {
  capabilitiesAfterExec,
  checkCredentials,
  ownCredentials,
} from "../../src/restore/check-credentials.js";
import { checkLimits, type OwnBounds, ownBounds } from "../../src/restore/check-limits.js";
import { checkMachine } from "../../src/restore/check-machine.js";
import { checkOwner } from "../../src/restore/check-owner.js";
import { checkPidFree } from "../../src/restore/check-pid.js";
import { checkBeforeRestore, checkWorkingFolder } from "../../src/restore/checks.js";
import { readLimits } from "../../src/tracee/limits.js";
import { cpuComponents } from "../../src/tracee/native.js";
import { credentialsOf, readStatus } from "../../src/tracee/proc-status.js";
import { code, failure, message } from "./failure.js";
import { processState, threadState } from "./process-state.js";
import { makeFolder } from "./recorded.js";

const same = (id: number) => ({ real: id, effective: id, saved: id, fs: id });

describe("checkOwner()", () => {
  const core = (uid: number, mode: number) => ({ path: "core.1", stat: { uid, mode } });

  it("accepts the caller's own private core only, unless it is trusted", () => {
    checkOwner(core(0, 0o100600), { trust: false });
    checkOwner(core(1000, 0o100644), { trust: false, callerUid: 1000 });
    const others = failure(() => checkOwner(core(65534, 0o100600), { trust: false, callerUid: 0 }));
    expect(others.message).toMatch(/belongs to nobody, it must belong to root/);
    expect(others.hint).toMatch(/sudo -u nobody.*--trust/);
    expect(code(() => checkOwner(core(0, 0o100600), { trust: false, callerUid: 1000 }))).toBe(
      "CORE_NOT_OWNED",
    );
    for (const mode of [0o100620, 0o100602, 0o100666]) {
      expect(message(() => checkOwner(core(0, mode), { trust: false }))).toMatch(/CORE_NOT_OWNED.*mode/);
    }
    checkOwner(core(65534, 0o100666), { trust: true, callerUid: 0 });
  });
});

describe("checkCredentials()", () => {
  const own = ownCredentials();
  const mine = { ...own, capabilities: capabilitiesAfterExec(own), securebits: 0 };
  // Root that may not switch: as restricted as anybody.
  const bound = { ...own, capabilities: { ...own.capabilities, effective: 0n } };
  const check = (changes: object) => () =>
    checkCredentials({ ...mine, ...changes }, { own: bound, foreign: false });

  it("accepts what a program started by cr has", () => {
    checkCredentials(mine, { own, foreign: false });
    const child = spawn("sleep", ["61"], { stdio: "ignore" });
    expect(credentialsOf(readStatus(child.pid ?? 0), 0)).toEqual(mine);
    child.kill("SIGKILL");
  });

  it("refuses another user, group or set of capabilities and names the way", () => {
    const other = failure(check({ uid: same(65534) }));
    expect(other.message).toMatch(/ran as nobody, cr runs as root/);
    expect(other.hint).toContain("sudo -u nobody cr restore");
    expect(failure(check({ uid: same(4242) })).hint).toContain("sudo -u '#4242'");
    expect(message(check({ uid: { ...same(0), effective: 65534 } }))).toMatch(/CREDENTIALS.*differing real/);
    expect(message(check({ gid: same(5) }))).toMatch(/CREDENTIALS.*group ids 5 5 5 5/);
    expect(message(check({ groups: [4, 7] }))).toMatch(/CREDENTIALS.*supplementary groups were 4 7/);
    const fewer = { ...mine.capabilities, effective: mine.capabilities.effective & ~(1n << 21n) };
    expect(message(check({ capabilities: fewer }))).toMatch(/CREDENTIALS.*effective.*CAP_SYS_ADMIN/);
    expect(message(check({ securebits: 1 }))).toMatch(/CREDENTIALS.*securebits/);
  });

  it("lets root give what it has, and names what it has not", () => {
    const give = (changes: object) => () =>
      checkCredentials({ ...mine, ...changes }, { own, foreign: false });
    const none = { inheritable: 0n, permitted: 0n, effective: 0n, bounding: 0n, ambient: 0n };
    give({ uid: same(4242), gid: same(5), groups: [4, 7], securebits: 5, capabilities: none })();
    const more = { ...none, permitted: 1n << 45n };
    expect(message(give({ capabilities: more }))).toMatch(/CREDENTIALS.*CAP_45.*permitted/);
  });

  it("looks at the user alone in a core of another tool", () => {
    const bare = processState().credentials;
    checkCredentials({ ...bare, uid: same(0) }, { own, foreign: true });
    expect(code(() => checkCredentials({ ...bare, uid: same(1) }, { own, foreign: true }))).toBe(
      "CREDENTIALS",
    );
  });
});

describe("checkMachine()", () => {
  const machine = { components: 0x2e7n };

  it("names every vector feature that this CPU lacks", () => {
    const host = { ...processState().host, xstateComponents: 0x602e7n };
    const refused = failure(() => checkMachine(processState({ host }), machine));
    expect(refused.code).toBe("XSTATE_MISMATCH");
    expect(refused.data).toEqual({ names: ["AMX tile configuration", "AMX tile data"] });
    const xstate = Buffer.alloc(832);
    xstate.writeBigUInt64LE(0xe7n, 512);
    const used = processState({ threads: [threadState({ xstate })] });
    checkMachine(used, machine);
    expect(message(() => checkMachine(used, { ...machine, components: 7n }))).toMatch(
      /AVX-512 opmask, AVX-512 ZMM_Hi256, AVX-512 Hi16_ZMM/,
    );
  });
});

describe("checkLimits()", () => {
  const bounds = ownBounds();
  const bare: OwnBounds = { ...bounds, mayRaiseLimits: false, mayRaisePriority: false };
  const withLimit = (resource: number, hard: bigint) =>
    processState({ limits: [{ resource, soft: 0n, hard }] });

  it("accepts the limits of this process, and lower ones", () => {
    checkLimits(processState({ limits: readLimits(process.pid) }), bare);
    checkLimits(withLimit(8, 0n), bare);
  });

  it("refuses a hard limit above the own one that cannot be raised, and names both", () => {
    const own = { ...bare, limits: [{ resource: 8, soft: 1n, hard: 65536n }] };
    expect(message(() => checkLimits(withLimit(8, 65537n), own))).toMatch(
      /LIMIT_TOO_LOW.*RLIMIT_MEMLOCK was 65537, that of cr is 65536/,
    );
    checkLimits(withLimit(8, 65537n), { ...own, mayRaiseLimits: true });
    const tooMany = withLimit(7, openFilesMax() + 1n);
    expect(message(() => checkLimits(tooMany, { ...bare, mayRaiseLimits: true }))).toMatch(/fs\.nr_open/);
  });

  it("refuses scheduling and out-of-memory scores that the caller may not give", () => {
    const { scheduling } = threadState();
    const scheduled = (changes: object) =>
      processState({ threads: [threadState({ scheduling: { ...scheduling, ...changes } })] });
    expect(message(() => checkLimits(scheduled({ nice: -5 }), bare))).toMatch(/nice value was -5/);
    expect(message(() => checkLimits(scheduled({ policy: 1, priority: 9 }), bare))).toMatch(/SCHED_FIFO/);
    expect(message(() => checkLimits(scheduled({ policy: 6 }), bare))).toMatch(/SCHED_DEADLINE/);
    checkLimits(scheduled({ nice: -5 }), { ...bare, mayRaisePriority: true });
    checkLimits(scheduled({ nice: 19 }), bare);
    const state = processState();
    const protectedOne = { ...state, process: { ...state.process, oomScoreAdj: -1000 } };
    expect(message(() => checkLimits(protectedOne, bare))).toMatch(/oom_score_adj was -1000/);
  });
});

/** Tells the number of a session of which only a zombie is left, whose parent reaps it when its input ends. */
const ORPHAN_OF_LEADER = `
import ctypes, os, sys
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
leader = os.fork()
if leader == 0:
    os.setsid()
    os.fork()
    os._exit(0)
os.waitpid(leader, 0)
os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
print(leader, flush=True)
sys.stdin.read()
`;

describe("checkPidFree()", () => {
  const refusal = async (pid: number, waitMs?: number) => {
    const error = await checkPidFree(pid, waitMs).then(
      () => null,
      (reason: unknown) => reason,
    );
    return failure(() => {
      if (error !== null) throw error;
    });
  };

  it("says who holds the pid, as process, group or session", async () => {
    const child = spawn("sleep", ["61"], { stdio: "ignore", detached: true });
    const pid = child.pid ?? 0;
    const error = await refusal(pid);
    expect(error.message).toMatch(new RegExp(`pid ${pid}: .*process ${pid} \\(sleep 61\\) of root`));
    expect(error).toMatchObject({ code: "PID_TAKEN", data: { pid, comm: "sleep", user: "root" } });
    child.kill("SIGKILL");
    await once(child, "exit");
    await checkPidFree(pid);
  });

  it("waits for a zombie to be reaped, and gives up on one that stays", async () => {
    const script = "sleep 0.01 & echo $!; exec sleep 0.7";
    const parent = spawn("sh", ["-c", script], { stdio: ["ignore", "pipe", "ignore"] });
    const [text] = (await once(parent.stdout.setEncoding("utf8"), "data")) as [string];
    await new Promise((resolve) => setTimeout(resolve, 150));
    const pid = Number(text);
    expect((await refusal(pid, 50)).message).toMatch(/zombie/);
    // Its parent ends, and pid 1 reaps both; slowly on some machines.
    await checkPidFree(pid, 20_000);
  });

  it("waits for a zombie that keeps the number of its session", async () => {
    const parent = spawn("python3", ["-c", ORPHAN_OF_LEADER], { stdio: ["pipe", "pipe", "ignore"] });
    const [text] = (await once(parent.stdout.setEncoding("utf8"), "data")) as [string];
    const pid = Number(text);
    expect((await refusal(pid, 50)).data).toMatchObject({ pid, as: "session", state: "Z" });
    parent.stdin.end();
    await checkPidFree(pid, 20_000);
  });
});

describe("checkWorkingFolder() and checkBeforeRestore()", () => {
  it("refuses a working folder that is missing, no folder or another one", () => {
    const path = join(makeFolder(), "work");
    const options = { policy: "rollback", sameBoot: true, foreign: false } as const;
    mkdirSync(path);
    const { dev, ino } = statSync(path, { bigint: true });
    const cwd = { path, dev: formatDevice(dev), ino };
    expect(checkWorkingFolder(cwd, options)).toEqual([]);
    renameSync(path, `${path}.old`);
    expect(message(() => checkWorkingFolder(cwd, options))).toMatch(/FILE_MISSING.*work/);
    mkdirSync(path);
    expect(message(() => checkWorkingFolder(cwd, options))).toMatch(/FILE_CHANGED.*another folder/);
    expect(checkWorkingFolder(cwd, { ...options, policy: "keep" })).toHaveLength(1);
    const file = join(path, "file");
    writeFileSync(file, "");
    expect(message(() => checkWorkingFolder({ ...cwd, path: file }, options))).toMatch(/a regular file now/);
  });

  it("runs all checks on a state that fits this machine", async () => {
    const own = ownCredentials();
    const state = processState({
      credentials: { ...own, capabilities: capabilitiesAfterExec(own), securebits: 0 },
      limits: readLimits(process.pid),
    });
    const { dev, ino } = statSync("/", { bigint: true });
    const machine = { components: cpuComponents() };
    const root = { path: "/", dev: formatDevice(dev), ino };
    const options = { machine, coreFd: -1, policy: "rollback", sameBoot: true, foreign: false } as const;
    const fitting = {
      ...state,
      process: { ...state.process, exe: { ...state.process.exe, path: process.execPath }, cwd: root },
    };
    expect(await checkBeforeRestore(fitting, { ...options, keepPid: false })).toEqual([]);
    const several = { ...fitting, threads: [threadState(), threadState({ tid: 101 })] };
    await expect(checkBeforeRestore(several, { ...options, keepPid: false })).rejects.toMatchObject({
      code: "UNSUPPORTED_STATE",
      message: expect.stringContaining("2 threads"),
    });
    const taken = { ...fitting, threads: [threadState({ tid: process.pid })] };
    await expect(checkBeforeRestore(taken, { ...options, keepPid: true })).rejects.toMatchObject({
      code: "PID_TAKEN",
    });
  });
});
