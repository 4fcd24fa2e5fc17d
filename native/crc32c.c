/* CRC32C (Castagnoli, polynomial 0x1EDC6F41 reflected): the CPU's instruction, or a table where it is missing. */
#include "cr.h"

#include <nmmintrin.h>
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

uint32_t cr_crc32c(uint32_t crc, const uint8_t *data, size_t len) {
  crc = ~crc;
  return ~(__builtin_cpu_supports("sse4.2") ? by_instruction(crc, data, len) : by_table(crc, data, len));
}

void cr_crc32c_pages(const uint8_t *pages, size_t count, uint32_t *crcs) {
  const int quick = __builtin_cpu_supports("sse4.2") != 0;
  for (; quick && count >= 4; count -= 4, pages += 4 * PAGE, crcs += 4) four_pages(pages, crcs);
  for (; count > 0; count--, pages += PAGE) *crcs++ = cr_crc32c(0, pages, PAGE);
}
