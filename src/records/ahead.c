/* Cache misses of many look-ups at once. A look-up waits for its slot, then for its entry, then for its
 * record; with a large table each is a miss of all caches, and of the TLB. Fetched for a whole batch before
 * any of it is answered, they are waited for side by side. */
#include "table.h"

enum {
	FAR_SLOTS = 8192, /* slots of a table that is far: with its entries and records about a megabyte */
	CACHE_LINE = 64
};

bool vigie_records_is_far(const struct vigie_records *records)
{
	const struct slots *services = __atomic_load_n(&records->services, __ATOMIC_ACQUIRE);

	return services && services->size >= FAR_SLOTS;
}

/* Two lines: what is looked at of an entry or a record may begin anywhere in the first. */
static void fetch(const void *at)
{
	__builtin_prefetch(at);
	__builtin_prefetch((const uint8_t *)at + CACHE_LINE - 1);
}

/* The two labels in front of svc.ZONE; false when the name has no such. */
static bool find_key(const struct vigie_view *view, const struct vigie_name *name, const uint8_t **key,
		     size_t *length)
{
	size_t first;

	if (view->services.length == 0 || name->labels < view->services.labels + 2 ||
	    !vigie_name_is_below(name, &view->services))
		return false;
	first = (size_t)name->labels - view->services.labels - 2;
	*key = name->bytes + name->offset[first];
	*length = (size_t)name->offset[first + 2] - name->offset[first];
	return true;
}

void vigie_records_ahead(const struct vigie_view *view, unsigned step, const struct vigie_query *query,
			 uint64_t *state)
{
	const struct vigie_records *records = view->records;
	struct slots_walk walk;
	const uint8_t *key;
	size_t length;
	bool flag;

	if (step == 0 && find_key(view, &query->name, &key, &length)) {
		*state = vigie_hash(key, length);
		slots_begin(&walk, &records->services, *state);
		if (walk.table)
			__builtin_prefetch(&walk.table->words[walk.at]);
	} else if (step == 1 && *state) {
		const struct entry *entry;

		slots_begin(&walk, &records->services, *state);
		entry = slots_next(&walk, &flag); /* likely the one, by fifteen bits of the hash */
		*state = (uintptr_t)entry;
		if (entry)
			fetch(entry);
	} else if (step == 2 && *state) {
		const struct blob *blob = entry_blob((const struct entry *)(uintptr_t)*state);

		if (blob)
			fetch(blob);
	}
}
