/*
 * CRC32C (Castagnoli, polynomial 0x1EDC6F41 reflected): much at a time by carry-less products where the CPU has them for 512
 * bits, else its instruction, or a table where that is missing, too.
 */
#include "cr.h"

#include <immintrin.h>
#include <pthread.h>
#include <string.h>

#define PAGE 4096u

static uint32_t table[256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void fill_table(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; bit++) c = c & 1 ? (c >> 1) ^ 0x82f63b78u : c >> 1;
    table[i] = c;
  }
}

static uint32_t by_table(uint32_t c, const uint8_t *data, size_t len) {
  pthread_once(&table_once, fill_table);
  while (len--) c = (c >> 8) ^ table[(c ^ *data++) & 0xff];
  return c;
}

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t c, const uint8_t *data, size_t len) {
  uint64_t wide = c;
  for (; len >= 8; len -= 8, data += 8) {
    uint64_t word;
    memcpy(&word, data, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  c = (uint32_t)wide;
  while (len--) c = _mm_crc32_u8(c, *data++);
  return c;
}

/* Four sums at a time: each waits for its last step three times as long as the CPU takes for one. */
__attribute__((target("sse4.2"))) static void four_pages(const uint8_t *pages, uint32_t *crcs) {
  uint64_t sums[4] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
  for (size_t at = 0; at < PAGE; at += 8) {
    for (size_t page = 0; page < 4; page++) {
      uint64_t word;
      memcpy(&word, pages + page * PAGE + at, 8);
      sums[page] = _mm_crc32_u64(sums[page], word);
    }
  }
  for (size_t page = 0; page < 4; page++) crcs[page] = ~(uint32_t)sums[page];
}

#define FOLDING "avx512f,vpclmulqdq,pclmul,sse4.2"
#define FOLDED 256u /* bytes of a step */

static int can_fold(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("sse4.2");
}

/* Each 128 bits of `sum` as what they come to so many bytes further on, with what stands there: products with the remainders
 * of x^(n+31) and x^(n-33), reflected, for n bits (the method of Gopal and others, "Fast CRC computation using PCLMULQDQ"). */
#define BY_256 _mm512_set4_epi32(0, (int)0xb9e02b86, 0, (int)0xdcb17aa4)
#define BY_64 _mm512_set4_epi32(0, (int)0x9e4addf8, 0, (int)0x740eef02)
#define BY_16 _mm_set_epi32(0, (int)0x493c7d27, 0, (int)0xf20c0dfe)

__attribute__((target(FOLDING))) static inline __m512i fold(__m512i sum, __m512i by, __m512i more) {
  const __m512i low = _mm512_clmulepi64_epi128(sum, by, 0x00), high = _mm512_clmulepi64_epi128(sum, by, 0x11);
  return _mm512_ternarylogic_epi64(low, high, more, 0x96); /* all three xored */
}

__attribute__((target(FOLDING))) static inline __m128i fold_last(__m128i sum, __m128i more) {
  const __m128i by = BY_16;
  return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(sum, by, 0x00), _mm_clmulepi64_si128(sum, by, 0x11)), more);
}

/* Of whole steps, at least one. */
__attribute__((target(FOLDING))) static uint32_t by_folding(uint32_t c, const uint8_t *data, size_t len) {
  const __m512i by_256 = BY_256, by_64 = BY_64;
  __m512i sum[4];
  for (int i = 0; i < 4; i++) sum[i] = _mm512_loadu_si512(data + 64 * i);
  sum[0] = _mm512_xor_si512(sum[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)c)));
  for (size_t at = FOLDED; at < len; at += FOLDED)
    for (int i = 0; i < 4; i++) sum[i] = fold(sum[i], by_256, _mm512_loadu_si512(data + at + 64 * i));
  for (int i = 1; i < 4; i++) sum[i] = fold(sum[i - 1], by_64, sum[i]);
  __m128i last = _mm512_extracti32x4_epi32(sum[3], 0);
  last = fold_last(last, _mm512_extracti32x4_epi32(sum[3], 1));
  last = fold_last(last, _mm512_extracti32x4_epi32(sum[3], 2));
  last = fold_last(last, _mm512_extracti32x4_epi32(sum[3], 3));
  uint64_t words[2];
  memcpy(words, &last, sizeof words);
  return (uint32_t)_mm_crc32_u64(_mm_crc32_u64(0, words[0]), words[1]);
}

uint32_t cr_crc32c(uint32_t crc, const uint8_t *data, size_t len) {
  crc = ~crc;
  const size_t folded = len >= FOLDED && can_fold() ? len / FOLDED * FOLDED : 0;
  if (folded > 0) crc = by_folding(crc, data, folded);
  data += folded, len -= folded;
  return ~(__builtin_cpu_supports("sse4.2") ? by_instruction(crc, data, len) : by_table(crc, data, len));
}

void cr_crc32c_pages(const uint8_t *pages, size_t count, uint32_t *crcs) {
  if (can_fold()) {
    for (; count > 0; count--, pages += PAGE) *crcs++ = ~by_folding(UINT32_MAX, pages, PAGE);
    return;
  }
  const int quick = __builtin_cpu_supports("sse4.2") != 0;
  for (; quick && count >= 4; count -= 4, pages += 4 * PAGE, crcs += 4) four_pages(pages, crcs);
  for (; count > 0; count--, pages += PAGE) *crcs++ = cr_crc32c(0, pages, PAGE);
}
