/* Asking other servers: one exchanger for each worker sends a query to upstreams one after another, by UDP,
 * and by TCP when the reply was truncated. */
#ifndef VIGIE_FORWARD_H
#define VIGIE_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "vigie/query.h"
#include "vigie/status.h"

enum {
	VIGIE_UPSTREAMS_MAX = 15,       /* upstreams of one `forward` (CoreDNS' limit) */
	VIGIE_EXCHANGE_TRY_MS = 2000,   /* wait for one upstream by one transport */
	VIGIE_EXCHANGE_TOTAL_MS = 5000, /* wait for all of them: glibc gives up then */
	VIGIE_EXCHANGES_MAX = 4096      /* under way in one worker; more are refused at once */
};

struct vigie_upstream {
	struct sockaddr_storage address; /* with its port */
	char text[80];                   /* "10.0.0.1:53", "[fd00::1]:53": for logs and errors */
};

/* Reads TO of `forward`: an address with an optional port (default 53) and "dns://" prefix. VIGIE_EINVAL
 * otherwise. */
enum vigie_status vigie_upstream_from_text(struct vigie_upstream *upstream, const char *text);

/* Adds the nameservers of a resolv.conf file to `upstreams`, up to VIGIE_UPSTREAMS_MAX in all. VIGIE_EIO when
 * it cannot be read (errno is set), VIGIE_ENOENT when it names none. */
enum vigie_status vigie_upstreams_from_resolv_conf(struct vigie_upstream *upstreams, size_t *count,
						   const char *path);

struct vigie_exchanger;

/* An exchanger on a loop, used by that loop's thread only. NULL when memory is out. */
struct vigie_exchanger *vigie_exchanger_new(uv_loop_t *loop);

/* Ends what is under way with VIGIE_EIO and closes; the memory goes when the loop has closed the handles. */
void vigie_exchanger_close(struct vigie_exchanger *exchanger);

/* How many exchanges are under way. */
size_t vigie_exchanger_pending(const struct vigie_exchanger *exchanger);

/* The end of an exchange. VIGIE_OK: `reply` passed vigie_reply_check and is valid during the call; its id is
 * not the client's. Otherwise `reply` is NULL and `trouble` says what went wrong with the last upstream
 * tried. */
typedef void vigie_exchange_done(void *argument, enum vigie_status status, const uint8_t *reply,
				 size_t length, const char *trouble);

/* Asks `query`'s question (its RD, CD and DO bits kept, the client's EDNS options not) of the upstreams,
 * beginning with number `first`, until one gives a reply; with `tcp` by TCP from the start. The upstreams
 * must live until the end; the query is copied. VIGIE_ENOSPC when VIGIE_EXCHANGES_MAX are under way,
 * VIGIE_ENOMEM: `done` is not called then. */
enum vigie_status vigie_exchange_start(struct vigie_exchanger *exchanger,
				       const struct vigie_upstream *upstreams, size_t upstream_count,
				       size_t first, const struct vigie_query *query, bool tcp,
				       vigie_exchange_done *done, void *argument);

#endif
