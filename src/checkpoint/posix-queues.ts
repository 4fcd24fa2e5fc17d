/**
 * POSIX message queues behind descriptors: carried while they are empty, since messages cannot be read without taking
 * them, and while nobody waits to be told of one, since what he is to be told is not shown.
 */
import { describeFarEnd } from "../host/descriptor-holders.js";
import type { OpenDescriptor } from "../tracee/descriptors.js";
import { attributesOf, isQueueDescriptor, notifiedOf } from "../tracee/posix-queue.js";
import type { Sort, Surroundings } from "./objects.js";

const OWN_NAME = /^\/[^/]+$/;
const DELETED = " (deleted)";

/** Names under which queues may be held elsewhere, for `FarEnds.look`: mostly that of no queue. */
export function queueLinks(open: readonly OpenDescriptor[]): string[] {
  return open.flatMap(({ link, stat }) => (stat.isFile() && OWN_NAME.test(link) ? [link] : []));
}

/** A queue that mq_open(3) opened, or why it cannot be saved; null for what is none. */
export function sortQueue(one: OpenDescriptor, { pid, farEnds }: Surroundings): Sort | null {
  const { fd, link, stat } = one;
  if (!stat.isFile() || !isQueueDescriptor(pid, fd)) return null;
  const refused = (why: string): Sort => ({ refused: `a message queue (${link}) ${why}` });
  if (stat.nlink === 0n || link.endsWith(DELETED)) return refused("that has no name any more");
  if (!OWN_NAME.test(link)) return refused("that was opened as a file");
  const { maxMessages, messageBytes, waiting } = attributesOf(pid, fd);
  if (waiting > 0) return refused(`with ${waiting} messages, which cannot be read without taking them`);
  const notified = notifiedOf(pid, fd);
  if (notified > 0) return refused(`of which process ${notified} wants to be told (mq_notify)`);
  const holder = farEnds.holder(link);
  if (holder !== null) return refused(`that ${describeFarEnd(holder)}, too`);
  return { kind: "queue", object: { kind: "queue", maxMessages, messageBytes } };
}
