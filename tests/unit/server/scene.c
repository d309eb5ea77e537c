#include "scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include <cmocka.h>

#include "tcp.h"
#include "udp.h"
#include "vigie/hash.h"

void __wrap_udp_send(struct udp_socket *udp, const struct origin *origin, const uint8_t *answer,
		     size_t length);
void __wrap_tcp_send(struct connection *connection, const uint8_t *answer, size_t length);
void __wrap_tcp_connection_suspended(struct connection *connection, int change);

struct part parts[PARTS_MAX];
struct worker *worker;
uint8_t sent[VIGIE_MESSAGE_MAX];
size_t sent_length;
int connection_pending;

static struct listener listener;
static struct udp_socket udp_socket;
static struct vigie_key keys[BLOCKS_MAX];
static struct block blocks[BLOCKS_MAX];
static struct link links[BLOCKS_MAX][PARTS_MAX];
static size_t block_count;
static char notes[65536];

void scene_note(const char *text)
{
	assert_true(strlen(notes) + strlen(text) + 2 < sizeof(notes));
	if (notes[0])
		strcat(notes, " ");
	strcat(notes, text);
}

const char *scene_notes(void)
{
	static char taken[sizeof(notes)];

	strcpy(taken, notes);
	notes[0] = 0;
	return taken;
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	struct part *part = instance;
	const char note[] = {part->name, 0};

	scene_note(note);
	part->edns = request->query->edns;
	part->flags = request->query->flags;
	part->depth = request->depth;
	part->channel = request->channel;
	return part->act ? part->act(part, request) : VIGIE_NEXT;
}

static void answered(void *instance, struct vigie_request *request)
{
	const struct part *part = instance;
	const char note[] = {'<', part->name, 0};

	scene_note(note);
}

static const struct vigie_directive both = {.name = "both", .serve = serve, .answered = answered};
static const struct vigie_directive hears = {.name = "hears", .answered = answered};
static const struct vigie_directive serves = {.name = "serves", .serve = serve};
static const struct vigie_directive memory = {
	.name = "memory", .serve = serve, .answered = answered, .role = VIGIE_ROLE_MEMORY};
static const struct vigie_directive holder = {
	.name = "holder", .serve = serve, .answered = answered, .role = VIGIE_ROLE_HOLDER};

struct block *scene_block(const char *zone, const char *chain)
{
	struct block *block = &blocks[block_count];
	const struct vigie_key *first;

	assert_true(block_count < BLOCKS_MAX);
	*block = (struct block){.chain = links[block_count], .chain_count = strlen(chain)};
	for (size_t i = 0; i < block->chain_count; i++) {
		if (chain[i] == PART_MEMORY || chain[i] == PART_HOLDER)
			block->chain[i] =
				(struct link){.directive = chain[i] == PART_MEMORY ? &memory : &holder,
					      .instance = &parts[chain[i] - 'a']};
		else if (chain[i] >= 'a')
			block->chain[i] =
				(struct link){.directive = &both, .instance = &parts[chain[i] - 'a']};
		else if (chain[i] >= 'A')
			block->chain[i] =
				(struct link){.directive = &hears, .instance = &parts[chain[i] - 'A']};
		else
			block->chain[i] =
				(struct link){.directive = &serves, .instance = &parts[chain[i] - '1']};
	}
	block_plan(block);
	assert_int_equal(vigie_name_from_text(&keys[block_count].zone, zone), VIGIE_OK);
	assert_int_equal(zone_table_add(listener.zones, &keys[block_count], block, &first), VIGIE_OK);
	block_count++;
	return block;
}

int scene_setup(void **state)
{
	vigie_hash_init();
	rcu_register_thread();
	memset(parts, 0, sizeof(parts));
	for (size_t i = 0; i < PARTS_MAX; i++)
		parts[i].name = (char)('a' + i);
	block_count = 0;
	notes[0] = 0;
	sent_length = 0;
	connection_pending = 0;
	worker = worker_new(0);
	listener = (struct listener){.zones = zone_table_new()};
	return worker && listener.zones ? 0 : -1;
}

int scene_teardown(void **state)
{
	worker_free(worker);
	zone_table_free(listener.zones);
	rcu_unregister_thread();
	return 0;
}

static void keep(const uint8_t *answer, size_t length)
{
	assert_true(length <= sizeof(sent));
	memcpy(sent, answer, length);
	sent_length = length;
}

void __wrap_udp_send(struct udp_socket *udp, const struct origin *origin, const uint8_t *answer,
		     size_t length)
{
	assert_ptr_equal(udp, &udp_socket);
	assert_int_equal(origin->client.v4.sin_port, htons(CLIENT_PORT));
	scene_note("udp");
	keep(answer, length);
}

void __wrap_tcp_send(struct connection *connection, const uint8_t *answer, size_t length)
{
	assert_ptr_equal(connection, scene_connection());
	scene_note("tcp");
	keep(answer, length);
}

void __wrap_tcp_connection_suspended(struct connection *connection, int change)
{
	assert_ptr_equal(connection, scene_connection());
	connection_pending += change;
}

struct connection *scene_connection(void)
{
	static max_align_t place;

	return (struct connection *)&place;
}

bool scene_ask(const char *name_text, const char *options)
{
	enum vigie_channel channel = strstr(options, "tcp") ? VIGIE_CHANNEL_TCP : VIGIE_CHANNEL_UDP;
	bool edns = strstr(options, "edns") != NULL;
	struct flight *flight = malloc(sizeof(*flight));
	uint8_t *buffer = malloc(VIGIE_MESSAGE_MAX);
	uint8_t space[300];
	struct vigie_name name;
	uint8_t *packet;
	size_t length;

	assert_true(flight && buffer);
	memset(flight, 0x55, sizeof(*flight));
	assert_int_equal(vigie_name_from_text(&name, name_text), VIGIE_OK);
	length = vigie_query_write(space, sizeof(space), 0x1234, VIGIE_FLAG_RD, name.bytes, VIGIE_TYPE_A,
				   VIGIE_CLASS_IN, edns, edns);
	packet = malloc(length);
	assert_non_null(packet);
	memcpy(packet, space, length);
	flight->origin = (struct origin){.listener = &listener};
	address_from_text(&flight->origin.client, "192.0.2.1", CLIENT_PORT);
	if (channel == VIGIE_CHANNEL_TCP)
		flight->origin.connection = scene_connection();
	else
		flight->origin.udp = &udp_socket;
	worker_enter(worker);
	flight_open(flight, worker, channel);
	length = flight_answer(flight, channel, packet, length, buffer);
	if (length > 0)
		keep(buffer, length);
	worker_leave(worker);
	memset(flight, 0x55, sizeof(*flight));
	free(flight);
	free(buffer);
	free(packet);
	return length > 0;
}

/* What a resume function gets: who goes on, and how. */
struct going_on {
	struct part *part;
	act *act;
};

static enum vigie_verdict go_on(struct vigie_request *request, void *argument)
{
	const struct going_on *going_on = argument;

	assert_int_equal(request->answer->count[VIGIE_ANSWER], 0);
	return going_on->act(going_on->part, request);
}

void scene_resume(struct part *part, act *how)
{
	struct going_on going_on = {part, how};
	struct vigie_pending *pending = part->pending;

	assert_non_null(pending);
	part->pending = NULL;
	vigie_request_resume(&worker->base, pending, go_on, &going_on);
}

unsigned sent_rcode(void)
{
	return vigie_reply_rcode(sent);
}

const char *sent_marks(void)
{
	static char marks[200];
	size_t count = 0;
	size_t at = VIGIE_HEADER_SIZE;

	at += vigie_name_length(sent + at) + 4;
	for (unsigned i = (unsigned)(sent[6] << 8 | sent[7]); i > 0; i--) {
		at += sent[at] >= 0xc0 ? 2 : vigie_name_length(sent + at);
		at += 10U + (unsigned)(sent[at + 8] << 8 | sent[at + 9]);
		assert_true(at <= sent_length && count < sizeof(marks) - 2);
		marks[count++] = (char)sent[at - 1];
	}
	if (vigie_reply_flags(sent) & VIGIE_FLAG_TC)
		marks[count++] = 'T';
	marks[count] = 0;
	return marks;
}

static void add_mark(const struct part *part, struct vigie_request *request, uint16_t type)
{
	uint8_t *rdata = vigie_answer_rr(request->answer, VIGIE_ANSWER, VIGIE_OWNER_QUESTION, type, 30, 4);

	if (rdata)
		memcpy(rdata, (const uint8_t[]){10, 0, 0, (uint8_t)part->name}, 4);
}

enum vigie_verdict answer_mark(struct part *part, struct vigie_request *request)
{
	add_mark(part, request, VIGIE_TYPE_A);
	return VIGIE_ANSWERED;
}

enum vigie_verdict answer_next(struct part *part, struct vigie_request *request)
{
	return VIGIE_NEXT;
}

enum vigie_verdict answer_drop(struct part *part, struct vigie_request *request)
{
	return VIGIE_DROP;
}

enum vigie_verdict put_off(struct part *part, struct vigie_request *request)
{
	part->pending = vigie_request_suspend(request);
	return part->pending ? VIGIE_SUSPENDED
			     : vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, "too many");
}

enum vigie_verdict take_back(struct part *part, struct vigie_request *request)
{
	struct vigie_pending *pending = vigie_request_suspend(request);

	assert_non_null(pending);
	vigie_request_cancel(request, pending);
	return answer_mark(part, request);
}

static enum vigie_verdict looked_up(struct vigie_request *request, const uint8_t *reply, size_t length,
				    void *argument)
{
	struct part *part = argument;

	scene_note(reply ? "found" : "nothing");
	if (reply) {
		assert_int_equal(reply[3] & 0x0f ? 0 : vigie_answer_append(request->answer, reply, length),
				 VIGIE_OK);
		request->answer->rcode = vigie_reply_rcode(reply);
	} else {
		vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, "nothing came of a look-up");
	}
	return part->done ? part->done(part, request) : VIGIE_ANSWERED;
}

enum vigie_verdict look_up(struct part *part, struct vigie_request *request)
{
	add_mark(part, request, VIGIE_TYPE_TXT);
	return vigie_request_lookup(request, &part->target, VIGIE_TYPE_A, looked_up, part);
}
