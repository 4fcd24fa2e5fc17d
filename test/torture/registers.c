/*
 * Known values for every register and the comparison afterwards. The vector state is an XSAVE area in standard format
 * (Intel SDM volume 1, chapter 13): x87, SSE, AVX and the three AVX-512 components, as far as this CPU has them.
 */
#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#include "target.h"

enum {
  AREA_BYTES = 4096,
  FLAGS = 14,
  RED_ZONE = 15,
  RED_ZONE_WORDS = 5,
  STACK = RED_ZONE + RED_ZONE_WORDS,
  FOUND_WORDS,
  LEGACY_X87 = 32,
  LEGACY_XMM = 160,
  HEADER = 512,
};

/* x87, SSE, AVX, opmask, ZMM_Hi256, Hi16_ZMM: what a program may use without asking the kernel. */
static const uint64_t COMPONENTS = 0xe7;

/* CF, PF, AF, ZF, SF, DF, OF and the two that are always set (reserved bit 1, IF). */
static const uint64_t FLAGS_WANTED = 0xed7;

static const char *const NAMES[] = {"rax", "rbx", "rdx", "rsi", "rdi", "rbp", "r8", "r9",
                                    "r10", "r11", "r12", "r13", "r14", "r15", "eflags"};

uint64_t torture_wanted[RED_ZONE + 1];
uint64_t torture_found[FOUND_WORDS];
extern uint64_t torture_stack;

void torture_hold(uint64_t loops, const void *xsave_in, void *xsave_out, uint64_t mask);

static _Alignas(64) uint8_t area_in[AREA_BYTES];
static _Alignas(64) uint8_t area_out[AREA_BYTES];
static uint64_t mask;

static uint64_t xcr0(void) {
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

/* Where a component beyond x87 and SSE stands: CPUID leaf 0xd, sub-leaf i. */
static void locate(unsigned component, uint32_t *offset, uint32_t *size) {
  uint32_t c, d;
  __cpuid_count(0xd, component, *size, *offset, c, d);
}

static void fill(uint8_t *bytes, size_t length, unsigned seed) {
  for (size_t i = 0; i < length; i++) bytes[i] = (uint8_t)(seed * 37 + i * 11 + 5);
}

void registers_prepare(void) {
  unsigned a, b, c, d;
  __cpuid(1, a, b, c, d);
  if (!(c & bit_OSXSAVE)) complain("registers", "this CPU has no XSAVE, which the check needs");
  mask = xcr0() & COMPONENTS;
  area_in[0] = 0x7f;                /* fcw: extended precision 0x037f, rounding up 0x0b7f below */
  area_in[1] = 0x0b;
  area_in[4] = 0xff;                /* abridged tag word: all eight in use */
  uint32_t mxcsr = 0x1f80 | 0x4000; /* rounding up, all exceptions masked */
  memcpy(area_in + 24, &mxcsr, sizeof mxcsr);
  for (unsigned i = 0; i < 8; i++) {
    uint8_t *st = area_in + LEGACY_X87 + 16 * i;
    fill(st, 8, i + 1);
    st[7] |= 0x80; /* a normal number: explicit integer bit, middling exponent */
    st[8] = (uint8_t)i;
    st[9] = 0x40;
  }
  fill(area_in + LEGACY_XMM, 256, 101);
  for (unsigned component = 2; component < 8; component++) {
    uint32_t offset, size;
    if (!(mask >> component & 1)) continue;
    locate(component, &offset, &size);
    if (offset + size > AREA_BYTES) complain("registers", "the XSAVE area is larger than 4096 bytes");
    fill(area_in + offset, size, 200 + component);
  }
  memcpy(area_in + HEADER, &mask, sizeof mask);
  for (unsigned i = 0; i <= RED_ZONE; i++) torture_wanted[i] = 0x0123456789abcdefULL * (2 * i + 3);
  torture_wanted[FLAGS] = FLAGS_WANTED;
}

static void compare_bytes(const char *what, size_t offset, size_t size) {
  for (size_t i = offset; i < offset + size; i++) {
    char detail[80];
    if (area_in[i] == area_out[i]) continue;
    snprintf(detail, sizeof detail, "byte %zu is 0x%02x, was 0x%02x", i - offset, area_out[i], area_in[i]);
    complain(what, detail);
  }
}

static void compare_word(const char *what, uint64_t wanted, uint64_t found) {
  char detail[80];
  if (wanted == found) return;
  snprintf(detail, sizeof detail, "is 0x%llx, was 0x%llx", (unsigned long long)found, (unsigned long long)wanted);
  complain(what, detail);
}

void registers_check(uint64_t loops) {
  static const char *const components[] = {0, 0, "ymm", 0, 0, "k", "zmm high halves", "zmm16 to zmm31"};
  memset(area_out, 0, sizeof area_out);
  memset(torture_found, 0, sizeof torture_found);
  torture_hold(loops, area_in, area_out, mask);
  for (int i = 0; i <= FLAGS; i++) compare_word(NAMES[i], torture_wanted[i], torture_found[i]);
  for (int i = 0; i < RED_ZONE_WORDS; i++) {
    compare_word("red zone", torture_wanted[RED_ZONE], torture_found[RED_ZONE + i]);
  }
  compare_word("rsp", torture_stack, torture_found[STACK]);
  compare_bytes("x87 control", 0, 6);
  compare_bytes("mxcsr", 24, 4);
  for (unsigned i = 0; i < 8; i++) compare_bytes("x87 register", LEGACY_X87 + 16 * i, 10);
  compare_bytes("xmm", LEGACY_XMM, 256);
  for (unsigned component = 2; component < 8; component++) {
    uint32_t offset, size;
    if (!(mask >> component & 1)) continue;
    locate(component, &offset, &size);
    compare_bytes(components[component], offset, size);
  }
}
