/* A network without packets: exchanges run against upstreams that do what a test says, on a clock that jumps
 * from event to event, with a random source that gives the same numbers each time. */
#ifndef VIGIE_TEST_FORWARD_SIM_H
#define VIGIE_TEST_FORWARD_SIM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exchange.h"

enum {
	SIM_UPSTREAMS = 4,
	SIM_REPLY_MAX = 600,
	SIM_ANSWERED = 16 /* bytes of the A record of a reply */
};

/* What one upstream does. */
struct sim_upstream {
	bool dead;        /* packets vanish */
	bool mute;        /* has no answer to these questions, only to probes */
	bool refuses;     /* ICMP port unreachable, RST */
	bool tcp_refuses; /* the same by TCP alone */
	bool truncates;   /* TC in all replies by UDP */
	bool folds;       /* replies in lower case */
	bool hates_edns;  /* FORMERR without OPT to queries with OPT */
	bool bare;        /* and without a question */
	uint16_t rcode;
	uint32_t rtt_ms;
	unsigned loss; /* of 100 packets, each way */
	unsigned udp;  /* queries that were sent to it */
	unsigned tcp;
	unsigned handshakes;
};

extern struct sim_upstream sim_upstreams[SIM_UPSTREAMS];

/* The end of the last exchange. */
struct sim_result {
	bool done;
	enum vigie_status status;
	uint16_t rcode;
	uint16_t flags;
	uint16_t info;
	uint64_t took_ms;
	unsigned packets;
	char upstream[80];
	char trouble[TROUBLE_MAX];
	uint8_t reply[SIM_REPLY_MAX];
	size_t length;
};

/* A group of `count` upstreams; options may be changed before the first question. */
struct vigie_upstreams *sim_new(size_t count, const struct vigie_forward_options *options);
void sim_free(struct vigie_upstreams *group);

/* Asks one question and lets time pass until it has ended. False: all upstreams are given up. */
bool sim_ask(struct vigie_upstreams *group, struct sim_result *result);

/* Starts one and returns at once; sim_run ends it. `result` must live until then. */
bool sim_start(struct vigie_upstreams *group, struct sim_result *result);
void sim_run(uint64_t until_ms);

uint64_t sim_now_ms(void);
void sim_pass(uint64_t ms);
struct upstream *sim_upstream(struct vigie_upstreams *group, size_t i);

/* The attempt that waits, of the exchange started last: for tests that make datagrams up. */
struct attempt *sim_attempt(size_t i);

/* A good reply to a query, one A record, with an OPT when the query had one. Returns its length. */
size_t sim_reply(const struct attempt *attempt, const struct sim_upstream *upstream, uint8_t *reply);

/* Any number below `bound`. */
uint32_t sim_random(uint32_t bound);

#endif
