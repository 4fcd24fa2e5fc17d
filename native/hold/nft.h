/*
 * Packet rules that live as long as a netlink socket: an nftables table with `flags owner` that drops what comes for
 * some TCP connections and what their sockets send (nf_tables netlink, linux/netfilter/nf_tables.h).
 */
#ifndef NFT_H
#define NFT_H

#include <netinet/in.h>
#include <stdint.h>

/* Of one connection, as its holder sees it; ports and addresses in network order. */
struct connection {
  int family; /* AF_INET or AF_INET6 */
  uint8_t local[16], remote[16];
  uint16_t local_port, remote_port;
};

/* Fills it for a connected socket; 0 or -errno. */
int connection_of(int fd, struct connection *out);

/* The netlink socket whose end is that of the rules, or -errno. */
int nft_hold(const char *table, const struct connection *all, int count);

#endif
