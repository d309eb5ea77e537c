/* A saved dump of a cluster, read into the table. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "decode.h"
#include "json_cut.h"
#include "vigie/kube.h"
#include "vigie/log.h"

enum { READ_STEP = 65536 };

struct snapshot {
	const struct vigie_watch_options *options;
	struct vigie_cluster *cluster;
	struct vigie_arena *arena;
	struct vigie_selector *selector;
	struct vigie_selector *namespace_selector;
	size_t documents;
	size_t refused;
	char first_refusal[256];
};

static bool is_selected(const struct snapshot *snapshot, enum vigie_kind kind,
			const struct decoded_object *object)
{
	const struct vigie_selector *selector =
		kind == VIGIE_KIND_NAMESPACE ? snapshot->namespace_selector : snapshot->selector;

	return !selector || vigie_selector_matches(selector, object->labels.keys, object->labels.values,
						   object->labels.count);
}

static void refuse(struct snapshot *snapshot, const struct decoded_object *object, const char *reason)
{
	if (snapshot->refused++ == 0)
		snprintf(snapshot->first_refusal, sizeof(snapshot->first_refusal), "%.64s/%.64s: %.120s",
			 object->namespace ? object->namespace : "", object->name ? object->name : "?",
			 reason);
}

/* An item that cannot be taken is left out and counted: one broken object must not hide a cluster. */
static enum vigie_status on_item(void *argument, const char *text, size_t length)
{
	struct snapshot *snapshot = argument;
	struct decoded_object object;
	struct vigie_error error;
	json_error_t json_error;
	json_t *json = json_loadb(text, length, 0, &json_error);
	enum vigie_kind kind;

	if (!json)
		return VIGIE_EINVAL;
	kind = decode_kind(json);
	vigie_arena_reset(snapshot->arena);
	if (kind != VIGIE_KINDS && snapshot->options->kinds[kind]) {
		enum vigie_status status = decode_object(&object, kind, json, snapshot->arena, &error);

		if (status)
			refuse(snapshot, &object, error.text);
		else if (is_selected(snapshot, kind, &object)) {
			status = decode_put(snapshot->cluster, kind, &object);
			if (status)
				refuse(snapshot, &object, vigie_status_text(status));
		}
	}
	json_decref(json);
	return VIGIE_OK;
}

static enum vigie_status on_envelope(void *argument, const char *text, size_t length)
{
	struct snapshot *snapshot = argument;
	json_t *json = json_loadb(text, length, 0, NULL);
	bool is_list = json_is_array(json_object_get(json, "items"));

	json_decref(json);
	snapshot->documents++;
	return is_list ? VIGIE_OK : VIGIE_EINVAL;
}

static enum vigie_status read_all(int file, const char *path, struct json_cut *cut, struct vigie_error *error)
{
	static char bytes[READ_STEP];
	unsigned long long offset = 0;

	for (;;) {
		ssize_t got = read(file, bytes, sizeof(bytes));
		enum vigie_status status;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return vigie_error_set(error, VIGIE_EIO, "snapshot '%s': %s", path, strerror(errno));
		if (got == 0)
			return VIGIE_OK;
		status = json_cut_feed(cut, bytes, (size_t)got);
		rcu_quiescent_state(); /* others wait for this thread, which has read nothing */
		if (status)
			return vigie_error_set(
				error, status,
				"snapshot '%s': no List in JSON, in the 64 KiB from byte %llu: %s", path,
				offset, vigie_status_text(status));
		offset += (unsigned long long)got;
	}
}

static enum vigie_status prepare(struct snapshot *snapshot, struct vigie_error *error)
{
	const struct vigie_watch_options *options = snapshot->options;

	snapshot->arena = vigie_arena_new();
	if (!snapshot->arena)
		return vigie_error_memory(error);
	if (options->selector) {
		snapshot->selector = vigie_selector_new(options->selector, error);
		if (!snapshot->selector)
			return VIGIE_EINVAL;
	}
	if (options->namespace_selector) {
		snapshot->namespace_selector = vigie_selector_new(options->namespace_selector, error);
		if (!snapshot->namespace_selector)
			return VIGIE_EINVAL;
	}
	return VIGIE_OK;
}

enum vigie_status vigie_snapshot_load(const char *path, const struct vigie_watch_options *options,
				      struct vigie_cluster *cluster, struct vigie_error *error)
{
	struct snapshot snapshot = {.options = options, .cluster = cluster};
	enum vigie_status status = prepare(&snapshot, error);
	struct json_cut cut;
	int file = -1;

	json_cut_init(&cut, JSON_CUT_LIST, on_item, on_envelope, &snapshot);
	if (status)
		goto done;
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0) {
		status = vigie_error_set(error, VIGIE_EIO, "snapshot '%s': %s", path, strerror(errno));
		goto done;
	}
	for (int kind = 0; kind < VIGIE_KINDS; kind++)
		vigie_cluster_mark(cluster, (enum vigie_kind)kind);
	status = read_all(file, path, &cut, error);
	if (!status && !json_cut_is_between(&cut))
		status = vigie_error_set(error, VIGIE_EINVAL, "snapshot '%s' is cut short", path);
	if (!status && snapshot.documents == 0)
		status = vigie_error_set(error, VIGIE_EINVAL, "snapshot '%s' is empty", path);
	for (int kind = 0; kind < VIGIE_KINDS && !status; kind++) {
		if (options->kinds[kind])
			vigie_cluster_sweep(cluster, (enum vigie_kind)kind);
	}
	vigie_cluster_publish(cluster);
	vigie_cluster_rest(cluster);
	if (snapshot.refused > 0)
		vigie_log(VIGIE_LOG_WARNING, "kubernetes",
			  "snapshot '%s': %zu objects left out, the first: %s", path, snapshot.refused,
			  snapshot.first_refusal);

done:
	if (file >= 0)
		close(file);
	json_cut_fini(&cut);
	vigie_selector_free(snapshot.selector);
	vigie_selector_free(snapshot.namespace_selector);
	vigie_arena_free(snapshot.arena);
	return status;
}
