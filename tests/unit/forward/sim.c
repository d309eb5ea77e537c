#include "sim.h"

#include <errno.h>
#include <stdio.h>

#include "vigie/answer.h"
#include "vigie/clock.h"
#include "vigie/log.h"
#include "vigie/random.h"

enum { EVENTS = 65536, RUNNING = 16384 };

struct event {
	uint64_t at_us;
	uint64_t order;
	size_t probed;             /* 1 + the number of an upstream whose probe ends; or */
	struct exchange *exchange; /* its timer; or */
	struct wire *wire;         /* a reply arrives, or a refusal */
	uint64_t generation;
};

/* What an attempt's handle is. */
struct wire {
	struct attempt *attempt; /* NULL: dropped */
	bool refused;
	bool under_way; /* its event is to come */
	size_t length;
	uint8_t reply[SIM_REPLY_MAX];
};

struct run {
	struct exchange exchange;
	struct sim_result *result;
	uint64_t generation; /* of its timer */
	uint64_t start_us;
	unsigned events; /* of its timer, that are to come: also those that were put off */
	bool over;
};

struct sim_upstream sim_upstreams[SIM_UPSTREAMS];
static struct event events[EVENTS];
static size_t event_count;
static uint64_t now_us;
static uint64_t order;
static uint64_t seed;
static struct run *last_run;
static bool connected[SIM_UPSTREAMS];
static struct vigie_upstreams *current;

static uint64_t next_random(void)
{
	/* splitmix64 */
	uint64_t z = seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint32_t sim_random(uint32_t bound)
{
	return (uint32_t)(next_random() >> 32) % bound;
}

static void random_bytes(void *out, size_t length)
{
	uint8_t *bytes = out;

	for (size_t i = 0; i < length; i++)
		bytes[i] = (uint8_t)(next_random() >> 32);
}

static uint64_t clock_ms(void)
{
	return now_us / 1000;
}

uint64_t sim_now_ms(void)
{
	return clock_ms();
}

static bool before(const struct event *a, const struct event *b)
{
	return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

static void swap(size_t a, size_t b)
{
	struct event held = events[a];

	events[a] = events[b];
	events[b] = held;
}

/* A binary heap. */
static void push(struct event event)
{
	size_t i = event_count++;

	assert_true(event_count <= EVENTS);
	event.order = order++;
	events[i] = event;
	for (; i > 0 && before(&events[i], &events[(i - 1) / 2]); i = (i - 1) / 2)
		swap(i, (i - 1) / 2);
}

static struct event pop(void)
{
	struct event first = events[0];
	size_t i = 0;

	events[0] = events[--event_count];
	for (;;) {
		size_t least = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < event_count; child++) {
			if (before(&events[child], &events[least]))
				least = child;
		}
		if (least == i)
			return first;
		swap(i, least);
		i = least;
	}
}

size_t sim_reply(const struct attempt *attempt, const struct sim_upstream *upstream, uint8_t *reply)
{
	static const uint8_t record[SIM_ANSWERED] = {0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 192, 0, 2, 1};
	static const uint8_t opt[11] = {0, 0, 41, 4, 0xd0};
	bool truncates = upstream->truncates && attempt->protocol == VIGIE_PROTOCOL_UDP;
	bool errs = upstream->hates_edns && attempt->edns;
	uint16_t rcode = errs ? VIGIE_RCODE_FORMERR : upstream->rcode;
	size_t question = vigie_name_length(attempt->asked + VIGIE_HEADER_SIZE) + 4;
	size_t length = VIGIE_HEADER_SIZE + question;
	bool answers = rcode == VIGIE_RCODE_NOERROR && !truncates;

	memcpy(reply, attempt->asked, length);
	reply[2] = (uint8_t)(0x81 | (truncates ? 2 : 0));
	reply[3] = (uint8_t)(0x80 | rcode);
	memset(reply + 4, 0, 8);
	if (upstream->bare && errs)
		return VIGIE_HEADER_SIZE;
	reply[5] = 1;
	reply[7] = answers;
	if (upstream->folds)
		vigie_name_fold(reply + VIGIE_HEADER_SIZE, reply + VIGIE_HEADER_SIZE, question - 4);
	if (answers) {
		memcpy(reply + length, record, sizeof(record));
		length += sizeof(record);
	}
	if (attempt->edns && !errs) {
		reply[11] = 1;
		memcpy(reply + length, opt, sizeof(opt));
		length += sizeof(opt);
	}
	return length;
}

static int sim_send(void *net, struct attempt *attempt, bool again)
{
	struct sim_upstream *upstream = &sim_upstreams[attempt->index];
	struct wire *wire = calloc(1, sizeof(*wire));
	bool udp = attempt->protocol == VIGIE_PROTOCOL_UDP;
	uint64_t rtt = upstream->rtt_ms * 1000U;

	*(udp ? &upstream->udp : &upstream->tcp) += 1;
	wire->attempt = attempt;
	attempt->handle = wire;
	if (!udp && !connected[attempt->index]) {
		attempt->shook = true;
		upstream->handshakes++;
		rtt *= 2;
		connected[attempt->index] = !upstream->dead && !upstream->tcp_refuses;
	}
	/* TCP sends again what is lost; that takes its time. */
	if (upstream->dead || upstream->mute)
		return 0;
	if (upstream->loss > 0 && (sim_random(100) < upstream->loss || sim_random(100) < upstream->loss)) {
		if (udp)
			return 0;
		rtt += 200000;
	}
	wire->refused = upstream->refuses || (!udp && upstream->tcp_refuses);
	if (!wire->refused)
		wire->length = sim_reply(attempt, upstream, wire->reply);
	wire->under_way = true;
	push((struct event){.at_us = now_us + rtt, .wire = wire});
	return 0;
}

static void sim_drop(void *net, struct attempt *attempt)
{
	struct wire *wire = attempt->handle;

	wire->attempt = NULL;
	if (!wire->under_way)
		free(wire);
}

static struct run *run_of(struct exchange *exchange)
{
	return (struct run *)((char *)exchange - offsetof(struct run, exchange));
}

static void sim_wake(void *net, struct exchange *exchange, uint64_t at_us)
{
	run_of(exchange)->events++;
	/* The simulated clock ticks in milliseconds. */
	push((struct event){.at_us = (at_us + 999) / 1000 * 1000,
			    .exchange = exchange,
			    .generation = ++run_of(exchange)->generation});
}

static const struct net sim_net = {.send = sim_send, .drop = sim_drop, .wake = sim_wake};

static void on_done(struct exchange *exchange, const struct vigie_outcome *outcome)
{
	struct run *run = run_of(exchange);
	struct sim_result *result = run->result;

	assert_false(result->done);
	result->done = true;
	result->status = outcome->status;
	result->info = outcome->info;
	result->took_ms = (now_us - run->start_us) / 1000;
	result->packets = (unsigned)exchange->count;
	snprintf(result->upstream, sizeof(result->upstream), "%s",
		 outcome->upstream ? outcome->upstream : "");
	snprintf(result->trouble, sizeof(result->trouble), "%s", outcome->trouble ? outcome->trouble : "");
	if (outcome->reply) {
		assert_true(outcome->length <= sizeof(result->reply));
		memcpy(result->reply, outcome->reply, outcome->length);
		result->length = outcome->length;
		result->flags = vigie_reply_flags(outcome->reply);
		result->rcode = vigie_reply_rcode(outcome->reply);
	}
	run->over = true;
	run->generation++;
}

/* The prober: what it finds out comes after a round trip, or after a time that is long enough. */
static void on_suspected(void *argument)
{
	struct vigie_upstreams *group = argument;

	for (size_t i = 0; i < group->set->count; i++) {
		bool away = sim_upstreams[i].dead || sim_upstreams[i].refuses;

		if (group->set->list[i]->health.suspected)
			push((struct event){.at_us = now_us +
						     (away ? 300000 : sim_upstreams[i].rtt_ms * 1000U),
					    .probed = i + 1});
	}
}

static void end_probe(size_t i)
{
	struct health *health = &current->set->list[i]->health;

	if (sim_upstreams[i].dead || sim_upstreams[i].refuses)
		health_probe_failed(health, now_us);
	else
		health_replied(health, now_us, sim_upstreams[i].rtt_ms * 1000U);
}

struct vigie_upstreams *sim_new(size_t count, const struct vigie_forward_options *options)
{
	struct vigie_target targets[SIM_UPSTREAMS];
	struct vigie_upstreams *group;

	memset(sim_upstreams, 0, sizeof(sim_upstreams));
	memset(connected, 0, sizeof(connected));
	event_count = 0;
	now_us = 3600000000;
	seed = 1;
	vigie_clock_set(clock_ms, NULL);
	vigie_random_set(random_bytes);
	vigie_log_set_level(VIGIE_LOG_FATAL);
	group = vigie_upstreams_new(options);
	assert_non_null(group);
	for (size_t i = 0; i < count; i++) {
		char text[32];

		snprintf(text, sizeof(text), "192.0.2.%zu", i + 1);
		assert_int_equal(vigie_target_from_text(&targets[i], text), VIGIE_OK);
		sim_upstreams[i].rtt_ms = 20;
	}
	assert_int_equal(vigie_upstreams_set(group, targets, count), VIGIE_OK);
	upstreams_on_suspected(group, on_suspected, group);
	current = group;
	return group;
}

void sim_free(struct vigie_upstreams *group)
{
	sim_run(UINT64_MAX / 1000);
	vigie_upstreams_free(group);
	vigie_clock_set(NULL, NULL);
	vigie_random_set(NULL);
}

struct upstream *sim_upstream(struct vigie_upstreams *group, size_t i)
{
	return group->set->list[i];
}

bool sim_start(struct vigie_upstreams *group, struct sim_result *result)
{
	struct upstream_set *set = upstream_set_get(group);
	struct question question = {.type = VIGIE_TYPE_A};
	struct run *run;

	memset(result, 0, sizeof(*result));
	if (!upstream_set_up(set, SIZE_MAX)) {
		upstream_set_release(set);
		return false;
	}
	vigie_name_from_text(&question.name, "www.example.com.");
	run = calloc(1, sizeof(*run));
	assert_non_null(run);
	run->result = result;
	run->start_us = now_us;
	last_run = run;
	exchange_start(&run->exchange, &sim_net, NULL, set, &question, false, on_done);
	assert_false(result->done);
	return true;
}

struct attempt *sim_attempt(size_t i)
{
	return i < last_run->exchange.count ? &last_run->exchange.attempts[i] : NULL;
}

static void free_run(struct run *run)
{
	if (!run->over)
		return;
	if (run->exchange.set)
		exchange_fini(&run->exchange);
	if (run->events == 0)
		free(run);
}

static void fire_timer(const struct event *event)
{
	struct run *run = run_of(event->exchange);

	run->events--;
	if (event->generation == run->generation)
		exchange_due(event->exchange);
	free_run(run);
}

static void fire(const struct event *event)
{
	struct wire *wire = event->wire;
	struct run *run;

	if (event->probed) {
		end_probe(event->probed - 1);
		return;
	}
	if (event->exchange) {
		fire_timer(event);
		return;
	}
	if (wire->attempt) {
		run = run_of(wire->attempt->exchange);
		if (wire->refused)
			exchange_failed(wire->attempt, -ECONNREFUSED, "connection refused");
		else
			exchange_message(wire->attempt, wire->reply, wire->length);
		free_run(run);
	}
	wire->under_way = false;
	if (!wire->attempt)
		free(wire);
}

void sim_run(uint64_t until_ms)
{
	while (event_count > 0 && events[0].at_us <= until_ms * 1000) {
		struct event event = pop();

		if (event.at_us > now_us)
			now_us = event.at_us;
		fire(&event);
	}
	if (now_us < until_ms * 1000 && until_ms != UINT64_MAX / 1000)
		now_us = until_ms * 1000;
}

void sim_pass(uint64_t ms)
{
	sim_run(clock_ms() + ms);
}

bool sim_ask(struct vigie_upstreams *group, struct sim_result *result)
{
	if (!sim_start(group, result))
		return false;
	while (!result->done) {
		struct event event;

		assert_true(event_count > 0);
		event = pop();
		if (event.at_us > now_us)
			now_us = event.at_us;
		fire(&event);
	}
	return true;
}
