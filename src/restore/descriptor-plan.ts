/**
 * What each descriptor of the program will lead to: its recorded open file, a descriptor of cr's caller, or what
 * the user named with `--fd`. Pure: files.ts opens what is decided here.
 */
import { CrError } from "../errors.js";
import type { FileDescription, FileState } from "../state/fd.js";
import type { FdPlacement } from "./fd-placement.js";
import { isObject } from "./objects.js";

/** One descriptor and where it leads. */
export type PlannedDescriptor = { readonly fd: number; readonly cloexec: boolean } & (
  | { readonly to: "description"; readonly description: FileDescription }
  /** A kernel object, made again in cr (objects.ts). */
  | { readonly to: "object"; readonly description: FileDescription }
  /** Made by the program itself, like an epoll instance (inside.ts). */
  | { readonly to: "inside"; readonly description: FileDescription }
  /** A new pipe in which the recorded bytes wait. */
  | { readonly to: "feed"; readonly description: FileDescription }
  | { readonly to: "placement"; readonly placement: FdPlacement; readonly flags: number }
);

export interface PlanOptions {
  /** `--fd`, as parsed. */
  readonly placements: readonly FdPlacement[];
  /** A core of another tool, which has no descriptors: the program gets the caller's 0 to 2. */
  readonly foreign: boolean;
  /** In a tree: what has been decided for a description, by `id`, and for all that have it. */
  readonly given?: ReadonlyMap<number, FdPlacement>;
  /** In a tree: the member it is about, for messages. */
  readonly pid?: number;
}

const STANDARD = [0, 1, 2] as const;
const ACCESS_OF_STANDARD = [0, 1, 1] as const;
const O_RDWR = 2;

/**
 * Plans all descriptors. FD_OUTSIDE names every one whose far end is outside the checkpoint and that is neither
 * 0 to 2 (or a duplicate of one of them) nor placed by the user; USAGE a placement that cannot be meant.
 */
export function planDescriptors(files: FileState, options: PlanOptions): PlannedDescriptor[] {
  const placements = byNumber(options.placements);
  if (options.foreign) return planForeign(placements);
  const descriptions = new Map(files.descriptions.map((description) => [description.id, description]));
  const outside: { fd: number; description: FileDescription }[] = [];
  const planned = files.descriptors.flatMap(({ fd, cloexec, description: id }): PlannedDescriptor[] => {
    const description = descriptions.get(id);
    if (description === undefined) {
      throw new CrError(
        "BAD_CORE",
        `read the descriptors: ${fd} refers to description ${id}, which is missing`,
      );
    }
    const asked = placements.get(fd);
    const given = asked ?? options.given?.get(id);
    if (given === undefined && isOutside(description) && description.content !== null)
      return [{ fd, cloexec, to: "feed", description }];
    if (given === undefined && isMadeInside(description)) return [{ fd, cloexec, to: "inside", description }];
    if (given === undefined && isObject(description)) return [{ fd, cloexec, to: "object", description }];
    const placement = given ?? inheritance(files, description);
    if (placement !== undefined)
      return [{ fd, cloexec, to: "placement", placement, flags: description.flags }];
    if (isOutside(description) && !isOwnTerminal(description)) outside.push({ fd, description });
    return [{ fd, cloexec, to: "description", description }];
  });
  refuseOutside(outside, options.pid);
  for (const fd of placements.keys()) {
    if (files.descriptors.some((descriptor) => descriptor.fd === fd)) continue;
    throw new CrError("USAGE", `--fd ${fd}: the program had no descriptor ${fd}`, {
      hint: "cr inspect CORE lists its descriptors",
    });
  }
  return planned;
}

function byNumber(placements: readonly FdPlacement[]): Map<number, FdPlacement> {
  const map = new Map<number, FdPlacement>();
  for (const placement of placements) {
    if (map.has(placement.fd)) throw new CrError("USAGE", `--fd ${placement.fd} is given twice`);
    map.set(placement.fd, placement);
  }
  return map;
}

function planForeign(placements: ReadonlyMap<number, FdPlacement>): PlannedDescriptor[] {
  const numbers = [...new Set([...STANDARD, ...placements.keys()])].sort((a, b) => a - b);
  return numbers.map((fd) => ({
    fd,
    cloexec: false,
    to: "placement",
    placement: placements.get(fd) ?? { fd, target: { kind: "inherit" } },
    flags: ACCESS_OF_STANDARD[fd] ?? O_RDWR,
  }));
}

/** A terminal or far end that is behind one of 0 to 2 comes from the caller, for all duplicates alike. */
function inheritance(files: FileState, description: FileDescription): FdPlacement | undefined {
  if (!isOutside(description)) return undefined;
  const standard = STANDARD.find((fd) =>
    files.descriptors.some((other) => other.fd === fd && other.description === description.id),
  );
  return standard === undefined ? undefined : { fd: standard, target: { kind: "inherit" } };
}

function isOutside({ kind }: FileDescription): boolean {
  return kind === "terminal" || kind === "outside";
}

function isMadeInside({ kind }: FileDescription): boolean {
  return kind === "epoll" || kind === "kernel";
}

/** /dev/tty (5:0) is whatever terminal the opener has: the program gets cr's. */
function isOwnTerminal({ kind, rdev }: FileDescription): boolean {
  return kind === "terminal" && rdev === "5:0";
}

function refuseOutside(
  outside: readonly { fd: number; description: FileDescription }[],
  pid: number | undefined,
): void {
  const [first] = outside;
  if (first === undefined) return;
  const list = outside.map(({ fd, description }) => `${fd} (${describe(description)})`).join(", ");
  const [plural, verb] = outside.length > 1 ? ["s", "lead"] : ["", "leads"];
  throw new CrError(
    "FD_OUTSIDE",
    `restore descriptor${plural} ${list}${pid === undefined ? "" : ` of process ${pid}`}: ${verb} outside the checkpoint and must be placed`,
    {
      hint: `add --fd ${first.fd}=PATH, --fd ${first.fd}=inherit or --fd ${first.fd}=null`,
      data: {
        fds: outside.map(({ fd, description }) => ({ fd, kind: description.kind, path: description.path })),
      },
    },
  );
}

function describe({ kind, path }: FileDescription): string {
  return kind === "terminal" ? `terminal ${path}` : path;
}
