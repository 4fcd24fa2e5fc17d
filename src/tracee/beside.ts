/** Work of the native library that goes on in threads of its own while this one does something else (native/beside.c). */
import { call, errnoName, NativeError, type NativeFunction, tryCall } from "./native.js";

/** To be ended, or disposed of, which waits for it: it works in memory of ours. */
export class Beside implements Disposable {
  readonly #fn: NativeFunction;
  #handle: number;
  #result = 0;
  /** What it reads and writes must stay where it is. */
  readonly #used: Buffer[];

  private constructor(fn: NativeFunction, handle: number, used: Buffer[]) {
    this.#fn = fn;
    this.#handle = handle;
    this.#used = used;
  }

  /** Calls a function that only begins its work. Throws `NativeError` where it cannot. */
  static begin(fn: NativeFunction, ...args: (number | string | Buffer)[]): Beside {
    return new Beside(fn, call(fn, ...args), args.filter(Buffer.isBuffer));
  }

  /** Waits until it is done; its result, a negative errno included. Again and again the same. */
  tryEnd(): number {
    if (this.#handle === 0) return this.#result;
    this.#result = tryCall("cr_end", this.#handle);
    this.#handle = 0;
    this.#used.length = 0;
    return this.#result;
  }

  /** The same; a `NativeError` where it failed. */
  end(): number {
    const result = this.tryEnd();
    if (result < 0) throw new NativeError(this.#fn, errnoName(-result));
    return result;
  }

  [Symbol.dispose](): void {
    this.tryEnd();
  }
}
