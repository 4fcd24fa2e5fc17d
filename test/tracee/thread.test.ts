/** A stopped thread as ptrace shows it: registers in both directions, queued signals, scheduling. */
import { expect, test } from "vitest";
import { getRegister, withRegisters } from "../../src/state/registers.js";
import { readPending, readScheduling, readThread, writeThread } from "../../src/tracee/thread.js";
import { Tracee } from "../../src/tracee/tracee.js";
import { eventually } from "../harness/eventually.js";
import { withScene } from "../harness/scene.js";
import { fixture } from "../harness/target.js";

test("what is written into a thread is what is read from it", () =>
  withScene(async (scene) => {
    const target = await scene.start([fixture("vector"), "FOLDER"]);
    await target.says("ready");
    using tracee = Tracee.seize(target.pid);
    tracee.stop(1_000);
    const before = readThread(target.pid);
    const xstate = Buffer.from(before.xstate);
    // The low half of xmm3, in the legacy area of the XSAVE format.
    xstate.write("recore!!", 160 + 3 * 16, "latin1");
    const changed = {
      ...before,
      registers: withRegisters(before.registers, { rbx: 0x1234_5678_9abc_def0n, rcx: -1n }),
      xstate,
      sigmask: before.sigmask | (1n << 11n),
    };
    writeThread(target.pid, changed);
    const read = readThread(target.pid);
    expect(getRegister(read.registers, "rbx")).toBe(0x1234_5678_9abc_def0n);
    expect(read.xstate).toEqual(xstate);
    expect(read.fpregs.toString("latin1", 160 + 3 * 16, 160 + 3 * 16 + 8)).toBe("recore!!");
    expect(read.sigmask).toBe(changed.sigmask);
    writeThread(target.pid, before);
    expect(readThread(target.pid)).toEqual(before);
    tracee.release();
    target.go();
    expect(await target.ended(), target.output()).toBe("exited 0");
  }));

test("all queued signals are read, however many, and they stay queued", () =>
  withScene(async (scene) => {
    const script = [
      "import os,signal,sys,threading,time",
      "s=signal.SIGRTMIN+3",
      "signal.pthread_sigmask(signal.SIG_BLOCK,[s,signal.SIGUSR1])",
      "for i in range(5000): os.kill(os.getpid(),s)",
      "signal.pthread_kill(threading.get_ident(),signal.SIGUSR1)",
      "print('ready',flush=True)",
      "while not os.path.exists(sys.argv[1]+'/go'): time.sleep(0.01)",
      "n=0",
      "while signal.sigtimedwait([s],0): n+=1",
      "print('got',n,flush=True)",
    ].join("\n");
    const target = await scene.start(["python3", "-c", script, "FOLDER"]);
    await target.says("ready");
    const tracee = Tracee.seize(target.pid);
    tracee.stop(1_000);
    const queued = readPending(target.pid, "process");
    expect(queued).toHaveLength(5000);
    expect(new Set(queued.map((info) => info.readInt32LE(0))).size).toBe(1);
    expect(readPending(target.pid, "process")).toEqual(queued);
    expect(readPending(target.pid, "thread").map((info) => info.readInt32LE(0))).toEqual([10]);
    tracee.release();
    target.go();
    await target.says("got 5000");
  }));

test("scheduling is what was set", () =>
  withScene(async (scene) => {
    const argv = [
      "taskset",
      "-c",
      "1",
      "ionice",
      "-c",
      "2",
      "-n",
      "6",
      "nice",
      "-n",
      "7",
      fixture("counter"),
      "FOLDER",
    ];
    const target = await scene.start([...argv, "1000000"]);
    await eventually("it runs", () => target.output().includes("ready"));
    expect(readScheduling(target.pid)).toMatchObject({
      policy: 0,
      nice: 7,
      ioprio: (2 << 13) | 6,
      affinity: [1],
    });
  }));
