/** What waits in a System V message queue, put back by the newborns that were the last to send and to receive (msgop(2)). */
import type { Queue } from "../state/sysv-ipc.js";
import type { RemoteCall } from "../tracee/remote.js";
import { type Message, messageBuffer, sendMessage, takeMessages } from "../tracee/sysv-ipc.js";
import { Arguments } from "./arguments.js";
import type { Workshop } from "./workshop.js";

const IPC_NOWAIT = 0o4000;
/** Bytes of a message that a member can be given room for. */
const ROOM_BYTES = 32_768;

/** Sends all messages in the name of cr. */
export function sendAll(is: Queue, progress: Map<number, Progress>): void {
  if (!progress.has(is.id)) takeMessages(is);
  progress.set(is.id, { isEmptied: true, isPrimed: true });
  for (const message of is.messages) sendMessage(is.id, message);
}

/** How far a queue has been put back. */
export interface Progress {
  readonly isEmptied: boolean;
  /** The receiver has received, or finds a message of its own to receive. */
  readonly isPrimed: boolean;
}

/**
 * The last sender sends all messages. The last receiver receives one that is there for that alone: its own, when it comes
 * before the sender, and else the sender's, so that each is the last to do what it was the last to do.
 */
export function redoQueue(workshop: Workshop, is: Queue, work: QueueWork): void {
  const { id, receiver, messages } = is;
  const { pid, members, progress } = work;
  const sends = pid === senderOf(is);
  const receives = pid === receiver;
  if (!sends && !receives) return;
  const { isEmptied, isPrimed } = progress.get(id) ?? { isEmptied: false, isPrimed: false };
  if (!isEmptied) takeMessages(is);
  const type = freeType(messages);
  const blank = { type, bytes: Buffer.alloc(0) };
  const run = (call: "msgsnd" | "msgrcv", message: Message) => {
    const args = new Arguments(workshop.data);
    const buffer = args.put(messageBuffer(message));
    const rest = call === "msgsnd" ? [IPC_NOWAIT] : [message.type, IPC_NOWAIT];
    const calls: RemoteCall[] = [{ name: call, args: [id, buffer, message.bytes.length, ...rest] }];
    workshop.run(`put back its System V message queue ${id}`, calls, args.bytes());
  };
  const primes = !isPrimed && (receives || members.includes(receiver));
  if (primes) run("msgsnd", blank);
  if (receives) run("msgrcv", blank);
  for (const message of sends ? messages : []) run("msgsnd", message);
  progress.set(id, { isEmptied: true, isPrimed: isPrimed || primes });
}

interface QueueWork {
  readonly pid: number;
  readonly members: readonly number[];
  readonly progress: Map<number, Progress>;
}

/** Who sends the messages again; 0 when none of the members can. */
export function senderOf({ sender, messages }: Queue): number {
  return messages.some(({ bytes }) => bytes.length > ROOM_BYTES) ? 0 : sender;
}

/** A type that no message has. */
function freeType(messages: readonly Message[]): bigint {
  const taken = new Set(messages.map(({ type }) => type));
  for (let type = 2n ** 62n; ; type -= 1n) if (!taken.has(type)) return type;
}
