/* What is known of an upstream: how long it takes, whether it is there, what it can do. One for the whole
 * process, shared by all workers. Only verified replies and time that passed change it: nobody who forges
 * packets can. Times are microseconds of the exchanges' clock. */
#ifndef VIGIE_FORWARD_HEALTH_H
#define VIGIE_FORWARD_HEALTH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	HEALTH_TIMEOUT_FIRST_US = 250000, /* while no reply has been timed */
	HEALTH_TIMEOUT_MIN_US = 20000,    /* what a timeout leaves above the mean round trip at least */
	HEALTH_TIMEOUT_MAX_US = 800000,
	HEALTH_TRY_US = 100000,           /* one query in this time goes to an upstream that is silent */
	HEALTH_HEDGE_MIN_US = 10000,      /* the same before another upstream is asked beside it */
	HEALTH_SILENCE_US = 200000,       /* nobody is suspected for so long after the first loss */
	HEALTH_SILENCE_LAST_US = 1000000, /* the same when all other upstreams are given up, or were faster */
	HEALTH_MEMORY_US = 900000000,     /* what an upstream cannot do is tried again after this: 15 min */
	HEALTH_TCP_US = 60000000 /* so long is one that truncates most replies asked by TCP at once */
};

struct health {
	pthread_mutex_t lock; /* for writing; the atomics are read without */
	_Atomic uint32_t srtt_us;
	_Atomic uint32_t variation_us;
	_Atomic uint32_t timeout_us;  /* after which a query counts as lost */
	_Atomic uint32_t hedge_us;    /* after which this one would have answered: at most timeout_us */
	atomic_bool open;             /* given up: only probes are sent */
	atomic_bool suspected;        /* a probe is to find out */
	_Atomic uint64_t silent_us;   /* others are asked first until then; 0: no need */
	_Atomic uint64_t caseless_us; /* until then: 0x20 is not used */
	_Atomic uint64_t plain_us;    /* until then: EDNS is not used */
	_Atomic uint64_t tcp_us;      /* until then: TCP first */
	uint64_t good_us;             /* when the last verified reply came, or when it all began */
	uint64_t lost_us;             /* when the first was sent of those that `lost` counts */
	unsigned lost;                /* sent and not answered since the last reply */
	unsigned truncated;           /* share of the replies by UDP that had TC, of 1024 */
	bool timed;                   /* srtt_us means something */
};

void health_init(struct health *health, uint64_t now_us);
void health_fini(struct health *health);

/* A verified reply came. `rtt_us` is 0 when it does not tell a round trip's time (it shook hands first). True
 * when that closes the breaker. */
bool health_replied(struct health *health, uint64_t now_us, uint64_t rtt_us);

/* A query that was sent at `sent_us` has had no reply in time. The upstream is suspected after `most` such in
 * a row (0: never) and a silence; after more of both when this is the `last` that is not given up: a lossy
 * path is better than none. True when a probe is to find out whether it is the upstream or the questions. */
bool health_lost(struct health *health, uint64_t now_us, uint64_t sent_us, unsigned most, bool last);

/* Another upstream's reply came first to a question that was put to this one at `sent_us`: the same, but it
 * takes a second's silence, because one that is only slow looks like this, too. */
bool health_overtaken(struct health *health, uint64_t now_us, uint64_t sent_us, unsigned most);

enum health_voice {
	HEALTH_HEARD,
	HEALTH_SILENT, /* it has lost as many in a row as make it suspected, whatever time that took */
	HEALTH_TRY     /* the same, but it is time to see whether it still is; said to one that asks */
};

/* Whether others should be asked first: else each question that is put to a silent one waits for another's
 * answer.
 */
enum health_voice health_voice(struct health *health);

/* A probe that was sent at `sent_us` has had no reply: the breaker of one that is suspected opens. True when
 * it does. */
bool health_probe_failed(struct health *health, uint64_t sent_us);

/* Nobody will probe one that is suspected: the next losses may suspect it again. */
void health_forget_suspicion(struct health *health);

/* A verified reply by UDP had TC, or not: TCP is used first when most have. */
void health_truncated(struct health *health, uint64_t now_us, bool truncated);

/* What the upstream turned out not to do. */
void health_set_caseless(struct health *health, uint64_t now_us);
void health_set_plain(struct health *health, uint64_t now_us);

#endif
