/* Exchanges against upstreams that say whatever the input says, on a clock that the input moves: whatever
 * comes, no more queries are sent than allowed, each exchange ends once and in time, and what it ends with is
 * a reply to what was asked.
 *
 * Input: a byte of options, then commands of one byte with their operands. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exchange.h"
#include "vigie/answer.h"
#include "vigie/clock.h"
#include "vigie/log.h"
#include "vigie/random.h"

enum { UPSTREAMS = 2, MESSAGE_MAX = 700 };

static uint64_t now_ms;
static uint64_t wake_us;
static uint64_t seed;
static bool done;
static struct exchange *exchange;
static struct attempt *current; /* the one whose message is judged */
static uint8_t asked[ASKED_MAX];

static void require(bool condition)
{
	if (!condition)
		abort();
}

static uint64_t clock_ms(void)
{
	return now_ms;
}

static void random_bytes(void *out, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		((uint8_t *)out)[i] = (uint8_t)(seed >> 33);
	}
}

static int on_send(void *net, struct attempt *attempt, bool again)
{
	uint8_t *refuse = net;

	require(!done);
	require(attempt->asked_length >= VIGIE_HEADER_SIZE + 5 && attempt->asked_length <= ASKED_MAX);
	if (*refuse & 1) {
		*refuse >>= 1;
		return -ECONNREFUSED;
	}
	attempt->handle = attempt;
	attempt->shook = attempt->protocol == VIGIE_PROTOCOL_TCP && !again;
	return 0;
}

static void on_drop(void *net, struct attempt *attempt)
{
	require(attempt->handle == attempt);
}

static void on_wake(void *net, struct exchange *woken, uint64_t at_us)
{
	require(woken == exchange && at_us >= now_ms * 1000);
	wake_us = at_us;
}

static void on_done(struct exchange *ended, const struct vigie_outcome *outcome)
{
	require(ended == exchange && !done);
	done = true;
	if (outcome->status == VIGIE_OK) {
		require(outcome->reply && outcome->upstream);
		if (current && !ended->kept)
			require(vigie_reply_judge(asked, outcome->reply, outcome->length) ==
					VIGIE_REPLY_GOOD ||
				current->protocol != VIGIE_PROTOCOL_UDP);
	} else {
		require(!outcome->reply);
	}
	if (outcome->trouble)
		require(strlen(outcome->trouble) < TROUBLE_MAX);
}

static void check_bounds(void)
{
	unsigned sent[UPSTREAMS][VIGIE_PROTOCOLS] = {{0}};

	require(exchange->count <= VIGIE_ATTEMPTS_MAX);
	for (size_t i = 0; i < exchange->count; i++) {
		const struct attempt *attempt = &exchange->attempts[i];

		require(++sent[attempt->index][attempt->protocol] <= VIGIE_ATTEMPTS_UPSTREAM);
	}
}

/* A message made of the attempt's own query, some bytes changed, and of the input's bytes. */
static void deliver(struct attempt *attempt, uint8_t how, const uint8_t *data, size_t size)
{
	size_t question = VIGIE_HEADER_SIZE + vigie_name_length(attempt->asked + VIGIE_HEADER_SIZE) + 4;
	uint8_t *message = malloc(MESSAGE_MAX);
	size_t length = question;
	uint8_t *exact;

	require(message);
	memcpy(message, attempt->asked, question);
	message[2] = 0x80;
	message[3] = 0;
	memset(message + 6, 0, 6);
	if (how & 1 && size >= 2) { /* flags */
		message[2] = data[0] | (how & 2 ? 0 : 0x80);
		message[3] = data[1];
		data += 2;
		size -= 2;
	}
	if (how & 4 && size >= 6) { /* counts */
		memcpy(message + 6, data, 6);
		data += 6;
		size -= 6;
	}
	if (how & 8 && size >= 2) { /* one byte of the question or the id */
		message[data[0] % question] ^= data[1];
		data += 2;
		size -= 2;
	}
	if (how & 16)
		length = size > 0 ? data[0] % (question + 1) : 0;
	if (how & 32) {
		length = question + size;
		memcpy(message + question, data, size);
	}
	exact = malloc(length);
	require(exact || length == 0);
	memcpy(exact, message, length);
	free(message);
	current = attempt;
	memcpy(asked, attempt->asked, sizeof(asked));
	exchange_message(attempt, exact, length);
	current = NULL;
	free(exact);
}

static void command(uint8_t what, const uint8_t *data, size_t size)
{
	struct attempt *attempt = &exchange->attempts[what % 8 % exchange->count];

	switch (what >> 6) {
	case 0: /* time passes up to what the exchange waits for */
		if (wake_us > now_ms * 1000)
			now_ms = (wake_us + 999) / 1000;
		exchange_due(exchange);
		return;
	case 1:
		if (attempt->handle)
			exchange_failed(attempt, what & 8 ? -ECONNREFUSED : -ECONNRESET, "fault");
		return;
	case 2:
		now_ms += what & 0x3f;
		if (wake_us <= now_ms * 1000)
			exchange_due(exchange);
		return;
	default:
		if (attempt->handle && size > 0)
			deliver(attempt, data[0], data + 1, size - 1);
	}
}

static struct vigie_upstreams *group_new(uint8_t options_byte)
{
	struct vigie_forward_options options;
	struct vigie_target targets[UPSTREAMS];
	struct vigie_upstreams *group;

	vigie_forward_options_init(&options);
	options.force_tcp = options_byte & 1;
	options.failover = options_byte & 2 ? 0xffff : 0;
	options.losses = options_byte & 4 ? 0 : 1;
	options.policy =
		(enum vigie_policy)(options_byte >> 3 & 1 ? VIGIE_POLICY_SEQUENTIAL : VIGIE_POLICY_RANDOM);
	options.read_timeout = options_byte & 16 ? 100 : 5000;
	group = vigie_upstreams_new(&options);
	require(group && vigie_target_from_text(&targets[0], "192.0.2.1") == VIGIE_OK);
	require(vigie_target_from_text(&targets[1], "192.0.2.2") == VIGIE_OK);
	require(vigie_upstreams_set(group, targets, options_byte & 32 ? 1 : UPSTREAMS) == VIGIE_OK);
	return group;
}

/* One exchange; returns how much of the input it used. */
static size_t run(struct vigie_upstreams *group, const uint8_t *data, size_t size)
{
	struct upstream_set *set = upstream_set_get(group);
	struct net net = {.send = on_send, .drop = on_drop, .wake = on_wake};
	struct question question = {.type = VIGIE_TYPE_A, .rd = true};
	uint64_t began = now_ms;
	uint8_t refuse = 0;
	size_t at = 0;

	if (!upstream_set_up(set, SIZE_MAX)) {
		upstream_set_release(set);
		return size;
	}
	vigie_name_from_text(&question.name, "www.example.com");
	exchange = calloc(1, sizeof(*exchange));
	require(exchange);
	done = false;
	if (size > 0)
		refuse = data[at++] & 3;
	exchange_start(exchange, &net, &refuse, set, &question, false, on_done);
	while (!done && at < size && exchange->count > 0) {
		uint8_t what = data[at++];
		size_t operands = what >> 6 == 3 && at < size ? data[at++] % 64U : 0;

		if (operands > size - at)
			operands = size - at;
		command(what, data + at, operands);
		at += operands;
		check_bounds();
	}
	for (int turns = 0; !done; turns++) { /* left alone it ends */
		require(turns < 100);
		if (wake_us > now_ms * 1000)
			now_ms = (wake_us + 999) / 1000;
		exchange_due(exchange);
		if (exchange)
			check_bounds();
	}
	require(now_ms - began <= VIGIE_EXCHANGE_TOTAL_MS + 64U * size + 64);
	exchange_fini(exchange);
	free(exchange);
	return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vigie_upstreams *group;

	if (size < 2 || size > 4096)
		return -1;
	now_ms = 1000000;
	seed = data[1];
	vigie_clock_set(clock_ms, NULL);
	vigie_random_set(random_bytes);
	vigie_log_set_level(VIGIE_LOG_FATAL);
	group = group_new(data[0]);
	data += 2;
	size -= 2;
	while (size > 0) {
		size_t used = run(group, data, size);

		data += used;
		size -= used;
	}
	vigie_upstreams_free(group);
	return 0;
}
