/* Messages that the target has not read, which only SO_PEEK_OFF shows all of: none is missing, and it is as it was. */
#include "target.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static int ends[2];
static const char *const messages[] = {"one", "the second", "three"};
enum { MESSAGES = sizeof messages / sizeof *messages };

static void fill_queue(void) {
  for (int i = 0; i < MESSAGES; i++)
    if (send(ends[0], messages[i], strlen(messages[i]), 0) < 0) complain("send", strerror(errno));
}

void queue_start(void) {
  if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) < 0) complain("socketpair", strerror(errno));
  fill_queue();
}

void queue_check(void) {
  char found[64];
  int offset = -2;
  socklen_t length = sizeof offset;
  if (getsockopt(ends[1], SOL_SOCKET, SO_PEEK_OFF, &offset, &length) < 0 || offset != -1) complain("SO_PEEK_OFF", "it is set");
  for (int i = 0; i < MESSAGES; i++) {
    ssize_t got = recv(ends[1], found, sizeof found, MSG_DONTWAIT);
    if (got != (ssize_t)strlen(messages[i]) || memcmp(found, messages[i], (size_t)got) != 0) complain("queue", messages[i]);
  }
  fill_queue();
}
