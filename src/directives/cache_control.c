/* `vigie ctl cache dump [NAME]` and `vigie ctl cache flush NAME`: a name stands for itself and all below it.
 */
#include <jansson.h>
#include <string.h>

#include "cache.h"
#include "vigie/clock.h"
#include "vigie/text.h"

enum { DUMP_MAX = 10000 /* answers shown; those beyond are counted */ };

struct visit {
	const struct cache *cache;
	struct vigie_name name;
	uint64_t now_ms;
	json_t *list;
	size_t count; /* of answers that fit, but are not in the list */
};

/* Whether the answer is this block's and belongs to the name. */
static bool fits(const struct visit *visit, const struct vigie_cached *cached)
{
	size_t length;
	const uint8_t *owner = vigie_cached_owner(cached, &length);

	if (vigie_cached_part(cached) != visit->cache->part)
		return false;
	for (; length > visit->name.length; owner += 1 + *owner)
		length -= 1U + *owner;
	return length == visit->name.length && memcmp(owner, visit->name.bytes, length) == 0;
}

static const char *show_kind(const struct vigie_cached *cached)
{
	static const char *const kinds[VIGIE_CACHED_KINDS] = {
		[VIGIE_CACHED_ANSWER] = "answer",
		[VIGIE_CACHED_NODATA] = "nodata",
		[VIGIE_CACHED_NXDOMAIN] = "nxdomain",
		[VIGIE_CACHED_FAILURE] = "failure",
	};

	return kinds[vigie_cached_kind(cached)];
}

static bool show(void *argument, const struct vigie_cached *cached)
{
	struct visit *visit = argument;
	uint8_t packet[512];
	struct vigie_query query;
	char name[VIGIE_NAME_TEXT_MAX];
	char type[VIGIE_TEXT_MAX];
	int64_t left;

	if (!fits(visit, cached))
		return false;
	if (json_array_size(visit->list) >= DUMP_MAX ||
	    vigie_query_parse(&query, packet, vigie_cached_question(cached, packet, sizeof(packet)))) {
		visit->count++;
		return false;
	}
	left = (int64_t)vigie_cached_lifetime(cached) -
	       (int64_t)(vigie_cached_age_ms(cached, visit->now_ms) / 1000);
	json_array_append_new(visit->list,
			      json_pack("{s:s,s:s,s:s,s:s,s:I,s:i,s:b,s:b}", "server", visit->cache->server,
					"name", vigie_name_to_text(query.name.bytes, name), "type",
					vigie_type_text(query.type, type), "kind", show_kind(cached),
					"seconds_left", (json_int_t)left, "records",
					(int)vigie_cached_records_count(cached), "do", query.edns_do, "cd",
					(query.flags & VIGIE_FLAG_CD) != 0));
	return false;
}

static bool drop(void *argument, const struct vigie_cached *cached)
{
	struct visit *visit = argument;

	if (!fits(visit, cached))
		return false;
	visit->count++;
	return true;
}

static void add(json_t *reply, const char *key, size_t count)
{
	json_t *sum = json_object_get(reply, key);

	json_object_set_new(reply, key, json_integer(json_integer_value(sum) + (json_int_t)count));
}

static json_t *list_of(json_t *reply)
{
	if (!json_object_get(reply, "answers"))
		json_object_set_new(reply, "answers", json_array());
	return json_object_get(reply, "answers");
}

bool cache_control(void *instance, const char *const *words, struct json_t *reply, size_t *turn)
{
	struct visit visit = {.cache = instance, .now_ms = vigie_clock_ms()};
	bool more;

	if (strcmp(words[0], "cache") != 0 || !words[1] || (words[2] && words[3]))
		return false;
	if (vigie_name_from_text(&visit.name, words[2] ? words[2] : ".")) {
		json_object_set_new(reply, "error", json_string("this is no name"));
		return true;
	}
	if (strcmp(words[1], "dump") == 0) {
		visit.list = list_of(reply);
		more = vigie_cache_walk(visit.cache->store, turn, show, &visit);
		if (visit.count > 0)
			add(reply, "more", visit.count);
	} else if (strcmp(words[1], "flush") == 0 && words[2]) {
		more = vigie_cache_flush(visit.cache->store, turn, drop, &visit);
		add(reply, "flushed", visit.count);
	} else {
		return false;
	}
	if (!more)
		*turn = 0;
	return true;
}
