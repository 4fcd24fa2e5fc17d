/** A client of a TCP server that sends lines and gets lines: one connection, which it never makes anew. */
import { connect, type Socket } from "node:net";
import { eventually } from "./eventually.js";

export interface LineClient {
  /** Its own port: another one would be another connection. */
  readonly port: number;
  send(text: string): void;
  /** Everything that came and was not taken yet. */
  pending(): string;
  /** Waits for the next line, and takes it. */
  line(): Promise<string>;
  /** Waits until so many bytes have come, and takes them. */
  take(count: number): Promise<string>;
  /** Stops reading, so that what is sent to it fills up. */
  pause(): void;
  resume(): void;
  /** How the connection ended: `end`, or the name of an error; null while it lives. */
  ended(): string | null;
  close(): void;
}

/** Connects to a port of this host. */
export async function lineClient(port: number, host = "127.0.0.1"): Promise<LineClient> {
  const socket = connect({ port, host });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return follow(socket);
}

function follow(socket: Socket): LineClient {
  let text = "";
  let ended: string | null = null;
  socket.setEncoding("latin1");
  socket.on("data", (more: string) => {
    text += more;
  });
  socket.on("end", () => {
    ended ??= "end";
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    ended ??= error.code ?? error.message;
  });
  const take = (length: number) => {
    const taken = text.slice(0, length);
    text = text.slice(length);
    return taken;
  };
  return {
    port: socket.localPort ?? 0,
    send: (line) => socket.write(line),
    pending: () => text,
    line: async () => {
      await eventually(
        () => `a line came; there is ${JSON.stringify(text.slice(0, 200))}, ended: ${ended}`,
        () => text.includes("\n"),
        { timeoutMs: 60_000 },
      );
      return take(text.indexOf("\n") + 1).trimEnd();
    },
    take: async (count) => {
      await eventually(
        () => `${count} bytes came; there are ${text.length}, ended: ${ended}`,
        () => text.length >= count,
        { timeoutMs: 60_000 },
      );
      return take(count);
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    ended: () => ended,
    close: () => socket.destroy(),
  };
}
