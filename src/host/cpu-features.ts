/**
 * The instruction sets of this machine's CPU that programs may have chosen to use, as /proc/cpuinfo names them. What
 * only the kernel uses, or only changes speed, is left out: it differs between kernels on one CPU.
 */
import { readText } from "./sysfs.js";

/** arch/x86/include/asm/cpufeatures.h */
const INSTRUCTION_SETS: ReadonlySet<string> = new Set(
  `cx8 cmov mmx fxsr sse sse2 syscall lm mmxext rdtscp 3dnow 3dnowext pni pclmulqdq monitor ssse3 fma cx16 sse4_1 sse4_2
  movbe popcnt aes xsave avx f16c rdrand lahf_lm abm sse4a misalignsse 3dnowprefetch xop fma4 tbm mwaitx fsgsbase
  bmi1 hle avx2 bmi2 rtm mpx rdseed adx clflush clflushopt clwb clzero sha_ni xsaveopt xsavec xgetbv1 pku ospke
  waitpkg gfni vaes vpclmulqdq rdpid cldemote movdiri movdir64b enqcmd serialize tsxldtrk rdpru
  avx512f avx512dq avx512ifma avx512pf avx512er avx512cd avx512bw avx512vl avx512vbmi avx512_vbmi2 avx512_vnni
  avx512_bitalg avx512_vpopcntdq avx512_4vnniw avx512_4fmaps avx512_vp2intersect avx512_bf16 avx512_fp16
  avx_vnni avx_ifma avx_vnni_int8 avx_vnni_int16 avx_ne_convert avx10 amx_bf16 amx_tile amx_int8 amx_fp16 amx_complex
  cmpccxadd sha512 sm3 sm4 user_shstk apx`.split(/\s+/),
);

export interface CpuFeatures {
  /** `GenuineIntel`, `AuthenticAMD`, … */
  readonly vendor: string;
  readonly model: string;
  /** In the kernel's order. */
  readonly features: readonly string[];
}

/** What the first CPU offers; `text` is that of /proc/cpuinfo. */
export function cpuFeatures(text: string = readText("/proc/cpuinfo") ?? ""): CpuFeatures {
  const line = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, "m").exec(text)?.[1] ?? "";
  return {
    vendor: line("vendor_id"),
    model: line("model name"),
    features: line("flags")
      .split(" ")
      .filter((flag) => INSTRUCTION_SETS.has(flag)),
  };
}
