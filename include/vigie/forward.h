/* Asking other servers. A group of upstreams belongs to one `forward` and to the whole process; each worker
 * has an exchanger, which asks a group one question at a time: identical questions of all workers are one.
 *
 * An exchange sends up to VIGIE_ATTEMPTS_MAX queries to the upstreams that are up, each later one when the
 * one before had no reply in the time that its upstream takes; the first good reply wins, whichever it
 * answers. */
#ifndef VIGIE_FORWARD_H
#define VIGIE_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "vigie/name.h"
#include "vigie/query.h"
#include "vigie/reply.h"
#include "vigie/status.h"

enum {
	VIGIE_UPSTREAMS_MAX = 15,       /* upstreams of one `forward` (CoreDNS' limit) */
	VIGIE_ATTEMPTS_MAX = 6,         /* queries that are sent for one question, in all */
	VIGIE_ATTEMPTS_UPSTREAM = 3,    /* of them to one upstream by one transport (RFC 9520 section 3.1) */
	VIGIE_EXCHANGE_TOTAL_MS = 5000, /* an exchange ends then: glibc gives up, too */
	VIGIE_CLIENT_WAIT_MS = 1900,    /* a client by UDP gets its answer within this, be it SERVFAIL */
	VIGIE_EXCHANGES_MAX = 4096,     /* under way in one worker; more are refused at once */
	VIGIE_WAITERS_MAX = 65536,      /* questions that wait for a reply, in all */
	VIGIE_CLIENT_WAITERS_MAX = 1000 /* of one client's address */
};

enum vigie_protocol {
	VIGIE_PROTOCOL_UDP,
	VIGIE_PROTOCOL_TCP,
	VIGIE_PROTOCOL_TLS,   /* RFC 7858 */
	VIGIE_PROTOCOL_HTTPS, /* RFC 8484 */
	VIGIE_PROTOCOLS
};

/* One of the servers to ask. */
struct vigie_target {
	struct sockaddr_storage address; /* with its port */
	enum vigie_protocol protocol;    /* UDP stands for UDP and TCP */
	char text[80];                   /* "10.0.0.1:53", "[fd00::1]:53": for logs, errors and metrics */
	char server_name[256];           /* whose certificate it must show; empty: the group's, or none */
};

/* Reads TO of `forward` when it is an address: "[dns://|tls://|https://]ADDRESS[%NAME][:PORT]". VIGIE_EINVAL
 * otherwise. */
enum vigie_status vigie_target_from_text(struct vigie_target *target, const char *text);

enum { VIGIE_HOST_MAX = 256 /* bytes of a host name with its terminator */ };

/* Reads TO of `forward` when it has a host name instead of an address; what is still missing of `target`
 * comes from a look-up. VIGIE_EINVAL otherwise. */
enum vigie_status vigie_target_from_host(struct vigie_target *target, char host[VIGIE_HOST_MAX],
					 const char *text);

/* Makes a target of what vigie_target_from_host read and an address of 4 or 16 bytes. */
void vigie_target_set_address(struct vigie_target *target, const struct vigie_target *host,
			      const uint8_t *address, size_t size);

/* Adds the nameservers of a resolv.conf file to `targets`, up to VIGIE_UPSTREAMS_MAX in all. VIGIE_EIO when
 * it cannot be read (errno is set), VIGIE_ENOENT when it names none. */
enum vigie_status vigie_targets_from_resolv_conf(struct vigie_target *targets, size_t *count,
						 const char *path);

/* What connections by TLS show and expect: shared by reference. */
struct vigie_forward_tls;

/* Reads the files (PEM). NULL paths: no client certificate; the system's CAs. NULL and `error` set on
 * failure.
 */
struct vigie_forward_tls *vigie_forward_tls_new(const char *certificate, const char *key, const char *ca,
						struct vigie_error *error);
void vigie_forward_tls_free(struct vigie_forward_tls *tls);

enum vigie_policy { VIGIE_POLICY_RANDOM, VIGIE_POLICY_ROUND_ROBIN, VIGIE_POLICY_SEQUENTIAL };

/* The options of one `forward`. Times are milliseconds. */
struct vigie_forward_options {
	enum vigie_policy policy;
	bool force_tcp;
	bool doh_get;          /* members by HTTPS are asked by GET, not by POST */
	uint64_t expire;       /* an idle connection is closed after this */
	uint64_t max_age;      /* a connection takes no new queries after about this; 0: at any age */
	uint64_t read_timeout; /* how long the last reply is waited for; at most VIGIE_EXCHANGE_TOTAL_MS */
	unsigned max_idle;     /* idle connections to one upstream from one worker; 0: no bound */
	unsigned losses;       /* in a row, that open an upstream's breaker; 0: it never opens */
	unsigned attempts;     /* at most VIGIE_ATTEMPTS_MAX */
	uint16_t udp_size;     /* that upstreams are told: a reply by UDP has no more bytes, or TC */
	uint32_t failover;    /* bit R: a reply of rcode R is not taken while another upstream may be asked */
	uint64_t probe_every; /* between the probes of an upstream that is given up */
	bool probe_no_rec;
	struct vigie_name probe_name;
	struct sockaddr_storage source; /* ss_family 0: whatever the kernel takes */
	struct vigie_forward_tls *tls; /* for members by TLS or HTTPS; a group takes a reference of its own */
	char tls_servername[256]; /* whose certificate members without a server name must show; "": for their
				     address */
};

/* What CoreDNS' documentation says, where vigie has no reason for something else. */
void vigie_forward_options_init(struct vigie_forward_options *options);

struct vigie_upstreams;

/* A group without members. It is shared by reference: vigie_upstreams_free drops the maker's. NULL when
 * memory is out. */
struct vigie_upstreams *vigie_upstreams_new(const struct vigie_forward_options *options);
void vigie_upstreams_free(struct vigie_upstreams *group);

/* Makes these the group's members, one that comes twice is one; those that were so before keep what is known
 * of them, and questions under way go on with those that they began with. Any thread. VIGIE_ENOMEM:
 * unchanged. */
enum vigie_status vigie_upstreams_set(struct vigie_upstreams *group, const struct vigie_target *targets,
				      size_t count);

/* Before the first members are set: those that `before` has now, and that `group` would reach in the same
 * way, are the same for `group` when it gets them as members, with what is known of them and their
 * connections. When there are such, `group` may send no more retries than `before` may now. VIGIE_ENOMEM. */
enum vigie_status vigie_upstreams_inherit(struct vigie_upstreams *group, struct vigie_upstreams *before);

enum {
	VIGIE_FORWARD_RCODES = 24,  /* 0 to 22, and all others */
	VIGIE_FORWARD_BUCKETS = 17, /* bucket i: up to 250 us * 2^i; the last one: more than 8.192 s */
	VIGIE_FORWARD_BUCKET_US = 250
};

/* What is counted of one member since it became one. */
struct vigie_upstream_counts {
	char text[80];
	bool up;
	uint32_t srtt_us; /* 0: never timed */
	uint64_t sent[VIGIE_PROTOCOLS];
	uint64_t reused[VIGIE_PROTOCOLS]; /* of `sent`, those on a connection that was there */
	uint64_t bad[VIGIE_REPLY_FAULTS];
	uint64_t probes_failed;
	uint64_t replies[VIGIE_FORWARD_RCODES][VIGIE_FORWARD_BUCKETS]; /* good ones */
	uint64_t took_us[VIGIE_FORWARD_RCODES];                        /* by all of them together */
};

/* The same of a group. */
struct vigie_group_counts {
	size_t under_way; /* exchanges */
	size_t waiting;   /* questions of clients for them */
	uint64_t down;    /* questions that failed because all members were given up */
	size_t member_count;
};

/* Any thread; VIGIE_UPSTREAMS_MAX members at most. */
void vigie_upstreams_count(struct vigie_upstreams *group, struct vigie_group_counts *counts,
			   struct vigie_upstream_counts *members);

/* Probes the members of a group that are given up, from now until it is closed; in the loop's thread. NULL
 * when memory is out. */
struct vigie_prober *vigie_prober_new(uv_loop_t *loop, struct vigie_upstreams *group);
void vigie_prober_close(struct vigie_prober *prober);

/* Looks the addresses of a host name up, again and again, at least twice a minute. */
struct vigie_resolver;

/* An address of a host. */
struct vigie_resolved {
	size_t size; /* 4 or 16 bytes */
	uint8_t bytes[16];
};

/* The addresses are others than before: `count` of them, at least one and at most VIGIE_UPSTREAMS_MAX, in an
 * order that does not change. Those that were there stay when a look-up fails or finds none. */
typedef void vigie_resolver_changed(void *argument, const struct vigie_resolved *addresses, size_t count);

/* Asks the members of `servers`, of which it takes a reference, from now on until it is closed; in the loop's
 * thread. `host` is a name that vigie_target_from_host takes. NULL when memory is out. */
struct vigie_resolver *vigie_resolver_new(uv_loop_t *loop, struct vigie_upstreams *servers, const char *host,
					  vigie_resolver_changed *changed, void *argument);
void vigie_resolver_close(struct vigie_resolver *resolver);

struct vigie_exchanger;

/* Called before and after a callback of the loop that may hand out many outcomes, for what is better done
 * once for all of them. */
struct vigie_turn {
	void (*enter)(void *argument);
	void (*leave)(void *argument);
	void *argument;
};

/* An exchanger on a loop, used by that loop's thread only. `turn` may be NULL. NULL when memory is out. */
struct vigie_exchanger *vigie_exchanger_new(uv_loop_t *loop, const struct vigie_turn *turn);

/* How many questions it has begun to ask upstreams. */
uint64_t vigie_exchanger_begun(const struct vigie_exchanger *exchanger);

/* How many it did not begin since too many were under way, or allowed. */
uint64_t vigie_exchanger_refused(const struct vigie_exchanger *exchanger);

/* From now on it begins so many more at most (SIZE_MAX: any number). Others are refused at once, unless they
 * are under way already. For a worker with more queries than it can read: those that it can answer by itself
 * cost far less. */
void vigie_exchanger_allow(struct vigie_exchanger *exchanger, size_t questions);

/* Ends what is under way with VIGIE_EIO and closes; the memory goes when the loop has closed the handles. */
void vigie_exchanger_close(struct vigie_exchanger *exchanger);

/* The end of a question. */
struct vigie_outcome {
	enum vigie_status status; /* VIGIE_OK: a good reply, whose id is not the client's */
	const uint8_t *reply;
	size_t length;
	uint16_t info;        /* enum vigie_ede: why there is none, or why the reply is an error */
	const char *upstream; /* "10.0.0.1:53": who gave the reply; NULL when nobody did */
	const char *trouble;  /* "10.0.0.1:53: i/o timeout"; NULL when there was none */
};

/* Everything in `outcome` is valid during the call. */
typedef void vigie_exchange_done(void *argument, const struct vigie_outcome *outcome);

/* Who asks, for the bounds. */
struct vigie_asker {
	const struct sockaddr *client; /* NULL: the server itself */
	bool tcp;                      /* ask by TCP from the start */
	bool patient;                  /* waits for the exchange's end, not just VIGIE_CLIENT_WAIT_MS */
};

/* Asks the group `query`'s question; only its name, type, RD, DO and CD go upstream, and its EDNS options
 * when it says so (`forward_options`). `done` is called once, later, from the loop. When the question cannot
 * be asked, `done` is not called and `outcome` says why, until the next question: VIGIE_EIO (no upstream is
 * up), VIGIE_ENOSPC (a bound), VIGIE_ENOMEM. */
enum vigie_status vigie_exchange_start(struct vigie_exchanger *exchanger, struct vigie_upstreams *group,
				       const struct vigie_query *query, const struct vigie_asker *asker,
				       vigie_exchange_done *done, void *argument,
				       struct vigie_outcome *outcome);

#endif
