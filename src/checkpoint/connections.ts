/**
 * What is on its way in the TCP connections of stopped processes. Its numbers can only be read in repair mode, in which
 * a write of the program would fail: a keeper enters and leaves it, and as long as it lasts a SIGSTOP waits for every
 * process, so that none runs even if cr dies in that instant. It is taken back right after.
 */
import { faultPoint } from "../fault.js";
import { netNamespace } from "../host/net-namespace.js";
import type { FileDescription } from "../state/fd.js";
import type { SoftError } from "../state/soft-error.js";
import type { Kept, Tcp, TcpPolicy } from "../state/tcp.js";
import { withGrasp } from "../tracee/grasp.js";
import { peekSocket } from "../tracee/sockets.js";
import { isEstablished, mayRepair } from "../tracee/tcp-facts.js";
import { type Held, KeeperFailed, TcpKeeper } from "../tracee/tcp-keeper.js";
import { hasArrived, progressOf } from "../tracee/tcp-progress.js";
import { peekQueues, readNumbers } from "../tracee/tcp-repair.js";
import { takeBackStop } from "./ask.js";
import type { Frozen } from "./frozen.js";
import type { Sockets } from "./queues.js";
import { type Refusal, refuse } from "./refusal.js";

export const TCP_HOLD_MS = 60_000;
const SEQUENCE_NUMBERS = 2 ** 32;

/** What becomes of connections to the outside: kept where that is permitted, unless something was asked for. */
export function tcpPolicy(asked: TcpPolicy | undefined): TcpPolicy {
  return asked ?? (mayRepair() ? "keep" : "refuse");
}

/** A connection and what waits in it. */
export interface Dump {
  readonly tcp: Tcp;
  readonly bytes: Buffer;
}

/** To be disposed in any case: unless it was committed the connections go on as if nothing had been. */
export interface HeldConnections extends Disposable {
  /** By inode of the socket. */
  readonly dumps: ReadonlyMap<bigint, Dump>;
  /** Right before and right after the processes are killed. */
  killing(): void;
  commit(): void;
}

interface Holding {
  readonly members: readonly Frozen[];
  readonly sockets: Sockets;
  /** The processes will be killed, so that connections to the outside can be kept. */
  readonly kill: boolean;
  readonly holdMs: number;
}

type Connection = Held & { readonly ino: bigint; readonly tcp: Tcp };

/** Reads what is on its way; with `kill` packets from and to the outside are held from here on. UNSUPPORTED_STATE. */
export function holdConnections(root: number, holding: Holding): HeldConnections {
  const connections = connectionsOf(holding);
  const inside = connections.filter(({ tcp }) => tcp.peer !== null);
  const hold = holding.kill
    ? connections.filter(({ tcp }) => tcp.peer === null && tcp.policy === "keep")
    : [];
  const progress = new Map(inside.map((one) => [one.ino, withGrasp(one.pid, one.fd, progressOf)]));
  const waiting = new Set(
    inside
      .filter(({ ino, tcp }) => !hasArrived(progress.get(ino), progress.get(tcp.peer ?? 0n)))
      .map(({ ino }) => ino),
  );
  const look = inside.filter(({ ino }) => waiting.has(ino));
  const plain = new Map(inside.filter(({ ino }) => !waiting.has(ino)).map((one) => [one.ino, peek(one)]));
  if (hold.length + look.length === 0) return { dumps: plain, ...NOBODY };
  refuseWithoutRight(root, [...hold, ...look]);
  const name = `recore-${crypto.getRandomValues(Buffer.alloc(16)).toString("hex")}`;
  const running = holding.members.filter(({ tracee }) => tracee.stopSignal === 0);
  const keeper = startKeeper(root, {
    ...{ holdMs: holding.holdMs, name, hold, look },
    stop: running.map(({ tracee }) => tracee.pid),
  });
  try {
    const untilMs = Date.now() + holding.holdMs;
    const kept = { name, untilMs, net: netNamespace() };
    refuseEnded(root, hold);
    const dumps = inRepair(root, { keeper, running, act: () => dumpAll({ hold, look, kept }) });
    return {
      dumps: new Map([...plain, ...dumps]),
      killing: () => keeper.killing(),
      commit: () => keeper.commit(),
      [Symbol.dispose]: () => keeper[Symbol.dispose](),
    };
  } catch (error) {
    keeper[Symbol.dispose]();
    throw error;
  }
}

const NOBODY = { killing: () => {}, commit: () => {}, [Symbol.dispose]: () => {} };

function connectionsOf({ members, sockets }: Holding): Connection[] {
  const found = new Map<bigint, Connection>();
  for (const { look } of members) {
    for (const { ino, object } of look.files.descriptions) {
      const holder = sockets.get(ino);
      if (object?.kind !== "socket" || object.tcp === null || holder === undefined) continue;
      found.set(ino, { ...holder, ino, tcp: object.tcp });
    }
  }
  return [...found.values()];
}

/** All that was sent has arrived: what is unread there is all there is. */
function peek({ pid, fd, tcp }: Connection): Dump {
  const { bytes } = withGrasp(pid, fd, peekSocket);
  return { tcp: { ...tcp, receivedBytes: bytes.length }, bytes };
}

function refuseWithoutRight(root: number, connections: readonly Connection[]): void {
  if (mayRepair()) return;
  const refusals = connections.map(({ fd, tcp }): Refusal => {
    const what = `a connection to ${tcp.far}, whose bytes on their way only CAP_NET_ADMIN can read (TCP)`;
    return { kind: "descriptor", id: `fd:${fd}`, what };
  });
  refuse(root, refusals);
}

/** The peer may have ended one since it was looked at; now that its packets are dropped it cannot. */
function refuseEnded(root: number, hold: readonly Connection[]): void {
  const ended = hold.filter(({ pid, fd }) => !withGrasp(pid, fd, isEstablished));
  const words = (far: string) => `a connection to ${far} that its peer has just ended (TCP)`;
  refuse(
    root,
    ended.map(({ fd, tcp }) => ({ kind: "descriptor", id: `fd:${fd}`, what: words(tcp.far) })),
  );
}

function startKeeper(root: number, keeping: Parameters<typeof TcpKeeper.start>[0]): TcpKeeper {
  try {
    return TcpKeeper.start(keeping);
  } catch (error) {
    throw cannotHold(root, error);
  }
}

function cannotHold(root: number, error: unknown): unknown {
  if (!(error instanceof KeeperFailed)) return error;
  const what = `TCP connections that cannot be held (${error.message})`;
  try {
    refuse(root, [{ kind: "descriptor", id: "tcp", what }]);
  } catch (refusal) {
    return refusal;
  }
  return error;
}

/** Runs `act` while all sockets are in repair mode. */
function inRepair<T>(
  root: number,
  { keeper, running, act }: { keeper: TcpKeeper; running: readonly Frozen[]; act: () => T },
): T {
  try {
    keeper.enterRepair();
    try {
      faultPoint("in-repair");
      return act();
    } finally {
      keeper.leaveRepair();
      faultPoint("after-repair");
      for (const frozen of running) takeBackStop(frozen);
      keeper.stopsTakenBack();
    }
  } catch (error) {
    throw cannotHold(root, error);
  }
}

interface Dumping {
  readonly hold: readonly Connection[];
  readonly look: readonly Connection[];
  readonly kept: Kept["hold"];
}

function dumpAll({ hold, look, kept }: Dumping): Map<bigint, Dump> {
  const outside = hold.map((one) => {
    const { numbers, queues } = dump(one);
    return [one.ino, asDump(one, queues, { ...numbers, hold: kept })] as const;
  });
  const inside = new Map(look.map((one) => [one.ino, { one, ...dump(one) }]));
  const pairs = [...inside.values()].map(({ one, numbers, queues }) => {
    const peer = inside.get(one.tcp.peer ?? 0n);
    const arrived = peer?.numbers.receiveSeq ?? numbers.sendSeq;
    // An end that is shut down counts one more, which is no byte; all has arrived then.
    const left = Math.min(
      (numbers.sendSeq - arrived + SEQUENCE_NUMBERS) % SEQUENCE_NUMBERS,
      queues.sent.length,
    );
    const sent = queues.sent.subarray(queues.sent.length - left);
    return [one.ino, asDump(one, { received: queues.received, sent, unsentBytes: left }, null)] as const;
  });
  return new Map([...outside, ...pairs]);
}

function dump({ pid, fd }: Connection) {
  return withGrasp(pid, fd, (own) => {
    for (;;) {
      const queues = peekQueues(own);
      if (queues !== null) return { numbers: readNumbers(own), queues };
    }
  });
}

function asDump(
  { tcp }: Connection,
  { received, sent, unsentBytes }: { received: Buffer; sent: Buffer; unsentBytes: number },
  kept: Kept | null,
): Dump {
  const lengths = { receivedBytes: received.length, sentBytes: sent.length, unsentBytes };
  return { tcp: { ...tcp, ...lengths, kept }, bytes: Buffer.concat([received, sent]) };
}

/** Connections that a restore cannot bring back, because the program goes on with them. */
export function unkeptConnections(descriptions: readonly FileDescription[]): SoftError[] {
  return descriptions.flatMap(({ object, path }) => {
    if (object?.kind !== "socket" || object.tcp?.peer !== null || object.tcp.policy === "close") return [];
    const message = `the connection to ${object.tcp.far} is kept only with --kill: its restore needs --tcp close`;
    return [{ kind: "tcp", id: path, message }];
  });
}
