/** The instruction sets of a CPU, told apart from what only kernels use. */
import { expect, test } from "vitest";
import { cpuFeatures } from "../../src/host/cpu-features.js";

test("names the instruction sets of the first CPU", () => {
  const text =
    "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu sse2 avx2 smep constant_tsc\n\n" +
    "processor\t: 1\nvendor_id\t: Other\nflags\t\t: fpu sse2 avx512f\n";
  expect(cpuFeatures(text)).toEqual({
    vendor: "GenuineIntel",
    model: "Some CPU @ 2 GHz",
    features: ["sse2", "avx2"],
  });
  expect(cpuFeatures("")).toEqual({ vendor: "", model: "", features: [] });
  expect(cpuFeatures().features).toContain("sse2");
});
