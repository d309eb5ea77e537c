/* Answers of another server for the tests of the cache, put together record by record. */
#ifndef VIGIE_TEST_REPLY_H
#define VIGIE_TEST_REPLY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vigie/cache.h"

/* A question and the answer that is written to it. */
struct reply {
	struct vigie_query query;
	struct vigie_answer answer;
	struct vigie_cache_reply shape;
	uint8_t packet[512];
	uint8_t buffer[VIGIE_MESSAGE_MAX];
};

/* Begins an answer of `limit` bytes to a question; `options` is a subset of "edns do cd". */
static inline void reply_begin(struct reply *reply, const char *name, uint16_t type, const char *options,
			       size_t limit)
{
	struct vigie_name wire;
	bool edns_do = strstr(options, "do") != NULL;
	size_t length;

	assert_int_equal(vigie_name_from_text(&wire, name), VIGIE_OK);
	length = vigie_query_write(reply->packet, sizeof(reply->packet), 1,
				   strstr(options, "cd") ? VIGIE_FLAG_CD : 0, wire.bytes, type,
				   VIGIE_CLASS_IN, edns_do || strstr(options, "edns"), edns_do);
	assert_int_equal(vigie_query_parse(&reply->query, reply->packet, length), VIGIE_GATE_OK);
	vigie_answer_begin(&reply->answer, &reply->query, reply->buffer, limit);
}

static inline void reply_add(struct reply *reply, enum vigie_section section, const char *owner,
			     uint16_t type, uint32_t ttl, const void *rdata, size_t length)
{
	struct vigie_name wire;
	uint8_t *at;

	assert_int_equal(vigie_name_from_text(&wire, owner), VIGIE_OK);
	at = vigie_answer_rr_named(&reply->answer, section, wire.bytes, type, ttl, (uint16_t)length);
	assert_non_null(at);
	memcpy(at, rdata, length);
}

static inline void reply_address(struct reply *reply, const char *owner, uint32_t ttl, uint32_t mark)
{
	reply_add(reply, VIGIE_ANSWER, owner, VIGIE_TYPE_A, ttl, &mark, sizeof(mark));
}

static inline void reply_name(struct reply *reply, enum vigie_section section, const char *owner,
			      uint16_t type, uint32_t ttl, const char *target)
{
	struct vigie_name wire;

	assert_int_equal(vigie_name_from_text(&wire, target), VIGIE_OK);
	reply_add(reply, section, owner, type, ttl, wire.bytes, wire.length);
}

static inline void reply_soa(struct reply *reply, const char *owner, uint32_t ttl, uint8_t minimum)
{
	uint8_t rdata[2 + 20] = {0};

	rdata[21] = minimum;
	reply_add(reply, VIGIE_AUTHORITY, owner, VIGIE_TYPE_SOA, ttl, rdata, sizeof(rdata));
}

static inline const struct vigie_cache_reply *reply_classify(struct reply *reply)
{
	vigie_cache_classify(&reply->answer, &reply->shape);
	return &reply->shape;
}

#endif
