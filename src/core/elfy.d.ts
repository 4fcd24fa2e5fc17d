/** What Recore uses of elfy 1.0.0, which brings no types: two methods of its parser. */
declare module "elfy" {
  export interface ElfyHeader {
    readonly class: string;
    readonly endian: string;
    readonly type: string | undefined;
    readonly machine: string | undefined;
    readonly phoff: number;
    readonly phnum: number;
    readonly phentsize: number;
  }
  export interface ElfyProgram {
    readonly type: string | undefined;
    readonly flags: Readonly<Record<string, boolean>>;
  }
  export class Parser {
    parseHeader(bytes: Buffer): ElfyHeader;
    parsePrograms(bytes: Buffer, header: ElfyHeader): ElfyProgram[];
  }
}
