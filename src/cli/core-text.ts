/**
 * The text of `cr inspect`: one function a section, lines out. Names come from a file that anybody may have
 * written, so control characters never reach the terminal.
 */
import { constants } from "node:os";
import { hex } from "../state/address.js";
import type { CoreSummary, MapSummary } from "./core-summary.js";
import { memoryPicture } from "./memory-picture.js";
import { formatBytes } from "./size.js";

/** General registers in the order people look for them. */
const REGISTER_ROWS = [
  ["rip", "rsp", "rbp", "eflags"],
  ["rax", "rbx", "rcx", "rdx"],
  ["rsi", "rdi", "r8", "r9"],
  ["r10", "r11", "r12", "r13"],
  ["r14", "r15", "orig_rax", "fs_base"],
] as const;

const ORIGINS = { recore: "Recore", gcore: "gdb (gcore)", kernel: "the kernel", other: "an unknown tool" };

/** All sections, with an empty line between two. */
export function coreText(summary: CoreSummary, charset: "unicode" | "ascii"): string {
  const sections = [
    headerLines(summary),
    ...summary.threads.map(threadLines),
    mapLines(summary.maps, charset),
    noteLines(summary.notes),
    descriptorLines(summary.files),
    signalLines(summary.signals),
    softErrorLines(summary),
  ];
  const text = sections.filter((lines) => lines.length > 0).map((lines) => lines.map(printable).join("\n"));
  return `${text.join("\n\n")}\n`;
}

function headerLines({
  core,
  origin,
  sizeBytes,
  plainBytes,
  diskBytes,
  delta,
  host,
  process,
  signal,
}: CoreSummary): string[] {
  const where = host.hostname === "" ? "" : ` on ${host.hostname} (Linux ${host.kernel})`;
  return [
    `core      ${core}`,
    `written   by ${ORIGINS[origin]}${origin === "recore" ? ` (${host.tool}), mode ${host.mode}` : ""}`,
    `taken     ${new Date(host.takenMs).toISOString()}${where}`,
    `size      ${formatBytes(sizeBytes)}, ${formatBytes(diskBytes)} on disk`,
    ...(plainBytes === null
      ? []
      : [`packed    ${formatBytes(plainBytes)} compressed; for a debugger: cr export ${core} -o PLAIN`]),
    ...(delta === null ? [] : deltaLines(core, delta)),
    `process   ${process.pid} ${process.comm}`,
    `command   ${process.args}`,
    `program   ${process.exe.path || "unknown"}${process.exe.buildId ? ` (build-id ${process.exe.buildId})` : ""}`,
    ...(process.cwd.path === "" ? [] : [`folder    ${process.cwd.path}`]),
    ...(signal === null || signal === 0 ? [] : [`ended by  ${signalName(signal)}`]),
  ];
}

function deltaLines(
  core: string,
  { ancestors, inheritedBytes }: NonNullable<CoreSummary["delta"]>,
): string[] {
  const [parent, ...more] = ancestors.map(({ name }) => name);
  const others = more.length === 0 ? "" : `, that on ${more.join(", ")}`;
  return [
    `builds on ${parent}${others}: ${formatBytes(inheritedBytes)} stand there`,
    `          whole, and for a debugger: cr merge ${core} -o WHOLE`,
  ];
}

function threadLines({ tid, comm, registers, sigmask, pending }: CoreSummary["threads"][number]): string[] {
  const cell = (name: string) => `${name.padStart(8)} ${hex(registers[name] ?? 0n).padEnd(18)}`;
  return [
    `thread ${tid} ${comm}`,
    ...REGISTER_ROWS.map((row) => row.map(cell).join(" ").trimEnd()),
    ...(sigmask === 0n ? [] : [`  blocked ${signalsIn(sigmask).join(" ")}`]),
    ...(pending.length === 0 ? [] : [`  pending ${pending.map(signalName).join(" ")}`]),
  ];
}

function mapLines(maps: readonly MapSummary[], charset: "unicode" | "ascii"): string[] {
  const totals = maps.reduce(
    (sum, map) => ({ size: sum.size + map.sizeBytes, stored: sum.stored + map.storedBytes }),
    { size: 0, stored: 0 },
  );
  const rows = maps.map((map) => {
    const name = `${map.path}${map.deleted ? " (deleted)" : ""}`;
    const range = `${map.start.toString(16).padStart(12)}-${map.end.toString(16).padEnd(12)}`;
    const sizes = `${formatBytes(map.sizeBytes).padStart(10)} ${formatBytes(map.storedBytes).padStart(10)}`;
    return `${range} ${map.prot} ${sizes} |${memoryPicture(map, map.stored, charset)}| ${name}`.trimEnd();
  });
  return [
    `maps: ${maps.length}, ${formatBytes(totals.size)} mapped, ${formatBytes(totals.stored)} in the core`,
    `${"address".padEnd(25)} prot ${"size".padStart(10)} ${"in core".padStart(10)}`,
    ...rows,
  ];
}

function noteLines(notes: CoreSummary["notes"]): string[] {
  return [
    `notes: ${notes.length}`,
    ...notes.map(({ owner, type, name, sizeBytes }) => {
      return `  ${owner.padEnd(7)} ${(name ?? `type 0x${type.toString(16)}`).padEnd(20)} ${formatBytes(sizeBytes)}`;
    }),
  ];
}

function descriptorLines({ descriptors, descriptions }: CoreSummary["files"]): string[] {
  if (descriptors.length === 0) return [];
  const byId = new Map(descriptions.map((description) => [description.id, description]));
  const rows = descriptors.map(({ fd, description: id }) => {
    const description = byId.get(id);
    if (description === undefined) return `  ${fd}`;
    const { kind, path, deleted, position, content } = description;
    const shared = descriptors.filter((other) => other.description === id && other.fd !== fd);
    return [
      `  ${String(fd).padStart(3)} ${kind.padEnd(9)} ${path}${deleted ? " (deleted)" : ""}`,
      ...(kind === "regular" ? [`at ${position}`] : []),
      ...(content === null ? [] : [`${formatBytes(content.lengthBytes)} in the core`]),
      ...(shared.length === 0 ? [] : [`shared with ${shared.map((other) => other.fd).join(" ")}`]),
    ].join(", ");
  });
  return [`descriptors: ${descriptors.length}`, ...rows];
}

function signalLines({ actions, pending }: CoreSummary["signals"]): string[] {
  const handled = actions.filter(({ handler }) => handler > 1n);
  const ignored = actions.filter(({ handler }) => handler === 1n);
  return [
    ...(ignored.length === 0
      ? []
      : [`ignored signals: ${ignored.map((action) => signalName(action.signal)).join(" ")}`]),
    ...(handled.length === 0 ? [] : [`handled signals: ${handled.length}`]),
    ...handled.map(({ signal, handler }) => `  ${signalName(signal).padEnd(9)} ${hex(handler)}`),
    ...(pending.length === 0 ? [] : [`pending signals: ${pending.map(signalName).join(" ")}`]),
  ];
}

function softErrorLines({ missing, softErrors }: CoreSummary): string[] {
  return [
    ...missing.map(({ code, message }) => `${code}: ${message}`),
    ...(softErrors.length === 0 ? [] : [`soft errors: ${softErrors.length}`]),
    ...softErrors.map(({ kind, id, message }) => `  ${kind}${id === "" ? "" : ` ${id}`}: ${message}`),
  ];
}

/** `SIGTERM`, or `signal 34` for those without a name of their own. */
function signalName(signal: number): string {
  const entry = Object.entries(constants.signals).find(([, number]) => number === signal);
  return entry?.[0] ?? `signal ${signal}`;
}

/** Bit N-1 stands for signal N. */
function signalsIn(mask: bigint): string[] {
  const signals = Array.from({ length: 64 }, (_, index) => index + 1);
  return signals.filter((signal) => (mask >> BigInt(signal - 1)) & 1n).map(signalName);
}

function printable(line: string): string {
  return line.replace(/\p{Cc}/gu, "?");
}
