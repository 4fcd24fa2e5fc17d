/* The messages that make a table, two chains and two rules a connection, in one batch that the kernel takes whole. */
#include "nft.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef NFT_TABLE_F_OWNER
#define NFT_TABLE_F_OWNER 2
#endif
/* Before connection tracking and every rule of the host (linux/netfilter_ipv4.h: -300 is raw). */
#define PRIORITY (-450)
#define RULE_BYTES 1024
#define FIXED_BYTES 4096

struct message {
  uint8_t *data;
  size_t length, size;
  uint32_t sequence;
};

static void *take(struct message *m, size_t bytes) {
  size_t padded = NLMSG_ALIGN(bytes);
  if (m->length + padded > m->size) abort();
  void *at = m->data + m->length;
  memset(at, 0, padded);
  m->length += padded;
  return at;
}

static size_t begin(struct message *m, int type, int flags, int family) {
  size_t at = m->length;
  struct nlmsghdr *header = take(m, sizeof *header);
  header->nlmsg_type = (uint16_t)type;
  header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
  header->nlmsg_seq = m->sequence++;
  struct nfgenmsg *generic = take(m, sizeof *generic);
  generic->nfgen_family = (uint8_t)family;
  generic->version = NFNETLINK_V0;
  if (type == NFNL_MSG_BATCH_BEGIN || type == NFNL_MSG_BATCH_END) generic->res_id = htons(NFNL_SUBSYS_NFTABLES);
  return at;
}

static void end(struct message *m, size_t at) {
  struct nlmsghdr *header = (struct nlmsghdr *)(m->data + at);
  header->nlmsg_len = (uint32_t)(m->length - at);
}

static void put(struct message *m, int type, const void *value, size_t bytes) {
  struct nlattr *attribute = take(m, NLA_HDRLEN + bytes);
  attribute->nla_type = (uint16_t)type;
  attribute->nla_len = (uint16_t)(NLA_HDRLEN + bytes);
  memcpy((uint8_t *)attribute + NLA_HDRLEN, value, bytes);
}

static void put_string(struct message *m, int type, const char *text) { put(m, type, text, strlen(text) + 1); }

static void put_number(struct message *m, int type, uint32_t value) {
  uint32_t big = htonl(value);
  put(m, type, &big, sizeof big);
}

static size_t nest(struct message *m, int type) {
  size_t at = m->length;
  struct nlattr *attribute = take(m, NLA_HDRLEN);
  attribute->nla_type = (uint16_t)(type | NLA_F_NESTED);
  return at;
}

static void close_nest(struct message *m, size_t at) {
  struct nlattr *attribute = (struct nlattr *)(m->data + at);
  attribute->nla_len = (uint16_t)(m->length - at);
}

/* Opens an expression of a rule; both nests are closed by `done`. */
struct expression {
  size_t outer, inner;
};

static struct expression expression(struct message *m, const char *name) {
  struct expression e = {.outer = nest(m, NFTA_LIST_ELEM)};
  put_string(m, NFTA_EXPR_NAME, name);
  e.inner = nest(m, NFTA_EXPR_DATA);
  return e;
}

static void done(struct message *m, struct expression e) {
  close_nest(m, e.inner);
  close_nest(m, e.outer);
}

static void must_equal(struct message *m, const void *value, size_t bytes) {
  struct expression e = expression(m, "cmp");
  put_number(m, NFTA_CMP_SREG, NFT_REG_1);
  put_number(m, NFTA_CMP_OP, NFT_CMP_EQ);
  size_t data = nest(m, NFTA_CMP_DATA);
  put(m, NFTA_DATA_VALUE, value, bytes);
  close_nest(m, data);
  done(m, e);
}

static void match_meta(struct message *m, uint32_t key, uint8_t value) {
  struct expression e = expression(m, "meta");
  put_number(m, NFTA_META_KEY, key);
  put_number(m, NFTA_META_DREG, NFT_REG_1);
  done(m, e);
  must_equal(m, &value, 1);
}

/* Where in a packet, and what must stand there. */
struct field {
  uint32_t base, offset;
  const void *value;
  size_t bytes;
};

static void match_field(struct message *m, struct field f) {
  struct expression e = expression(m, "payload");
  put_number(m, NFTA_PAYLOAD_DREG, NFT_REG_1);
  put_number(m, NFTA_PAYLOAD_BASE, f.base);
  put_number(m, NFTA_PAYLOAD_OFFSET, f.offset);
  put_number(m, NFTA_PAYLOAD_LEN, (uint32_t)f.bytes);
  done(m, e);
  must_equal(m, f.value, f.bytes);
}

static void drop(struct message *m) {
  struct expression e = expression(m, "immediate");
  put_number(m, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  size_t data = nest(m, NFTA_IMMEDIATE_DATA);
  size_t verdict = nest(m, NFTA_DATA_VERDICT);
  put_number(m, NFTA_VERDICT_CODE, NF_DROP);
  close_nest(m, verdict);
  close_nest(m, data);
  done(m, e);
}

static void put_chain(struct message *m, const char *table, const char *name, uint32_t hook) {
  size_t at = begin(m, (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWCHAIN, NLM_F_CREATE, NFPROTO_INET);
  put_string(m, NFTA_CHAIN_TABLE, table);
  put_string(m, NFTA_CHAIN_NAME, name);
  size_t hooks = nest(m, NFTA_CHAIN_HOOK);
  put_number(m, NFTA_HOOK_HOOKNUM, hook);
  put_number(m, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY);
  close_nest(m, hooks);
  put_number(m, NFTA_CHAIN_POLICY, NF_ACCEPT);
  put_string(m, NFTA_CHAIN_TYPE, "filter");
  end(m, at);
}

/* Drops packets from `from` to `to`. */
static void put_rule(struct message *m, const char *table, const struct connection *c, int incoming) {
  const uint8_t *from = incoming ? c->remote : c->local, *to = incoming ? c->local : c->remote;
  uint16_t ports[2] = {incoming ? c->remote_port : c->local_port, incoming ? c->local_port : c->remote_port};
  size_t address = c->family == AF_INET ? 4 : 16;
  uint32_t start = c->family == AF_INET ? 12 : 8; /* of the source in the IP header; the target follows */
  size_t at = begin(m, (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, NFPROTO_INET);
  put_string(m, NFTA_RULE_TABLE, table);
  put_string(m, NFTA_RULE_CHAIN, incoming ? "in" : "out");
  size_t list = nest(m, NFTA_RULE_EXPRESSIONS);
  match_meta(m, NFT_META_NFPROTO, c->family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6);
  match_meta(m, NFT_META_L4PROTO, IPPROTO_TCP);
  match_field(m, (struct field){NFT_PAYLOAD_NETWORK_HEADER, start, from, address});
  match_field(m, (struct field){NFT_PAYLOAD_NETWORK_HEADER, start + (uint32_t)address, to, address});
  match_field(m, (struct field){NFT_PAYLOAD_TRANSPORT_HEADER, 0, ports, sizeof ports});
  drop(m);
  close_nest(m, list);
  end(m, at);
}

/* Sends the batch; 0 once the kernel has taken it, or -errno. */
static int send_batch(int fd, const struct message *m) {
  int size = (int)m->length * 2;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  if (sendto(fd, m->data, m->length, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0) return -errno;
  uint8_t answer[8192];
  ssize_t got = recv(fd, answer, sizeof answer, 0);
  if (got < 0) return -errno;
  struct nlmsghdr *header = (struct nlmsghdr *)answer;
  if (!NLMSG_OK(header, (size_t)got) || header->nlmsg_type != NLMSG_ERROR) return -EPROTO;
  return ((struct nlmsgerr *)NLMSG_DATA(header))->error;
}

int nft_hold(const char *table, const struct connection *all, int count) {
  struct message m = {.size = FIXED_BYTES + 2 * (size_t)count * RULE_BYTES};
  m.data = malloc(m.size);
  if (m.data == NULL) return -ENOMEM;
  end(&m, begin(&m, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC));
  size_t at = begin(&m, (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWTABLE, NLM_F_CREATE, NFPROTO_INET);
  put_string(&m, NFTA_TABLE_NAME, table);
  put_number(&m, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
  end(&m, at);
  put_chain(&m, table, "in", NF_INET_LOCAL_IN);
  put_chain(&m, table, "out", NF_INET_LOCAL_OUT);
  for (int i = 0; i < count; i++) {
    put_rule(&m, table, &all[i], 0);
    at = m.length;
    put_rule(&m, table, &all[i], 1);
  }
  ((struct nlmsghdr *)(m.data + at))->nlmsg_flags |= NLM_F_ACK;
  end(&m, begin(&m, NFNL_MSG_BATCH_END, 0, AF_UNSPEC));
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  int result = fd < 0 ? -errno : send_batch(fd, &m);
  free(m.data);
  if (result == 0) return fd;
  if (fd >= 0) close(fd);
  return result;
}
