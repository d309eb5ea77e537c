/* Who listens where: the addresses of all blocks, and which zones each of them serves. */
#ifndef VIGIE_SERVER_LISTEN_H
#define VIGIE_SERVER_LISTEN_H

#include "worker.h"

struct listeners {
	struct listener **list;                 /* each owned */
	const struct vigie_server_name **names; /* of each; the array is owned */
	size_t count;
};

/* Adds a block's keys on its addresses. VIGIE_EINVAL when a zone is served twice in one place: the error
 * names both keys. */
enum vigie_status listeners_add(struct listeners *listeners, struct block *block, struct vigie_error *error);

/* Whether two listeners are the same address and transport: a socket of one can serve the other. */
bool listener_same(const struct listener *a, const struct listener *b);

/* The same as listeners_check for one. */
enum vigie_status listener_check(const struct listener *listener, struct vigie_error *error);

/* Whether this process can have all the addresses: another program's sockets with SO_REUSEPORT would share
 * them silently, and half of the queries would go there. VIGIE_EIO: the error names the address. */
enum vigie_status listeners_check(const struct listeners *listeners, struct vigie_error *error);

void listeners_fini(struct listeners *listeners);

#endif
