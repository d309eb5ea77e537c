/* Upstreams and groups of them. All are shared by reference between threads; what changes in them is atomic
 * or stands behind a lock that is held for a few instructions. */
#ifndef VIGIE_FORWARD_UPSTREAM_H
#define VIGIE_FORWARD_UPSTREAM_H

#include <stdatomic.h>

#include "health.h"
#include "vigie/forward.h"
#include "vigie/reply.h"

enum {
	BUDGET_MAX = 256 /* retries that a group may send beyond one for each question */
};

struct upstream {
	atomic_uint references;
	struct vigie_target target;
	struct health health;
	_Atomic(struct ssl_session_st *) session; /* of TLS, to be resumed; taken out when it is used */
	struct doh_sessions *doh_sessions;        /* the same of HTTPS; NULL: of another protocol */
	struct {
		_Atomic uint64_t sent[VIGIE_PROTOCOLS];
		_Atomic uint64_t reused[VIGIE_PROTOCOLS]; /* of them, on connections that were there */
		_Atomic uint64_t replies[VIGIE_FORWARD_RCODES][VIGIE_FORWARD_BUCKETS]; /* by time */
		_Atomic uint64_t took_us[VIGIE_FORWARD_RCODES];                        /* all together */
		_Atomic uint64_t bad[VIGIE_REPLY_FAULTS]; /* datagrams and messages that were passed over */
		_Atomic uint64_t probes_failed;
	} counters;
};

/* The members of a group at one moment; never changed once it is published. */
struct upstream_set {
	atomic_uint references;
	struct vigie_upstreams *group; /* a reference; NULL: they are nobody's members any more */
	bool probing;                  /* those that are given up are asked nevertheless */
	size_t count;
	struct upstream *list[]; /* references */
};

struct vigie_upstreams {
	atomic_uint references;
	uint64_t number; /* never used twice in a process */
	struct vigie_forward_options options;
	pthread_mutex_t lock;
	struct upstream_set *before; /* taken over from another group; a reference, NULL: none */
	struct upstream_set *set;    /* a reference; behind the lock, as the next two */
	void (*suspected)(void *argument);
	void *suspected_argument;
	atomic_size_t under_way; /* exchanges */
	atomic_size_t waiting;   /* for them */
	_Atomic uint64_t down;   /* questions that failed because all members were given up */
	atomic_int budget;       /* retries that may still be sent */
	atomic_uint turn;        /* round_robin's */
};

struct upstream *upstream_hold(struct upstream *upstream);
void upstream_release(struct upstream *upstream);

/* Counts a good reply. */
void upstream_count_reply(struct upstream *upstream, uint16_t rcode, uint64_t took_us);

struct vigie_upstreams *upstreams_hold(struct vigie_upstreams *group);
void upstreams_release(struct vigie_upstreams *group);

/* A group of one upstream, which is asked also when it is given up: `attempts` times, within `wait_ms`. NULL
 * when memory is out. */
struct vigie_upstreams *upstreams_new_probe(const struct vigie_upstreams *group, struct upstream *upstream,
					    unsigned attempts, uint64_t wait_ms);

/* `suspected` is called, in any thread, when an upstream of the group should be probed; NULL ends that. What
 * nobody hears of is forgotten: an upstream may have another group, too, which is to suspect it itself. */
void upstreams_on_suspected(struct vigie_upstreams *group, void (*suspected)(void *argument), void *argument);
void upstreams_say_suspected(struct vigie_upstreams *group, struct upstream *upstream);

/* The group's members now; to be released. NULL only while the group never had any. */
struct upstream_set *upstream_set_get(struct vigie_upstreams *group);
void upstream_set_release(struct upstream_set *set);

/* Whether an upstream is not given up, other than number `but`. */
bool upstream_set_up(const struct upstream_set *set, size_t but);

/* The upstream to ask next, when `asked[i]` queries went to number i already: of those that are up and were
 * asked least, silent ones last, the one that the policy says; `turn` is the policy's place in the list.
 * `count` when none is up. */
size_t upstream_set_choose(const struct upstream_set *set, const unsigned *asked, unsigned turn);

/* A question earns the group a retry; a retry takes one. False: none is left. */
void upstreams_earn(struct vigie_upstreams *group);
bool upstreams_spend(struct vigie_upstreams *group);

#endif
