/** Process trees under test: who is in one, whether all of it runs, and bundles read whole. */
import { readdirSync } from "node:fs";
import { openBundle } from "../../src/core/bundle.js";
import type { ProcessState } from "../../src/state/process.js";
import type { Tree } from "../../src/state/tree.js";
import { familyOf } from "../../src/tracee/kin.js";
import { type Identity, identify } from "./process.js";
import type { Scene } from "./scene.js";
import type { Target } from "./target.js";

/** The living members of a tree, the root first. */
export function membersOf(root: number): Identity[] {
  return familyOf(root)
    .filter(({ isDead }) => !isDead)
    .map(({ pid }) => identify(pid));
}

/** A bundle's manifest and the state in each of its cores. */
export function readBundle(folder: string): {
  readonly tree: Tree;
  readonly states: ReadonlyMap<number, ProcessState>;
  readonly files: readonly string[];
} {
  using bundle = openBundle(folder);
  const states = new Map(bundle.living.map(({ member, state }) => [member.pid, state] as const));
  return { tree: bundle.tree, states, files: readdirSync(folder).sort() };
}

/** Children of every kind; says who they are as one line of JSON. */
const FAMILY = `
import ctypes, json, mmap, os, socket, time
libc = ctypes.CDLL(None)
libc.prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
root = os.getpid()
memory = mmap.mmap(-1, 65536)
memory.write(b'm' * 65536)
r, w = os.pipe()
a, b = socket.socketpair()
log = os.open('log', os.O_RDWR | os.O_CREAT)
gone = os.open('gone', os.O_RDWR | os.O_CREAT)
os.write(gone, b'deleted'); os.unlink('gone')
os.write(w, b'in the pipe'); a.send(b'in the socket')
def child(begin):
    pid = os.fork()
    if pid == 0:
        begin()
        while os.getppid() != root: time.sleep(0.01)
        libc.prctl(1, 9)  # PR_SET_PDEATHSIG: nobody outlives the test
        os.write(log, b'.')
        while True: time.sleep(1000)
    return pid
def die():
    os.kill(os.getpid(), 9)
def leave():
    child(lambda: None)
    os._exit(0)
dead, killed = child(lambda: os._exit(7)), child(die)
for pid in (dead, killed): os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
leader, alone = child(os.setsid), child(lambda: os.setpgid(0, 0))
os.waitpid(child(leave), 0)
while os.fstat(log).st_size < 3: time.sleep(0.01)
print(json.dumps(dict(root=root, dead=dead, killed=killed, leader=leader, alone=alone)), flush=True)
while True: time.sleep(1000)
`;

/** Pids of a family. */
export interface FamilyIds {
  readonly root: number;
  readonly dead: number;
  readonly killed: number;
  readonly leader: number;
  readonly alone: number;
}

/** Starts it, and waits until all its members stand. */
export async function startFamily(
  scene: Scene,
  more: { asNobody?: boolean } = {},
): Promise<Target & { ids: FamilyIds }> {
  const target = await scene.start(["python3", "-c", FAMILY], more);
  await target.says("}");
  return { ...target, ids: JSON.parse(target.output()) as FamilyIds };
}
