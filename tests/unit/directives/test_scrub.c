/* What a reply holds beside the answer to its question does not come through: generated replies, each with
 * what belongs there and with records of others' names (S10 of the forwarder's reference). PAIRS of them. */
#include "../wire/packet.h"

#include <stdio.h>

#include "scrub.h"
#include "vigie/name.h"
#include "vigie/record.h"

enum {
	PAIRS = 20000, /* unless the environment says */
	LINKS_MAX = 3,
	RECORDS_MAX = 40
};

/* A record of a generated reply. Each has an RDATA of its own: `name` behind its number, or that alone. */
struct made {
	enum vigie_section section;
	uint16_t type;
	const char *owner;
	const char *name; /* NULL: none */
	bool belongs;
};

struct reply {
	struct made records[RECORDS_MAX];
	unsigned count;
	struct packet packet;
};

static const char *const chain[LINKS_MAX + 1] = {"example.org.", "b.example.org.", "c.host.net.",
						 "c.deep.down.host.net."};
static const char *const strangers[] = {"bank.test.", "www.bank.test.", "x.example.org.", "host.org.",
					"example.org.bank.test."};

static uint32_t draw(uint32_t below)
{
	static uint32_t state = 1;

	state = state * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)state * below) >> 32);
}

static void add(struct reply *reply, struct made made)
{
	assert_true(reply->count < RECORDS_MAX);
	reply->records[reply->count++] = made;
}

static void add_strangers(struct reply *reply, enum vigie_section section)
{
	static const uint16_t types[] = {VIGIE_TYPE_A,     VIGIE_TYPE_CNAME, VIGIE_TYPE_NS,  VIGIE_TYPE_SOA,
					 VIGIE_TYPE_DNAME, VIGIE_TYPE_RRSIG, VIGIE_TYPE_NSEC};

	for (uint32_t left = draw(3); left > 0; left--) {
		struct made made = {section, types[draw(7)], strangers[draw(5)], "bank.test.", false};

		if (section == VIGIE_AUTHORITY &&
		    (made.type == VIGIE_TYPE_RRSIG || made.type == VIGIE_TYPE_NSEC))
			made.type = VIGIE_TYPE_NS; /* those may prove a denial, whoever's they are */
		if (made.type == VIGIE_TYPE_A || made.type == VIGIE_TYPE_RRSIG ||
		    made.type == VIGIE_TYPE_NSEC)
			made.name = NULL;
		add(reply, made);
	}
}

/* A chain of that many links to an address or a service. */
static void add_answer(struct reply *reply, unsigned links, bool service)
{
	unsigned first = draw(links + 1); /* not in order: from there, round */

	for (unsigned i = 0; i <= links; i++) {
		unsigned at = (first + i) % (links + 1);

		add_strangers(reply, VIGIE_ANSWER);
		if (at < links)
			add(reply,
			    (struct made){VIGIE_ANSWER, VIGIE_TYPE_CNAME, chain[at], chain[at + 1], true});
		else if (service)
			add(reply,
			    (struct made){VIGIE_ANSWER, VIGIE_TYPE_SRV, chain[at], "sip.far.away.", true});
		else
			add(reply, (struct made){VIGIE_ANSWER, VIGIE_TYPE_A, chain[at], NULL, true});
		add(reply, (struct made){VIGIE_ANSWER, VIGIE_TYPE_RRSIG, chain[at], NULL, true});
	}
	if (draw(2))
		add(reply, (struct made){VIGIE_ANSWER, VIGIE_TYPE_DNAME, "org.", "net.", true});
	add_strangers(reply, VIGIE_ANSWER);
}

static void add_rest(struct reply *reply, bool service)
{
	bool served = draw(2);

	if (served)
		add(reply, (struct made){VIGIE_AUTHORITY, VIGIE_TYPE_NS, "org.", "ns.hoster.info.", true});
	add_strangers(reply, VIGIE_AUTHORITY);
	if (draw(2))
		add(reply, (struct made){VIGIE_AUTHORITY, VIGIE_TYPE_NSEC, "a.example.org.", NULL, true});
	if (draw(2))
		add(reply,
		    (struct made){VIGIE_AUTHORITY, VIGIE_TYPE_SOA, "example.org.", "ns.hoster.info.", true});
	else
		add_strangers(reply, VIGIE_AUTHORITY);
	add(reply, (struct made){VIGIE_ADDITIONAL, VIGIE_TYPE_A, "sip.far.away.", NULL, service});
	add_strangers(reply, VIGIE_ADDITIONAL);
	if (served)
		add(reply, (struct made){VIGIE_ADDITIONAL, VIGIE_TYPE_AAAA, "ns.hoster.info.", NULL, true});
	add_strangers(reply, VIGIE_ADDITIONAL);
}

static size_t put_name(struct packet *packet, const char *text)
{
	struct vigie_name name;

	assert_int_equal(vigie_name_from_text(&name, text), VIGIE_OK);
	put(packet, name.bytes, name.length);
	return name.length;
}

static void put_record(struct packet *packet, const struct made *made, unsigned number)
{
	size_t length_at;

	if (strcmp(made->owner, "example.org.") == 0 && draw(2))
		put_u16(packet, 0xc000 | VIGIE_HEADER_SIZE);
	else
		put_name(packet, made->owner);
	put_fixed(packet, made->type, 0);
	length_at = packet->length - 2;
	if (made->type == VIGIE_TYPE_SRV) {
		put_u16(packet, number);
		put_fill(packet, 0, 4);
	}
	if (made->name)
		put_name(packet, made->name);
	if (made->type == VIGIE_TYPE_SOA)
		put_fill(packet, 0, 1 + 18);
	put_u16(packet, number);
	if (made->type == VIGIE_TYPE_A)
		put_u16(packet, 0);
	packet->bytes[length_at + 1] = (uint8_t)(packet->length - length_at - 2);
}

static void put_reply(struct reply *reply)
{
	unsigned counts[VIGIE_SECTIONS] = {0};

	for (unsigned i = 0; i < reply->count; i++)
		counts[reply->records[i].section]++;
	put_header(&reply->packet, VIGIE_FLAG_QR | VIGIE_FLAG_AA | VIGIE_FLAG_RA, 1, counts[0], counts[1],
		   counts[2]);
	put(&reply->packet, BYTES(QUESTION));
	for (unsigned i = 0; i < reply->count; i++)
		put_record(&reply->packet, &reply->records[i], i);
}

/* The answer holds what belongs there, in its order. Returns how much does not belong. */
static unsigned check(const struct reply *reply, const struct vigie_answer *answer)
{
	struct vigie_record_walk walk;
	struct vigie_record record;
	unsigned strange = 0;

	vigie_record_walk_answer(&walk, answer);
	for (unsigned i = 0; i < reply->count; i++) {
		const struct made *made = &reply->records[i];
		struct vigie_name owner;
		char text[VIGIE_NAME_TEXT_MAX];
		const uint8_t *end;

		if (!made->belongs) {
			strange++;
			continue;
		}
		assert_true(vigie_record_next(&walk, &record));
		assert_true(vigie_record_name(&walk, record.owner, &owner));
		vigie_name_to_text(owner.bytes, text);
		assert_string_equal(text, made->owner);
		assert_int_equal(record.section, made->section);
		assert_int_equal(record.type, made->type);
		end = answer->buffer + record.end - (made->type == VIGIE_TYPE_A ? 4 : 2);
		assert_int_equal(end[0] << 8 | end[1], i);
	}
	assert_false(vigie_record_next(&walk, &record));
	return strange;
}

static void ask(struct vigie_query *query, struct packet *packet)
{
	put_header(packet, VIGIE_FLAG_RD, 1, 0, 0, 0);
	put(packet, BYTES(QUESTION));
	assert_int_equal(parse(query, packet), VIGIE_GATE_OK);
}

/* The reply's answer, in a buffer that each call uses again. Returns what `scrub` does. */
static bool take(const struct reply *reply, const struct vigie_query *query, struct vigie_answer *answer)
{
	static uint8_t buffer[VIGIE_MESSAGE_MAX];

	vigie_answer_begin(answer, query, buffer, sizeof(buffer));
	assert_int_equal(vigie_answer_take(answer, reply->packet.bytes, reply->packet.length), VIGIE_OK);
	return scrub(answer, reply->packet.bytes, reply->packet.length);
}

static void test_generated_replies(void **state)
{
	static struct reply reply;
	const char *pairs = getenv("PAIRS");
	unsigned long strange = 0;
	struct vigie_query query;
	struct packet packet;

	(void)state;
	ask(&query, &packet);
	for (unsigned long left = pairs ? strtoul(pairs, NULL, 10) : PAIRS; left > 0; left--) {
		struct vigie_answer answer;
		bool service = draw(2);
		unsigned left_out;
		bool more;

		reply.count = 0;
		add_answer(&reply, draw(LINKS_MAX + 1), service);
		add_rest(&reply, service);
		put_reply(&reply);
		more = take(&reply, &query, &answer);
		left_out = check(&reply, &answer);
		assert_int_equal(more, left_out > 0);
		assert_int_equal(answer.flags, VIGIE_FLAG_AA | VIGIE_FLAG_RA);
		strange += left_out;
	}
	printf("# %lu records of strangers, none of them left\n", strange);
}

/* CNAMEs in a circle, more of them than are followed, and hosts without an end: it ends, and at once. */
static void test_chains_without_end(void **state)
{
	static struct reply reply;
	struct vigie_query query;
	struct vigie_answer answer;
	struct packet packet;

	(void)state;
	ask(&query, &packet);
	put_header(&reply.packet, VIGIE_FLAG_QR, 1, 1500, 0, 0);
	put(&reply.packet, BYTES(QUESTION));
	for (unsigned i = 0; i < 1500; i++) {
		char owner[32];
		char name[32];
		struct made made = {VIGIE_ANSWER, VIGIE_TYPE_CNAME, owner, name, true};

		snprintf(owner, sizeof(owner), i % 500 ? "l%u.test." : "example.org.", i % 500);
		snprintf(name, sizeof(name), (i + 1) % 500 ? "l%u.test." : "example.org.", (i + 1) % 500);
		put_record(&reply.packet, &made, i);
		reply.packet.length -= 2; /* the number */
		reply.packet.bytes[reply.packet.length - strlen(name) - 2] -= 2;
	}
	assert_true(take(&reply, &query, &answer));
	assert_int_equal(answer.count[VIGIE_ANSWER],
			 3 * (1 + 16)); /* and the last one's target is not followed */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_generated_replies),
		cmocka_unit_test(test_chains_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
