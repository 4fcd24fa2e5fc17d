/** What Recore uses of elfy 1.0.0, which brings no types: two methods of its parser. */
declare module "elfy" {
  export interface ElfyHeader {
    readonly type: string | undefined;
    readonly machine: string | undefined;
  }
  export interface ElfyProgram {
    readonly type: string | undefined;
    readonly flags: Readonly<Record<string, boolean>>;
  }
  export interface ElfyParser {
    parseHeader(bytes: Buffer): ElfyHeader;
    parsePrograms(bytes: Buffer, header: ElfyHeader): ElfyProgram[];
  }
  const elfy: { readonly Parser: new () => ElfyParser };
  export default elfy;
}
