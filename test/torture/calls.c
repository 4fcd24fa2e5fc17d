/*
 * Table and printer of the logged system calls: one JSON line a call, {"tid","call","args":[...],"result"}.
 * Argument letters: i an int, l a 64-bit number, p a path in the tool's memory, - left out.
 */
#include "calls.h"

#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

struct known_call {
  uint64_t nr;
  const char *name;
  const char *args;
};

static const struct known_call KNOWN[] = {
    {SYS_open, "open", "pii"},
    {SYS_openat, "openat", "ipii"},
    {SYS_openat2, "openat2", "ip"},
    {SYS_creat, "creat", "pi"},
    {SYS_close, "close", "i"},
    {SYS_readlink, "readlink", "p"},
    {SYS_stat, "stat", "p"},
    {SYS_lstat, "lstat", "p"},
    {SYS_newfstatat, "newfstatat", "ip"},
    {SYS_statx, "statx", "ip"},
    {SYS_write, "write", "i-l"},
    {SYS_writev, "writev", "i"},
    {SYS_pwrite64, "pwrite64", "i-ll"},
    {SYS_pwritev, "pwritev", "i"},
    {SYS_pwritev2, "pwritev2", "i"},
    {SYS_copy_file_range, "copy_file_range", "i-i"},
    {SYS_sendfile, "sendfile", "ii"},
    {SYS_splice, "splice", "i-i"},
    {SYS_process_vm_readv, "process_vm_readv", "i"},
    {SYS_ftruncate, "ftruncate", "il"},
    {SYS_truncate, "truncate", "pl"},
    {SYS_fallocate, "fallocate", "iill"},
    {SYS_fchmod, "fchmod", "ii"},
    {SYS_fsync, "fsync", "i"},
    {SYS_fdatasync, "fdatasync", "i"},
    {SYS_sync_file_range, "sync_file_range", "i"},
    {SYS_rename, "rename", "pp"},
    {SYS_renameat, "renameat", "ipip"},
    {SYS_renameat2, "renameat2", "ipipi"},
    {SYS_link, "link", "pp"},
    {SYS_linkat, "linkat", "ipipi"},
    {SYS_symlink, "symlink", "pp"},
    {SYS_unlink, "unlink", "p"},
    {SYS_unlinkat, "unlinkat", "ipi"},
    {SYS_ptrace, "ptrace", "ii"},
    {SYS_kill, "kill", "ii"},
    {SYS_tgkill, "tgkill", "iii"},
    {SYS_pidfd_send_signal, "pidfd_send_signal", "ii"},
    {SYS_exit_group, "exit_group", "i"},
};

static const struct known_call *find(uint64_t nr) {
  for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
    if (KNOWN[i].nr == nr) return &KNOWN[i];
  }
  return NULL;
}

const char *call_name(uint64_t nr) {
  const struct known_call *known = find(nr);
  return known ? known->name : NULL;
}

/* Reads page by page, as a path may end just before an unmapped page. */
static void read_path(pid_t tid, uint64_t address, char path[PATH_BYTES]) {
  size_t length = 0;
  while (length < PATH_BYTES - 1) {
    size_t chunk = 4096 - (address + length) % 4096;
    if (chunk > PATH_BYTES - 1 - length) chunk = PATH_BYTES - 1 - length;
    struct iovec local = {path + length, chunk};
    struct iovec remote = {(void *)(uintptr_t)(address + length), chunk};
    ssize_t got = process_vm_readv(tid, &local, 1, &remote, 1, 0);
    if (got <= 0) break;
    if (memchr(path + length, 0, (size_t)got)) return;
    length += (size_t)got;
  }
  path[length] = 0;
}

static size_t append_quoted(char *out, size_t room, const char *path) {
  size_t used = 0;
  out[used++] = '"';
  for (; *path && used + 8 < room; path++) {
    unsigned char byte = (unsigned char)*path;
    if (byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\') {
      used += (size_t)snprintf(out + used, room - used, "\\u%04x", byte);
    } else {
      out[used++] = (char)byte;
    }
  }
  out[used++] = '"';
  return used;
}

void call_describe(struct call *call) {
  const struct known_call *known = find(call->nr);
  size_t used = 0;
  call->text[0] = 0;
  if (!known) return;
  for (int i = 0; known->args[i]; i++) {
    char path[PATH_BYTES];
    size_t room = sizeof call->text - used;
    if (room < 64 || known->args[i] == '-') continue;
    if (used) call->text[used++] = ',';
    if (known->args[i] == 'p') {
      read_path(call->tid, call->args[i], path);
      used += append_quoted(call->text + used, room - 8, path);
    } else {
      int64_t wide = (int64_t)call->args[i];
      long long number = known->args[i] == 'l' ? wide : (int32_t)wide;
      used += (size_t)snprintf(call->text + used, room - 1, "%lld", number);
    }
  }
  call->text[used] = 0;
}

bool call_has_path(const struct call *call, const char *prefix) {
  char wanted[PATH_BYTES];
  size_t length = append_quoted(wanted, sizeof wanted, prefix);
  wanted[length - 1] = 0;
  return strstr(call->text, wanted) != NULL;
}

void call_log(FILE *file, const struct call *call, bool has_result, int64_t result) {
  const char *name = call_name(call->nr);
  if (!name) return;
  fprintf(file, "{\"tid\":%d,\"call\":\"%s\",\"args\":[%s],\"result\":", call->tid, name, call->text);
  if (has_result) {
    fprintf(file, "%lld}\n", (long long)result);
  } else {
    fprintf(file, "null}\n");
  }
}
