/* What a reload leaves of secondary zones: those that the same block had before, from the same primaries, are
 * served at once, and their primaries are asked whether they have newer ones. */
#include <string.h>

#include "secondary.h"
#include "vigie/keep.h"

enum { KEY_MAX = 4096 /* a block with a longer one has no predecessor */ };

static bool same_primaries(const struct source *a, const struct source *b)
{
	return a->primary_count == b->primary_count &&
	       memcmp(a->primaries, b->primaries, a->primary_count * sizeof(*a->primaries)) == 0;
}

/* Both stand in the Corefile, or are members of one catalog. */
static bool same_standing(const struct follower *a, const struct follower *b)
{
	if (!a->catalog || !b->catalog)
		return !a->catalog && !b->catalog && a->source->catalog == b->source->catalog;
	return vigie_name_equal(a->catalog->zone.origin.bytes, b->catalog->zone.origin.bytes);
}

void secondary_adopt(const struct secondary *secondary, struct follower *follower)
{
	const struct vigie_name *origin = &follower->zone.origin;
	const struct follower *before = secondary->before ? follower_table_get(secondary->before->table,
									       origin->bytes, origin->length)
							  : NULL;

	if (before && same_standing(before, follower) && same_primaries(before->source, follower->source))
		follower_adopt(follower, before);
}

static void release(void *secondary)
{
	/* It is its block's. */
}

/* Adopts the zones of the Corefile, and the members of catalogs among them. */
static void adopt_all(struct secondary *secondary)
{
	for (size_t i = 0; i < secondary->table->count; i++)
		secondary_adopt(secondary, secondary->table->list[i]);
	for (size_t i = 0; i < secondary->count; i++) {
		const struct vigie_name *origin = &secondary->origins[i];
		struct follower *follower =
			follower_table_get(secondary->table, origin->bytes, origin->length);

		if (follower->lists)
			secondary_apply_catalog(secondary, follower);
	}
}

enum vigie_status secondary_keep(struct secondary *secondary)
{
	struct vigie_keep *keep = secondary->block->process->keep;
	struct secondary *before;
	enum vigie_status status;
	char key[KEY_MAX];

	if (vigie_block_place(secondary->block, key, sizeof(key)) == 0)
		return VIGIE_OK;
	before = vigie_keep_get(keep, "secondary", key);
	if (before) {
		secondary->before = before;
		adopt_all(secondary);
		secondary->before = NULL;
		vigie_keep_release(keep, before);
	}
	status = vigie_keep_put(keep, "secondary", key, secondary, release);
	secondary->kept = !status;
	return status;
}

void secondary_keep_release(struct secondary *secondary)
{
	if (secondary->kept)
		vigie_keep_release(secondary->block->process->keep, secondary);
}
