/** The unmodified programs of programs.test.ts that compute in several threads. File names are in their working folder. */
import { fixture } from "../harness/target.js";
import type { Program } from "./program-list.js";

const PYTHON_THREADS = `
import hashlib, queue, threading, time
todo, results, lock = queue.Queue(8), {}, threading.Lock()
def work():
    while (item := todo.get()) is not None:
        h = hashlib.sha256(str(item).encode())
        for _ in range(3000): h = hashlib.sha256(h.digest())
        with lock: results[item] = h.hexdigest()
        time.sleep(0.001)
threads = [threading.Thread(target=work) for _ in range(6)]
for t in threads: t.start()
for i in range(8000): todo.put(i)
for _ in threads: todo.put(None)
for t in threads: t.join()
for i in sorted(results): print(i, results[i])
`;

const PYTHON_ASYNCIO = `
import asyncio, hashlib
async def work(n, out):
    h = str(n).encode()
    for i in range(400):
        h = hashlib.sha256(h).digest()
        await asyncio.sleep(0.01 + n * 0.0001)
    out[n] = h.hex()
async def main():
    out = {}
    await asyncio.gather(*(work(n, out) for n in range(50)))
    for n in sorted(out): print(n, out[n])
asyncio.run(main())
`;

const NODE = `
const { createHash } = require("node:crypto");
const zip = require("node:util").promisify(require("node:zlib").gzip);
(async () => {
  let h = "0";
  for (let i = 0; i < 900; i++) {
    for (const part of await Promise.all([1, 2, 3, 4].map((k) => zip(Buffer.alloc(20000, h + k)))))
      h = createHash("sha256").update(h).update(part).digest("hex");
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (i % 10 === 0) console.log(i, h);
  }
  process.exitCode = 6;
})();
`;

const JAVA = `
import java.util.*;
import java.util.concurrent.*;
public class Work {
  static long run(long x) {
    var map = new HashMap<Long, Long>();
    for (int k = 0; k < 200000; k++) { x = x * 6364136223846793005L + 1; map.put(x & 1023, x); }
    long all = 0;
    for (long v : map.values()) all ^= v;
    return all;
  }
  public static void main(String[] arguments) throws Exception {
    var pool = Executors.newFixedThreadPool(4);
    long all = 0;
    for (int round = 0; round < 120; round++) {
      var parts = new ArrayList<Future<Long>>();
      for (int i = 0; i < 16; i++) { final long n = round * 100L + i; parts.add(pool.submit(() -> run(n))); }
      for (var part : parts) all ^= part.get();
      System.out.println(round + " " + all);
      Thread.sleep(10);
    }
    System.exit(8);
  }
}
`;

const FFMPEG = ["-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=duration=40:size=640x360:rate=25"];

export const THREADED_PROGRAMS: readonly Program[] = [
  {
    name: "python3 with threads",
    package: "python3",
    argv: ["/usr/bin/python3.11", "-c", PYTHON_THREADS],
    status: 0,
  },
  {
    name: "python3 with asyncio",
    package: "python3",
    argv: ["/usr/bin/python3.11", "-c", PYTHON_ASYNCIO],
    status: 0,
  },
  { name: "node", package: "nodejs", argv: [process.execPath, "-e", NODE], status: 6 },
  {
    name: "java",
    package: "default-jdk-headless",
    argv: ["java", "Work.java"],
    files: { "Work.java": JAVA },
    status: 8,
  },
  { name: "OpenMP", package: "gcc", argv: [fixture("openmp")], status: 5 },
  {
    name: "ffmpeg with threads",
    package: "ffmpeg",
    argv: ["ffmpeg", ...FFMPEG, "-threads", "4", "-c:v", "libx264", "-f", "framemd5", "-"],
    status: 0,
  },
  {
    name: "xz with threads",
    corpusMib: 32,
    package: "xz-utils",
    argv: ["xz", "-k", "-T3", "--block-size=512KiB", "-9e", "corpus"],
    status: 0,
    result: "corpus.xz",
  },
  {
    name: "zstd with threads",
    corpusMib: 48,
    package: "zstd",
    argv: ["zstd", "-q", "-T3", "-15", "corpus"],
    status: 0,
    result: "corpus.zst",
  },
];
