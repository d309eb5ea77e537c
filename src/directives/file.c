/* `file DBFILE [ZONE…] { reload DURATION; reload_by_mtime; fallthrough [ZONE…] }`: zones from master files.
 */
#include <stdlib.h>
#include <string.h>

#include "directives.h"
#include "transfer.h"
#include "vigie/log.h"
#include "zone_reload.h"

enum {
	RELOAD_MS = 60000 /* how often a file is looked at unless `reload` says otherwise */
};

/* One file for one origin. */
struct source {
	const char *path;
	uint64_t reload_ms; /* 0: never again */
	bool by_mtime;
	struct fallthrough fall;
	struct zone_reload *reload;
};

struct file {
	struct vigie_block *block;
	struct static_zone *zones;
	struct source *sources; /* zones[i] comes from sources[i] */
	size_t count;
};

static enum vigie_status read_options(struct vigie_block *block, const struct vigie_statement *statement,
				      struct source *source, struct vigie_error *error)
{
	enum vigie_status status = VIGIE_OK;

	source->reload_ms = RELOAD_MS;
	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];

		status = vigie_statement_plain(option, error);
		if (status)
			return status;
		if (strcmp(option->name.text, "fallthrough") == 0) {
			status = fallthrough_read(&source->fall, block, option, error);
		} else if (strcmp(option->name.text, "reload") == 0) {
			status = vigie_statement_args(option, 1, 1, error);
			if (!status)
				status =
					vigie_duration_from_word(&option->args[0], &source->reload_ms, error);
		} else if (strcmp(option->name.text, "reload_by_mtime") == 0) {
			status = vigie_statement_args(option, 0, 0, error);
			source->by_mtime = true;
		} else if (strcmp(option->name.text, "upstream") == 0) {
			vigie_log(VIGIE_LOG_WARNING, "file", "%s:%u: 'upstream' has no effect any more",
				  option->name.file, option->name.line);
		} else {
			status = vigie_option_unknown(statement, option, error);
		}
	}
	return status;
}

/* Reads the zone for the first time. A file that is not there may come later. */
static enum vigie_status load(const struct vigie_word *word, const struct source *source,
			      struct static_zone *zone, struct vigie_error *error)
{
	struct vigie_error reason;
	enum vigie_status status = vigie_zone_read(&zone->zone, source->path, &zone->origin, NULL, &reason);

	if (!status)
		return VIGIE_OK;
	if (status != VIGIE_EIO || source->reload_ms == 0)
		return vigie_word_error(error, word, "'%s': %s", word->text, reason.text);
	vigie_log(VIGIE_LOG_WARNING, "file", "%s:%u: %s: trying again in %llu s", word->file, word->line,
		  reason.text, (unsigned long long)source->reload_ms / 1000);
	return VIGIE_OK;
}

static bool is_known(const struct file *file, const struct vigie_name *origin)
{
	for (size_t i = 0; i < file->count; i++) {
		if (vigie_name_equal(file->zones[i].origin.bytes, origin->bytes))
			return true;
	}
	return false;
}

static bool make_room(struct file *file, size_t more)
{
	struct static_zone *zones = reallocarray(file->zones, file->count + more, sizeof(*zones));
	struct source *sources;

	if (!zones)
		return false;
	file->zones = zones;
	sources = reallocarray(file->sources, file->count + more, sizeof(*sources));
	if (!sources)
		return false;
	file->sources = sources;
	return true;
}

static enum vigie_status read_statement(struct file *file, const struct vigie_statement *statement,
					struct vigie_error *error)
{
	struct source source = {0};
	struct zones origins;
	enum vigie_status status = vigie_statement_args(statement, 1, SIZE_MAX, error);

	if (!status)
		status = static_zone_origins(&origins, file->block, statement, 1, error);
	if (!status)
		status = read_options(file->block, statement, &source, error);
	if (status)
		return status;
	source.path = vigie_block_path(file->block, statement->args[0].text);
	if (!source.path)
		return vigie_error_memory(error);
	if (!make_room(file, origins.count))
		return vigie_error_memory(error);
	for (size_t i = 0; i < origins.count && !status; i++) {
		char text[VIGIE_NAME_TEXT_MAX];

		if (is_known(file, &origins.names[i]))
			return vigie_word_error(error, &statement->name,
						"'file': this block has a file for zone '%.256s' already",
						vigie_name_to_text(origins.names[i].bytes, text));
		file->zones[file->count] = (struct static_zone){.origin = origins.names[i]};
		file->sources[file->count] = source;
		status = load(&statement->args[0], &source, &file->zones[file->count], error);
		file->count++;
	}
	return status;
}

static void file_free(void *instance)
{
	struct file *file = instance;

	for (size_t i = 0; i < file->count; i++)
		vigie_zone_unref(file->zones[i].zone);
	free(file->zones);
	free(file->sources);
	free(file);
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct file *file = calloc(1, sizeof(*file));
	enum vigie_status status = VIGIE_OK;

	if (!file)
		return vigie_error_memory(error);
	file->block = block;
	for (size_t i = 0; i < count && !status; i++)
		status = read_statement(file, statements[i], error);
	if (status) {
		file_free(file);
		return status;
	}
	*instance = file;
	return VIGIE_OK;
}

static void stop(void *instance)
{
	struct file *file = instance;

	for (size_t i = 0; i < file->count; i++) {
		if (file->sources[i].reload)
			zone_reload_stop(file->sources[i].reload);
		file->sources[i].reload = NULL;
	}
}

static void changed(void *argument, struct static_zone *zone)
{
	const struct vigie_block *block = argument;

	transfer_notify(block->transfer, &zone->origin);
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct file *file = instance;

	for (size_t i = 0; i < file->count; i++) {
		struct source *source = &file->sources[i];
		struct zone_reload_options options = {
			.directive = "file",
			.path = source->path,
			.interval_ms = source->reload_ms,
			.by_mtime = source->by_mtime,
			.changed = changed,
			.argument = block,
		};

		if (file->zones[i].zone)
			changed(block, &file->zones[i]);
		if (source->reload_ms == 0)
			continue;
		source->reload = zone_reload_start(block->process->loop, &file->zones[i], &options);
		if (!source->reload) {
			stop(file);
			return vigie_error_memory(error);
		}
	}
	return VIGIE_OK;
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	struct file *file = instance;
	const struct static_zone *zone = static_zone_find(file->zones, file->count, &request->query->name);

	if (!zone)
		return VIGIE_NEXT;
	return static_zone_serve(zone, &file->sources[zone - file->zones].fall, request);
}

static enum vigie_status zone(void *instance, const struct vigie_name *origin, struct vigie_zone **out)
{
	struct file *file = instance;

	return static_zone_snapshot(file->zones, file->count, origin, out);
}

const struct vigie_directive vigie_directive_file = {
	.name = "file",
	.setup = setup,
	.start = start,
	.stop = stop,
	.free = file_free,
	.serve = serve,
	.zone = zone,
};
