/* Where the upstreams of a `forward` come from: addresses, files like resolv.conf, which are read again when
 * they change, and host names, which are looked up again and again. */
#include "forward_sources.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "directives.h"
#include "forward.h"
#include "vigie/clock.h"
#include "vigie/log.h"

enum {
	FILE_POLL_MS =
		2000, /* kubelet and DHCP clients put another file in its place: inotify would lose it */
	HOST_PATIENCE_MS = 2000 /* what waits for the server to be ready waits this long for addresses */
};

static const char resolv_conf[] = "/etc/resolv.conf";

static enum vigie_status read_file(struct forward_source *source, struct vigie_error *error)
{
	const char *path = source->word->text;

	switch (vigie_targets_from_resolv_conf(source->found, &source->found_count, path)) {
	case VIGIE_OK:
		return VIGIE_OK;
	case VIGIE_ENOENT:
		return vigie_word_error(error, source->word, "file '%s' names no nameserver", path);
	default:
		return vigie_word_error(error, source->word,
					"'%s' is neither an address, nor a host name, nor a file like "
					"resolv.conf that can be read (%s)",
					path, strerror(errno));
	}
}

static enum vigie_status read_source(struct forward_source *source, struct vigie_arena *arena,
				     struct vigie_error *error)
{
	const char *text = source->word->text;

	if (vigie_target_from_text(&source->target, text) == VIGIE_OK) {
		source->kind = FORWARD_ADDRESS;
		return VIGIE_OK;
	}
	source->found = vigie_arena_alloc(arena, VIGIE_UPSTREAMS_MAX * sizeof(*source->found));
	if (!source->found)
		return vigie_error_memory(error);
	source->kind = FORWARD_HOST;
	/* "resolv.conf" may be either. */
	if (vigie_target_from_host(&source->target, source->host, text) == VIGIE_OK &&
	    access(text, F_OK) != 0)
		return VIGIE_OK;
	source->kind = FORWARD_FILE;
	return read_file(source, error);
}

/* Who is asked for the addresses of host names, when no `resolver` says it. */
static enum vigie_status read_resolvers(struct forward_sources *sources, const struct vigie_word *host,
					struct vigie_error *error)
{
	if (sources->resolver_count > 0)
		return VIGIE_OK;
	sources->system_resolvers = true;
	if (vigie_targets_from_resolv_conf(sources->resolvers, &sources->resolver_count, resolv_conf))
		return vigie_word_error(error, host,
					"'%s' is a host name, and %s names nobody to look it up: name one "
					"with 'resolver'",
					host->text, resolv_conf);
	return VIGIE_OK;
}

/* Puts the members together, at most VIGIE_UPSTREAMS_MAX; returns how many there would be. */
static size_t collect(const struct forward_sources *sources, struct vigie_target *targets, size_t *count)
{
	size_t sum = 0;

	*count = 0;
	for (size_t i = 0; i < sources->count; i++) {
		const struct forward_source *source = &sources->list[i];
		bool single = source->kind == FORWARD_ADDRESS;
		size_t here = single ? 1 : source->found_count;

		for (size_t k = 0; k < here && *count < VIGIE_UPSTREAMS_MAX; k++)
			targets[(*count)++] = single ? source->target : source->found[k];
		sum += here;
	}
	return sum;
}

enum vigie_status forward_sources_read(struct forward_sources *sources, const struct vigie_word *to,
				       size_t to_count, struct vigie_arena *arena, struct vigie_error *error)
{
	struct vigie_target targets[VIGIE_UPSTREAMS_MAX];
	enum vigie_status status = VIGIE_OK;
	size_t count;

	sources->list = vigie_arena_alloc(arena, to_count * sizeof(*sources->list));
	if (!sources->list)
		return vigie_error_memory(error);
	for (size_t i = 0; i < to_count && !status; i++) {
		struct forward_source *source = &sources->list[sources->count++];

		source->word = &to[i];
		source->sources = sources;
		status = read_source(source, arena, error);
		if (!status && source->kind == FORWARD_HOST)
			status = read_resolvers(sources, source->word, error);
		if (!status && collect(sources, targets, &count) > VIGIE_UPSTREAMS_MAX)
			status =
				vigie_word_error(error, source->word, "'%s' is one of more than %d upstreams",
						 source->word->text, VIGIE_UPSTREAMS_MAX);
	}
	return status;
}

enum vigie_status forward_sources_set(const struct forward_sources *sources, struct vigie_upstreams *group)
{
	struct vigie_target targets[VIGIE_UPSTREAMS_MAX];
	size_t count;

	if (collect(sources, targets, &count) > VIGIE_UPSTREAMS_MAX)
		vigie_log(VIGIE_LOG_WARNING, "forward", "more than %d upstreams: the others are not asked",
			  VIGIE_UPSTREAMS_MAX);
	return vigie_upstreams_set(group, targets, count);
}

/* A source has others than before. */
static void update(struct forward_source *source)
{
	struct forward_sources *sources = source->sources;

	if (forward_sources_set(sources, sources->group))
		vigie_log(VIGIE_LOG_ERROR, "forward", "%s: its upstreams stay as they were: out of memory",
			  source->word->text);
	else
		vigie_log(VIGIE_LOG_INFO, "forward", "%s stands for %zu upstreams now", source->word->text,
			  source->found_count);
}

static void on_resolved(void *argument, const struct vigie_resolved *addresses, size_t count)
{
	struct forward_source *source = argument;

	source->found_count = count;
	for (size_t i = 0; i < count; i++)
		vigie_target_set_address(&source->found[i], &source->target, addresses[i].bytes,
					 addresses[i].size);
	update(source);
}

/* Reads a file that has changed, or has become unreadable. False: what it said stays; the log says why. */
static bool read_again(const char *path, int status, struct vigie_target *targets, size_t *count)
{
	struct vigie_target found[VIGIE_UPSTREAMS_MAX];
	const char *why = status ? uv_strerror(status) : NULL;
	size_t found_count = 0;

	if (!why) {
		switch (vigie_targets_from_resolv_conf(found, &found_count, path)) {
		case VIGIE_OK:
			break;
		case VIGIE_ENOENT:
			why = "names no nameserver";
			break;
		default:
			why = strerror(errno);
		}
	}
	if (why) {
		vigie_log(VIGIE_LOG_WARNING, "forward", "%s: %s; its upstreams stay as they were", path, why);
		return false;
	}
	memcpy(targets, found, found_count * sizeof(*found));
	*count = found_count;
	return true;
}

static void on_file(uv_fs_poll_t *poll, int status, const uv_stat_t *previous, const uv_stat_t *now)
{
	struct forward_source *source = poll->data;

	if (read_again(source->word->text, status, source->found, &source->found_count))
		update(source);
}

static void on_resolvers(uv_fs_poll_t *poll, int status, const uv_stat_t *previous, const uv_stat_t *now)
{
	struct forward_sources *sources = poll->data;

	if (read_again(resolv_conf, status, sources->resolvers, &sources->resolver_count))
		vigie_upstreams_set(sources->resolver_group, sources->resolvers, sources->resolver_count);
}

/* Calls when the file at `path` becomes another one. NULL when memory is out. */
static uv_fs_poll_t *follow(uv_loop_t *loop, const char *path, uv_fs_poll_cb changed, void *data)
{
	uv_fs_poll_t *poll = calloc(1, sizeof(*poll));

	if (!poll)
		return NULL;
	uv_fs_poll_init(loop, poll);
	poll->data = data;
	/* When this fails for lack of memory nobody hears of changes; closing it is right anyway. */
	uv_fs_poll_start(poll, changed, path, FILE_POLL_MS);
	return poll;
}

static void on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

static void unfollow(uv_fs_poll_t **poll)
{
	if (*poll)
		uv_close((uv_handle_t *)*poll, on_poll_closed);
	*poll = NULL;
}

static enum vigie_status start_resolvers(struct forward_sources *sources, uv_loop_t *loop)
{
	struct vigie_forward_options options;

	vigie_forward_options_init(&options);
	options.losses = 0; /* nobody probes them */
	sources->resolver_group = vigie_upstreams_new(&options);
	if (!sources->resolver_group ||
	    vigie_upstreams_set(sources->resolver_group, sources->resolvers, sources->resolver_count))
		return VIGIE_ENOMEM;
	if (!sources->system_resolvers)
		return VIGIE_OK;
	sources->resolvers_poll = follow(loop, resolv_conf, on_resolvers, sources);
	return sources->resolvers_poll ? VIGIE_OK : VIGIE_ENOMEM;
}

static enum vigie_status start_source(struct forward_source *source, uv_loop_t *loop)
{
	struct forward_sources *sources = source->sources;

	switch (source->kind) {
	case FORWARD_FILE:
		source->poll = follow(loop, source->word->text, on_file, source);
		return source->poll ? VIGIE_OK : VIGIE_ENOMEM;
	case FORWARD_HOST:
		if (!sources->resolver_group && start_resolvers(sources, loop))
			return VIGIE_ENOMEM;
		source->resolver =
			vigie_resolver_new(loop, sources->resolver_group, source->host, on_resolved, source);
		return source->resolver ? VIGIE_OK : VIGIE_ENOMEM;
	default:
		return VIGIE_OK;
	}
}

enum vigie_status forward_sources_start(struct forward_sources *sources, struct vigie_upstreams *group,
					uv_loop_t *loop)
{
	enum vigie_status status = VIGIE_OK;

	sources->group = group;
	sources->start_ms = vigie_clock_ms();
	for (size_t i = 0; i < sources->count && !status; i++)
		status = start_source(&sources->list[i], loop);
	if (status)
		forward_sources_stop(sources);
	return status;
}

void forward_sources_stop(struct forward_sources *sources)
{
	for (size_t i = 0; i < sources->count; i++) {
		struct forward_source *source = &sources->list[i];

		vigie_resolver_close(source->resolver);
		source->resolver = NULL;
		unfollow(&source->poll);
	}
	unfollow(&sources->resolvers_poll);
	vigie_upstreams_free(sources->resolver_group);
	sources->resolver_group = NULL;
}

bool forward_sources_ready(const struct forward_sources *sources)
{
	if (vigie_clock_ms() - sources->start_ms >= HOST_PATIENCE_MS)
		return true;
	for (size_t i = 0; i < sources->count; i++) {
		if (sources->list[i].kind == FORWARD_HOST && sources->list[i].found_count == 0)
			return false;
	}
	return true;
}
