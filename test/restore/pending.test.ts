/** A connection that waited to be accepted, whose port somebody has by now. */
import { closeSync } from "node:fs";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { CrError } from "../../src/errors.js";
import { connectPending } from "../../src/restore/pending.js";
import type { ObjectOf } from "../../src/state/kernel-object.js";
import { record } from "./recorded.js";

test("is told by its address", async () => {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as { port: number };
  const local = Buffer.from([2, 0, port >> 8, port & 0xff, 127, 0, 0, 1, ...Array(8).fill(0)]).toString(
    "hex",
  );
  const socket = { family: 2, type: 1, protocol: 6, peer: null, local, remote: local, options: [] };
  const object = {
    kind: "socket",
    ...socket,
    pending: { listener: 5n, place: 0 },
  } as unknown as ObjectOf<"socket">;
  const one = { ...record("/dev/null", { kind: "socket" }), object };
  const fds: number[] = [];
  const connecting = () => connectPending([one], (_, fd) => fds.push(fd));
  try {
    expect(connecting).toThrow(CrError);
    expect(connecting).toThrow(
      `cannot bind a socket of the program that waited to be accepted to 127.0.0.1:${port}: EADDRINUSE`,
    );
  } finally {
    for (const fd of fds) closeSync(fd);
    server.close();
  }
});
