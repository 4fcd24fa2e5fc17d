/** `cr inspect <folder>`: the processes of a saved tree and what is between them; each core tells the rest by itself. */
import { openBundle } from "../core/bundle.js";
import type { TreeMember } from "../state/tree.js";
import { printJson, write } from "./report.js";
import { formatBytes } from "./size.js";

/** Prints the manifest with the name and the descriptions of each member. */
export function inspectTree(folder: string, json: boolean): void {
  using bundle = openBundle(folder);
  const { tree, living } = bundle;
  const processes = new Map(living.map(({ member, state }) => [member.pid, state.process]));
  const members = tree.members.map((member) => {
    const process = processes.get(member.pid);
    const [comm, args] = [process?.comm ?? member.zombie?.comm ?? "", process?.args ?? ""];
    return { ...member, comm, args };
  });
  if (json) {
    printJson({ core: folder, ...tree, members, shared: sharedDescriptions(living) });
    return;
  }
  const shared = sharedDescriptions(living);
  const lines = [
    `tree      ${folder}`,
    `written   by ${tree.tool}`,
    `taken     ${new Date(tree.takenMs).toISOString()} on ${tree.hostname} (Linux ${tree.kernel})`,
    `root      ${tree.root}`,
    "",
    `processes: ${members.length}`,
    ...members.map((member) => memberLine(member, depthOf(member, tree.members))),
    ...(shared.length === 0 ? [] : ["", `shared descriptions: ${shared.length}`]),
    ...shared.map(({ kind, path, pids }) => `  ${kind.padEnd(9)} ${path}, held by ${pids.join(" ")}`),
    ...(tree.memory.length === 0 ? [] : ["", `shared memory: ${tree.memory.length}`]),
    ...tree.memory.map(({ ino, sizeBytes, members: pids }) => {
      return `  ${String(ino).padEnd(9)} ${formatBytes(sizeBytes)}, mapped by ${pids.join(" ")}`;
    }),
  ];
  write(`${lines.map((line) => line.replace(/\p{Cc}/gu, "?")).join("\n")}\n`);
}

function memberLine(
  { pid, group, session, terminal, core, zombie, comm, args }: TreeMember & { comm: string; args: string },
  depth: number,
): string {
  const name = `${"  ".repeat(depth + 1)}${pid} ${comm}`;
  const where = `group ${group}, session ${session}${terminal === null ? "" : `, ${terminal.name ?? terminal.dev}`}`;
  const what = zombie === null ? `${core?.file}: ${args}` : endOf(zombie.waitStatus);
  return `${name}, ${where}; ${what}`;
}

function endOf(waitStatus: number): string {
  const signal = waitStatus & 0x7f;
  return signal === 0 ? `ended with ${waitStatus >> 8}` : `killed by signal ${signal}`;
}

function depthOf({ parent }: TreeMember, members: readonly TreeMember[]): number {
  const above = members.find(({ pid }) => pid === parent);
  return above === undefined ? 0 : 1 + depthOf(above, members);
}

/** Open file descriptions that several members hold. */
function sharedDescriptions(living: ReturnType<typeof openBundle>["living"]) {
  const found = new Map<number, { id: number; kind: string; path: string; pids: number[] }>();
  for (const { member, state } of living) {
    for (const { id, kind, path } of state.files.descriptions) {
      const known = found.get(id) ?? { id, kind, path, pids: [] };
      known.pids.push(member.pid);
      found.set(id, known);
    }
  }
  return [...found.values()].filter(({ pids }) => pids.length > 1);
}
