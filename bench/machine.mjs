// What the numbers were measured on: processor, memory, kernel, file system of the output folder, versions.
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";

/** Rows of the table "measured on". */
export function describeMachine(folder, tools) {
  const processors = cpus();
  return [
    ["date", new Date().toISOString().slice(0, 16).replace("T", " ")],
    ["processor", `${processors.length} x ${processors[0]?.model.trim() ?? "unknown"}`],
    ["memory", `${Math.round(totalmem() / (1 << 30))} GiB`],
    ["kernel", `Linux ${release()}`],
    ["cores written to", fileSystem(folder)],
    ["Node.js", process.version],
    ...tools.map((tool) => [tool.name, tool.missing() ?? tool.version()]),
  ];
}

/** Type and device of the file system that holds a folder, from the longest matching mount (proc_pid_mountinfo(5)). */
function fileSystem(folder) {
  let found = { point: "", text: "unknown" };
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").trim().split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const point = before.split(" ")[4] ?? "";
    const [type, device] = after.split(" ");
    const inside = point === "/" || folder === point || folder.startsWith(`${point}/`);
    if (inside && point.length >= found.point.length) found = { point, text: `${type} on ${device}` };
  }
  return found.text;
}
