#include "reverse.h"

#include "table.h"
#include "vigie/hash.h"

enum { ADDRESS_SIZE = 16 };

void vigie_reverse_begin(struct slots_walk *walk, const struct vigie_records *records, const uint8_t *address)
{
	slots_begin(walk, &records->reverse, vigie_hash(address, ADDRESS_SIZE));
}

const struct entry *vigie_reverse_next(struct slots_walk *walk, bool *cluster)
{
	return slots_next(walk, cluster);
}

/* All pairs, out of the published blobs. */
static void fill(const struct vigie_records *records, const struct slots *old, struct slots *fresh)
{
	const struct entry *entry;

	for (uint32_t place = 0; (entry = slots_each(records->services, &place)) != NULL;) {
		uint8_t address[ADDRESS_SIZE];
		bool cluster;

		for (uint32_t at = 0; vigie_blob_next_address(entry->blob, &at, address, &cluster);)
			slots_add(fresh, vigie_hash(address, ADDRESS_SIZE), entry, cluster);
	}
}

enum vigie_status vigie_reverse_reserve(struct vigie_records *records, size_t more)
{
	return slots_reserve(records, &records->reverse, VIGIE_BYTES_ADDRESSES, more, fill);
}

void vigie_reverse_add(struct vigie_records *records, const struct entry *entry, const uint8_t *address,
		       bool cluster)
{
	slots_add(records->reverse, vigie_hash(address, ADDRESS_SIZE), entry, cluster);
}

void vigie_reverse_remove(struct vigie_records *records, const struct entry *entry, const uint8_t *address,
			  bool cluster)
{
	slots_remove(records->reverse, vigie_hash(address, ADDRESS_SIZE), entry, cluster);
}
