/* Any bytes as another server's reply, on its way through the cache: what the judge lets pass is classified,
 * stored, found again under its question and no other, and written as an answer of any age into any room.
 * Before it is rid of what has nothing to do with the question: once is enough.
 *
 * Input: the type asked for, the query's options, the answer's age (2 bytes) and room (2), and the reply as
 * assemble_reply takes it. */
#include <urcu-qsbr.h>

#include "scrub.h"
#include "vigie/cache.h"
#include "vigie/hash.h"
#include "vigie/record.h"
#include "vigie/reply.h"
#include "walk.h"

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIXED = 6, TTL_LEAST = 5, TTL_MOST = 3600 };

static struct vigie_cache *cache;
static struct vigie_cache_part *part;
static struct vigie_cache_part *other;
static uint8_t first[VIGIE_MESSAGE_MAX];

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
	(void)count;
	(void)arguments;
	rcu_register_thread();
	vigie_hash_init();
	cache = vigie_cache_new(VIGIE_CACHE_BUDGET_MIN);
	require(cache);
	part = vigie_cache_part_acquire(cache, 1);
	other = vigie_cache_part_acquire(cache, 2);
	require(part && other);
	return 0;
}

static void check_ttls(const struct vigie_answer *answer)
{
	struct vigie_record_walk walk;
	struct vigie_record record;
	unsigned records = 0;

	vigie_record_walk_answer(&walk, answer);
	for (; vigie_record_next(&walk, &record); records++)
		require(record.ttl >= TTL_LEAST && record.ttl <= TTL_MOST);
	require(records == (unsigned)answer->count[0] + answer->count[1] + answer->count[2]);
}

/* Each record is as it was stored but for its TTL; without a cut, all are there. */
static void check_same(const struct vigie_answer *was, const struct vigie_answer *is,
		       const struct vigie_cache_reply *reply)
{
	require(is->rcode == was->rcode && is->length <= was->length);
	require((is->flags & VIGIE_FLAG_TC) || is->count[VIGIE_ANSWER] == was->count[VIGIE_ANSWER]);
	for (size_t at = VIGIE_HEADER_SIZE + vigie_query_question_length(was->query), record = 0;
	     at < is->length; at++) {
		while (record < reply->count && reply->at[record] + 4U <= at)
			record++;
		if (record == reply->count || at < reply->at[record])
			require(is->buffer[at] == was->buffer[at]);
	}
}

static void check_cached(const struct vigie_query *query, const struct vigie_answer *was,
			 const struct vigie_cache_reply *reply, uint32_t age, size_t room)
{
	const struct vigie_cached *cached = vigie_cache_find(cache, part, query);
	uint8_t *buffer = malloc(room); /* ASan sees a write behind it */
	struct vigie_answer answer;
	size_t length;

	require(buffer);
	require(cached && !vigie_cache_find(cache, other, query));
	require(vigie_cached_kind(cached) == reply->kind && vigie_cached_lifetime(cached) == reply->ttl);
	vigie_answer_begin(&answer, query, buffer, room);
	vigie_cached_write(cached, &answer, age, TTL_LEAST, TTL_MOST);
	check_ttls(&answer);
	check_same(was, &answer, reply);
	length = vigie_answer_end(&answer);
	require(length <= room);
	walk(query, buffer, length, false);
	free(buffer);
}

static void check_scrubbed(const struct vigie_answer *answer)
{
	static uint8_t message[VIGIE_MESSAGE_MAX];
	static uint8_t second[VIGIE_MESSAGE_MAX];
	struct vigie_answer copy = *answer;
	struct vigie_answer again;
	size_t length;

	memcpy(message, answer->buffer, answer->length);
	copy.buffer = message;
	length = vigie_answer_end(&copy);
	walk(answer->query, message, length, false);
	vigie_answer_begin(&again, answer->query, second, sizeof(second));
	require(vigie_answer_take(&again, message, length) == VIGIE_OK);
	/* What did not fit may have named a host. */
	require((answer->flags & VIGIE_FLAG_TC) || !scrub(&again, message, length));
}

static void check_reply(const struct vigie_query *query, const uint8_t *bytes, size_t length, uint32_t age,
			size_t room)
{
	static struct vigie_cache_reply reply;
	struct vigie_answer answer;

	vigie_answer_begin(&answer, query, first, sizeof(first));
	if (vigie_answer_take(&answer, bytes, length))
		return;
	if (scrub(&answer, bytes, length))
		check_scrubbed(&answer);
	vigie_cache_classify(&answer, &reply);
	if (!reply.cacheable)
		return;
	require(reply.count == answer.count[0] + answer.count[1] + answer.count[2]);
	require(reply.kind != VIGIE_CACHED_ANSWER || answer.count[VIGIE_ANSWER] > 0);
	vigie_cache_clamp(&answer, &reply, TTL_LEAST, TTL_MOST);
	if (vigie_cache_put(cache, part, &answer, &reply, reply.ttl, 1000) == VIGIE_OK)
		check_cached(query, &answer, &reply, age, room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = {VIGIE_TYPE_A,  VIGIE_TYPE_AAAA, VIGIE_TYPE_CNAME, VIGIE_TYPE_SOA,
					 VIGIE_TYPE_MX, VIGIE_TYPE_ANY,  VIGIE_TYPE_TXT,   65280};
	uint8_t packet[64];
	struct vigie_query query;
	struct vigie_name name;
	uint8_t *asked;
	uint8_t *reply;
	size_t length;

	rcu_quiescent_state();
	if (size < FIXED + 8)
		return 0;
	require(vigie_name_from_text(&name, "a.bc.example.org.") == VIGIE_OK);
	length = vigie_query_write(packet, sizeof(packet), 1, data[1] & 1 ? VIGIE_FLAG_CD : VIGIE_FLAG_RD,
				   name.bytes, types[data[0] % (sizeof(types) / sizeof(*types))],
				   VIGIE_CLASS_IN, data[1] & 2, (data[1] & 6) == 6);
	asked = exact(packet, length);
	require(vigie_query_parse(&query, asked, length) == VIGIE_GATE_OK);
	reply = assemble_reply(&query, data + FIXED, size - FIXED, &length);
	if (length <= VIGIE_MESSAGE_MAX && vigie_reply_judge(asked, reply, length) == VIGIE_REPLY_GOOD)
		check_reply(&query, reply, length, read_u16(data + 2),
			    VIGIE_UDP_SIZE_PLAIN +
				    read_u16(data + 4) % (VIGIE_MESSAGE_MAX - VIGIE_UDP_SIZE_PLAIN + 1));
	free(reply);
	free(asked);
	return 0;
}
