/** Memory that the processes of a tree map together: semaphores, queues and values of Python's multiprocessing. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeResult } from "../harness/cr.js";
import { readBundle } from "../harness/family.js";
import { withScene } from "../harness/scene.js";
import { checkpointTree, killTree, membersOf, restoreTree } from "../harness/tree.js";

const WORKERS = 3;
const ROUNDS = 400;
const SCRIPT = `
import multiprocessing as mp, os, sys, time
def work(queue, lock, value):
    for i in range(${ROUNDS}):
        with lock: value.value += 1
        queue.put(i)
        while i > 20 and not os.path.exists(sys.argv[1]): time.sleep(0.01)
queue, lock, value = mp.Queue(), mp.Lock(), mp.Value('i', 0)
workers = [mp.Process(target=work, args=(queue, lock, value)) for _ in range(${WORKERS})]
for worker in workers: worker.start()
total = sum(queue.get() for _ in range(${WORKERS} * 21))
print('ready', flush=True)
total += sum(queue.get() for _ in range(${WORKERS} * ${ROUNDS - 21}))
for worker in workers: worker.join()
print('total', total, value.value, flush=True)
`;

test("semaphores, queues and shared values go on together", () =>
  withScene(async (scene) => {
    const target = await scene.start(["python3", "-c", SCRIPT, "FOLDER/go"]);
    await target.says("ready");
    const bundle = join(scene.folder, "bundle");
    await checkpointTree(scene, { target, bundle });
    const { states } = readBundle(bundle);
    const files = [...states.values()].map(({ files: { mapped = [] } }) =>
      mapped.map(({ file }) => file.id).sort(),
    );
    expect(files[0]?.length).toBeGreaterThan(2);
    expect(files).toEqual(files.map(() => files[0]));
    await killTree(scene, membersOf(bundle));
    const restored = await restoreTree(scene, { target, bundle });
    target.go();
    const end = await restored.cr.done;
    expect(end.status, describeResult(end)).toBe(0);
    const total = (WORKERS * ROUNDS * (ROUNDS - 1)) / 2;
    expect(target.output()).toBe(`ready\ntotal ${total} ${WORKERS * ROUNDS}\n`);
  }));
