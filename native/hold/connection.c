/* The two ends of a connection, as packets name them. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "nft.h"

/* An IPv4 address in the clothes of an IPv6 one goes over the wire as IPv4. */
static int address_of(const struct sockaddr_storage *from, uint8_t *address, uint16_t *port) {
  if (from->ss_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)from;
    memcpy(address, &in->sin_addr, 4);
    *port = in->sin_port;
    return AF_INET;
  }
  const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
  int mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
  memcpy(address, in6->sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
  *port = in6->sin6_port;
  return mapped ? AF_INET : AF_INET6;
}

int connection_of(int fd, struct connection *out) {
  struct sockaddr_storage local, remote;
  socklen_t local_length = sizeof local, remote_length = sizeof remote;
  if (getsockname(fd, (struct sockaddr *)&local, &local_length) < 0) return -errno;
  if (getpeername(fd, (struct sockaddr *)&remote, &remote_length) < 0) return -errno;
  out->family = address_of(&local, out->local, &out->local_port);
  address_of(&remote, out->remote, &out->remote_port);
  return 0;
}
