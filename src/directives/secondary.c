/* `secondary [ZONE…] { transfer from ADDRESS…; catalog [ZONE…]; fallthrough [ZONE…] }`: zones that are
 * fetched from a primary server and kept up to date. */
#include "secondary.h"

#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "directives.h"
#include "transfer.h"

static enum vigie_status read_from(struct source *source, const struct vigie_statement *option,
				   struct vigie_error *error)
{
	enum vigie_status status = vigie_statement_args(option, 2, SIZE_MAX, error);

	if (!status && strcmp(option->args[0].text, "from") != 0)
		status = vigie_word_error(error, &option->args[0], "'transfer' goes on with from, not '%s'",
					  option->args[0].text);
	for (size_t i = 1; i < option->arg_count && !status; i++) {
		status = host_port_from_word(&source->primaries[source->primary_count], &option->args[i],
					     error);
		source->primary_count += !status;
	}
	return status;
}

/* Of which zones a catalog's members must be; said several times, any of them. */
static enum vigie_status read_catalog(struct source *source, struct vigie_block *block,
				      const struct vigie_statement *option, struct vigie_error *error)
{
	bool any = option->arg_count == 0 || (source->catalog && source->members.count == 0);
	struct zones more;
	struct vigie_name *names;
	enum vigie_status status;

	source->catalog = true;
	if (any) {
		source->members.count = 0;
		return VIGIE_OK;
	}
	status = zones_from_words(&more, block, option->args, option->arg_count, error);
	if (status)
		return status;
	names = vigie_arena_alloc(block->arena, (source->members.count + more.count) * sizeof(*names));
	if (!names)
		return vigie_error_memory(error);
	if (source->members.count > 0)
		memcpy(names, source->members.names, source->members.count * sizeof(*names));
	memcpy(names + source->members.count, more.names, more.count * sizeof(*names));
	source->members.names = names;
	source->members.count += more.count;
	return VIGIE_OK;
}

static enum vigie_status read_source(struct vigie_block *block, struct source *source,
				     const struct vigie_statement *statement, struct vigie_error *error)
{
	enum vigie_status status = VIGIE_OK;
	size_t words = 0;

	for (size_t i = 0; i < statement->body_count; i++)
		words += statement->body[i].arg_count;
	source->primaries = vigie_arena_alloc(block->arena, (words + 1) * sizeof(*source->primaries));
	if (!source->primaries)
		return vigie_error_memory(error);
	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];

		status = vigie_statement_plain(option, error);
		if (status)
			return status;
		if (strcmp(option->name.text, "transfer") == 0)
			status = read_from(source, option, error);
		else if (strcmp(option->name.text, "fallthrough") == 0)
			status = fallthrough_read(&source->fall, block, option, error);
		else if (strcmp(option->name.text, "catalog") == 0)
			status = read_catalog(source, block, option, error);
		else
			status = vigie_option_unknown(statement, option, error);
	}
	if (!status && source->primary_count == 0)
		status = vigie_word_error(error, &statement->name,
					  "'secondary' needs 'transfer from ADDRESS': the primary server");
	return status;
}

static enum vigie_status add_zones(struct secondary *secondary, const struct vigie_statement *statement,
				   struct source *source, struct vigie_error *error)
{
	struct vigie_arena *arena = secondary->block->arena;
	char text[VIGIE_NAME_TEXT_MAX];
	struct vigie_name *names;
	struct source **from;
	struct zones origins;
	enum vigie_status status = static_zone_origins(&origins, secondary->block, statement, 0, error);
	size_t count = secondary->count;

	if (status)
		return status;
	names = vigie_arena_alloc(arena, (count + origins.count) * sizeof(*names));
	from = vigie_arena_alloc(arena, (count + origins.count) * sizeof(*from));
	if (!names || !from)
		return vigie_error_memory(error);
	for (size_t i = 0; i < count; i++) {
		names[i] = secondary->origins[i];
		from[i] = secondary->from[i];
	}
	for (size_t i = 0; i < origins.count; i++, count++) {
		for (size_t known = 0; known < count; known++) {
			if (vigie_name_equal(names[known].bytes, origins.names[i].bytes))
				return vigie_word_error(
					error, &statement->name,
					"'secondary': zone '%.256s' stands in this block already",
					vigie_name_to_text(origins.names[i].bytes, text));
		}
		names[count] = origins.names[i];
		from[count] = source;
	}
	secondary->origins = names;
	secondary->from = from;
	secondary->count = count;
	return VIGIE_OK;
}

static void on_arrived(void *argument, struct follower *follower, struct vigie_catalog *catalog)
{
	struct secondary *secondary = argument;

	transfer_notify(secondary->block->transfer, &follower->zone.origin);
	if (!catalog)
		return;
	vigie_catalog_free(follower->lists);
	follower->lists = catalog;
	secondary_apply_catalog(secondary, follower);
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct secondary *secondary = vigie_arena_alloc(block->arena, sizeof(*secondary));
	struct source *sources = vigie_arena_alloc(block->arena, count * sizeof(*sources));

	if (!secondary || !sources)
		return vigie_error_memory(error);
	secondary->block = block;
	secondary->events = (struct follower_events){
		.loop = block->process->loop, .argument = secondary, .arrived = on_arrived};
	for (size_t i = 0; i < count; i++) {
		enum vigie_status status = read_source(block, &sources[i], statements[i], error);

		if (!status)
			status = add_zones(secondary, statements[i], &sources[i], error);
		if (status)
			return status;
	}
	*instance = secondary;
	return VIGIE_OK;
}

static void stop(void *instance)
{
	struct secondary *secondary = instance;
	struct follower_table *table = secondary->table;

	secondary_keep_release(secondary);
	__atomic_store_n(&secondary->table, NULL, __ATOMIC_RELEASE);
	for (size_t i = 0; table && i < table->count; i++) {
		follower_stop(table->list[i]);
		follower_free(table->list[i]);
	}
	free(table);
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct secondary *secondary = instance;
	struct follower_table *table = follower_table_new(secondary->count);

	for (size_t i = 0; table && i < secondary->count; i++) {
		struct follower *follower =
			follower_new(&secondary->origins[i], secondary->from[i], NULL, &secondary->events);

		if (!follower)
			break;
		table->list[table->count++] = follower;
	}
	secondary->table = table;
	if (!table || table->count < secondary->count)
		goto fail;
	follower_table_sort(table);
	if (secondary_keep(secondary) == VIGIE_OK)
		return VIGIE_OK;

fail:
	stop(secondary);
	return vigie_error_memory(error);
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct secondary *secondary = instance;
	const struct follower *follower = follower_table_find(
		__atomic_load_n(&secondary->table, __ATOMIC_ACQUIRE), &request->query->name);
	const struct source *source;

	if (!follower)
		return VIGIE_NEXT;
	source = __atomic_load_n(&follower->source, __ATOMIC_ACQUIRE);
	return static_zone_serve(&follower->zone, &source->fall, request);
}

static enum vigie_status zone(void *instance, const struct vigie_name *origin, struct vigie_zone **out)
{
	const struct secondary *secondary = instance;
	const struct follower *follower = follower_table_get(
		__atomic_load_n(&secondary->table, __ATOMIC_ACQUIRE), origin->bytes, origin->length);

	return follower ? static_zone_snapshot(&follower->zone, 1, origin, out) : VIGIE_ENOENT;
}

/* In a worker's thread. */
static bool notify(void *instance, const struct vigie_name *origin, const struct sockaddr *client)
{
	const struct secondary *secondary = instance;
	struct follower *follower = follower_table_get(__atomic_load_n(&secondary->table, __ATOMIC_ACQUIRE),
						       origin->bytes, origin->length);

	return follower && follower_notify(follower, client);
}

const struct vigie_directive vigie_directive_secondary = {
	.name = "secondary",
	.setup = setup,
	.start = start,
	.stop = stop,
	.serve = serve,
	.zone = zone,
	.notify = notify,
};
