/* The members of a catalog zone (RFC 9432): zones that appear and go as it lists them. */
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "secondary.h"
#include "vigie/log.h"
#include "vigie/thread.h"

/* A table that is no longer looked in, once all readers have left it. */
struct retired {
	uv_work_t work;
	struct follower_table *table;
	size_t count;
	struct follower *removed[]; /* that are not in the next one */
};

/* One application of a catalog. */
struct change {
	struct secondary *secondary;
	struct follower *catalog;
	struct follower_table *old;
	struct follower_table *next;
	size_t refused; /* members outside of the zones that are allowed */
	char name[VIGIE_NAME_TEXT_MAX];
	char of[VIGIE_NAME_TEXT_MAX];
};

static void wait_for_readers(uv_work_t *work)
{
	vigie_thread_set(NULL, VIGIE_THREAD_BACKGROUND);
	synchronize_rcu();
}

static void on_readers_left(uv_work_t *work, int cancelled)
{
	struct retired *retired = work->data;

	for (size_t i = 0; i < retired->count; i++)
		follower_free(retired->removed[i]);
	free(retired->table);
	free(retired);
}

static bool is_allowed(const struct source *source, const struct vigie_name *origin)
{
	return source->members.count == 0 || zones_match(&source->members, origin);
}

static bool same_id(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, 1U + a[0]) == 0;
}

/* Whether the catalog that has the member gives it to this one (RFC 9432 section 4.4.1). `same`: as the same
 * member, whose state is kept. */
static bool is_given_over(const struct follower *member, const struct follower *to,
			  const struct vigie_catalog_member *listed, bool *same)
{
	const struct vigie_catalog_member *there =
		vigie_catalog_get(member->catalog->lists, &member->zone.origin);

	*same = there && same_id(there->id, member->id) && same_id(there->id, listed->id);
	return there && there->owner_to_be && vigie_name_equal(there->owner_to_be, to->zone.origin.bytes);
}

static void begin(struct change *change, const struct vigie_catalog_member *listed)
{
	struct secondary *secondary = change->secondary;
	struct follower *member =
		follower_new(&listed->origin, change->catalog->source, change->catalog, &secondary->events);

	if (!member) {
		vigie_log(VIGIE_LOG_ERROR, "secondary", "No catalog member zone %s: out of memory",
			  change->name);
		return;
	}
	memcpy(member->id, listed->id, sizeof(member->id));
	member->listed = true;
	secondary_adopt(secondary, member);
	change->next->list[change->next->count++] = member;
}

/* Settles what becomes of a member that is listed. Those that stay are marked. */
static void take(struct change *change, const struct vigie_catalog_member *listed)
{
	struct follower *catalog = change->catalog;
	struct follower *there = follower_table_get(change->old, listed->origin.bytes, listed->origin.length);
	bool same;

	vigie_name_to_text(listed->origin.bytes, change->name);
	if (!is_allowed(catalog->source, &listed->origin)) {
		change->refused++;
	} else if (!there) {
		begin(change, listed);
		vigie_log(VIGIE_LOG_INFO, "secondary", "Added catalog member zone %s from catalog %s",
			  change->name, change->of);
	} else if (there->catalog == catalog && same_id(there->id, listed->id)) {
		there->listed = true;
	} else if (there->catalog == catalog) {
		begin(change, listed);
		vigie_log(VIGIE_LOG_INFO, "secondary",
			  "Reset catalog member zone %s from %s: it has another member ID", change->name,
			  change->of);
	} else if (!there->catalog || !is_given_over(there, catalog, listed, &same)) {
		vigie_log(VIGIE_LOG_WARNING, "secondary",
			  "Skipping catalog member zone %s from %s: zone already exists", change->name,
			  change->of);
	} else {
		vigie_log(VIGIE_LOG_INFO, "secondary", "Migrated catalog member zone %s to catalog %s, %s",
			  change->name, change->of, same ? "preserving its state" : "with its state reset");
		if (same) {
			there->catalog = catalog;
			follower_restart(there, catalog->source);
		} else {
			there->listed = false;
			begin(change, listed);
		}
	}
}

void secondary_apply_catalog(struct secondary *secondary, struct follower *catalog)
{
	const struct vigie_catalog *lists = catalog->lists;
	struct change change = {.secondary = secondary, .catalog = catalog, .old = secondary->table};
	struct retired *retired = calloc(1, sizeof(*retired) + change.old->count * sizeof(*retired->removed));

	change.next = follower_table_new(change.old->count + lists->count);
	if (!retired || !change.next) {
		free(retired);
		free(change.next);
		vigie_log(VIGIE_LOG_ERROR, "secondary", "A catalog is not followed: out of memory");
		return;
	}
	vigie_name_to_text(catalog->zone.origin.bytes, change.of);
	for (size_t i = 0; i < change.old->count; i++)
		change.old->list[i]->listed = change.old->list[i]->catalog != catalog;
	for (size_t i = 0; i < lists->count; i++)
		take(&change, &lists->members[i]);
	for (size_t i = 0; i < change.old->count; i++) {
		struct follower *follower = change.old->list[i];

		if (follower->listed)
			change.next->list[change.next->count++] = follower;
		else
			retired->removed[retired->count++] = follower;
	}
	follower_table_sort(change.next);
	__atomic_store_n(&secondary->table, change.next, __ATOMIC_RELEASE);
	for (size_t i = 0; i < retired->count; i++) {
		struct follower *follower = retired->removed[i];

		follower_stop(follower);
		vigie_name_to_text(follower->zone.origin.bytes, change.name);
		if (!follower_table_get(change.next, follower->zone.origin.bytes,
					follower->zone.origin.length))
			vigie_log(VIGIE_LOG_INFO, "secondary",
				  "Removed catalog member zone %s from catalog %s", change.name, change.of);
	}
	if (change.refused > 0)
		vigie_log(VIGIE_LOG_WARNING, "secondary",
			  "Skipped %zu member zones from catalog %s: they are not in the zones that are "
			  "allowed",
			  change.refused, change.of);
	vigie_log(VIGIE_LOG_INFO, "secondary", "Parsed catalog zone %s with %zu member zones", change.of,
		  lists->count);
	retired->work.data = retired;
	retired->table = change.old;
	if (uv_queue_work(secondary->events.loop, &retired->work, wait_for_readers, on_readers_left)) {
		synchronize_rcu();
		on_readers_left(&retired->work, 0);
	}
}
