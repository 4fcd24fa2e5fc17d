/**
 * Standard input that was a pipe with unread bytes: the program gets a new pipe in which they wait, and in the
 * foreground what comes in at cr's own standard input follows them.
 */
import { closeSync, createWriteStream } from "node:fs";
import { isatty } from "node:tty";
import { CrError } from "../errors.js";
import { readPadded } from "../file-bytes.js";
import type { FileDescription } from "../state/fd.js";
import { isNativeError } from "../tracee/native-error.js";
import { makePipe } from "../tracee/pipe.js";
import { coreOf } from "./content.js";

const STANDARD_INPUT = 0;

export interface Feed extends Disposable {
  /** The end the program reads; in cr. */
  readonly readFd: number;
  /** After the program has started: passes cr's own input on, or lets the input end behind the recorded bytes. */
  start(options: { readonly follow: boolean }): void;
}

/** Makes the pipe with the bytes recorded for `description`. LIMIT_TOO_LOW when this host allows no such pipe. */
export function openFeed(description: FileDescription, coreFd: number): Feed {
  const { content } = description;
  if (content === null) throw new RangeError(`no bytes are recorded for ${description.path}`);
  const { readFd, writeFd } = pipeWith(
    readPadded(coreOf(content, coreFd), content.lengthBytes, content.fileOffset),
  );
  let open = [readFd, writeFd];
  const close = (...fds: number[]) => {
    for (const fd of open.filter((one) => fds.includes(one))) closeSync(fd);
    open = open.filter((one) => !fds.includes(one));
  };
  return {
    readFd,
    start({ follow }) {
      close(readFd);
      // A terminal is not read in the program's stead: its pipe had another source, which is gone.
      if (!follow || isatty(STANDARD_INPUT)) return close(writeFd);
      open = [];
      pass(writeFd);
    },
    [Symbol.dispose]: () => close(readFd, writeFd),
  };
}

function pipeWith(bytes: Buffer): { readFd: number; writeFd: number } {
  try {
    return makePipe(bytes);
  } catch (cause) {
    if (!isNativeError(cause)) throw cause;
    const message = `make a pipe for ${bytes.length} bytes of standard input: ${cause.errno}`;
    const hint = "raise fs.pipe-max-size and fs.pipe-user-pages-soft on this host, or add --fd 0=PATH";
    throw new CrError("LIMIT_TOO_LOW", message, { hint, cause });
  }
}

/** The program may end or close its input at any time: then there is nobody left to pass it to. */
function pass(writeFd: number): void {
  const sink = createWriteStream("", { fd: writeFd });
  sink.on("error", () => process.stdin.destroy());
  process.stdin.on("error", () => sink.end());
  process.stdin.pipe(sink);
  // A socket or pipe would keep cr alive after the program; a file has no such method and ends by itself.
  if ("unref" in process.stdin) process.stdin.unref();
}
