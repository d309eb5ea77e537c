#include "reflector.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "vigie/clock.h"
#include "vigie/log.h"
#include "vigie/random.h"

static const char *const paths[VIGIE_KINDS] = {
	[VIGIE_KIND_SERVICE] = "/api/v1/services",
	[VIGIE_KIND_SLICE] = "/apis/discovery.k8s.io/v1/endpointslices",
	[VIGIE_KIND_NAMESPACE] = "/api/v1/namespaces",
	[VIGIE_KIND_POD] = "/api/v1/pods",
};

/* Pods that have ended keep their addresses, but others may have them by now. */
static const char pods_fields[] =
	"status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed%2Cstatus.phase%21%3DUnknown";

static enum vigie_status on_event(void *argument, const char *json, size_t length);
static enum vigie_status on_item(void *argument, const char *json, size_t length);
static enum vigie_status on_page(void *argument, const char *json, size_t length);

enum vigie_status reflector_init(struct reflector *reflector, enum vigie_kind kind,
				 struct vigie_cluster *cluster, const char *selector)
{
	*reflector = (struct reflector){.kind = kind, .cluster = cluster, .selector = selector};
	json_cut_init(&reflector->cut, JSON_CUT_STREAM, on_event, NULL, reflector);
	reflector->arena = vigie_arena_new();
	return reflector->arena ? VIGIE_OK : VIGIE_ENOMEM;
}

void reflector_fini(struct reflector *reflector)
{
	json_cut_fini(&reflector->cut);
	vigie_arena_free(reflector->arena);
}

bool reflector_wants_list(const struct reflector *reflector)
{
	return reflector->version[0] == 0 || reflector->next_page[0] != 0;
}

bool reflector_is_listing(const struct reflector *reflector)
{
	return reflector->request == REFLECTOR_LIST ||
	       (reflector->request == REFLECTOR_WATCH_LIST && reflector->initial);
}

/* "list" or "watch", for the log. */
static const char *verb(const struct reflector *reflector)
{
	return reflector->request == REFLECTOR_LIST ? "list" : "watch";
}

static void choose_request(struct reflector *reflector)
{
	if (!reflector_wants_list(reflector))
		reflector->request = REFLECTOR_WATCH;
	else if (reflector->no_watch_list)
		reflector->request = REFLECTOR_LIST;
	else
		reflector->request = REFLECTOR_WATCH_LIST;
}

void reflector_begin(struct reflector *reflector, char *path, size_t size)
{
	unsigned timeout = REFLECTOR_WATCH_LEAST_S + vigie_random_below(REFLECTOR_WATCH_SPREAD_S);
	const char *any = reflector->quorum ? "" : "&resourceVersion=0";
	size_t at;

	choose_request(reflector);
	at = (size_t)snprintf(path, size, "%s?", paths[reflector->kind]);
	switch (reflector->request) {
	case REFLECTOR_LIST:
		if (reflector->next_page[0])
			at += (size_t)snprintf(path + at, size - at, "limit=%d&continue=%s", REFLECTOR_PAGE,
					       reflector->next_page);
		else
			at += (size_t)snprintf(path + at, size - at, "limit=%d%s", REFLECTOR_PAGE, any);
		break;
	case REFLECTOR_WATCH_LIST:
		at += (size_t)snprintf(path + at, size - at,
				       "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&"
				       "allowWatchBookmarks=true&timeoutSeconds=%u%s",
				       timeout, any);
		break;
	case REFLECTOR_WATCH:
		at += (size_t)snprintf(
			path + at, size - at,
			"watch=1&allowWatchBookmarks=true&timeoutSeconds=%u&resourceVersion=%s", timeout,
			reflector->version);
		break;
	}
	if (reflector->selector)
		at += (size_t)snprintf(path + at, size - at, "&labelSelector=%s", reflector->selector);
	if (reflector->kind == VIGIE_KIND_POD)
		snprintf(path + at, size - at, "&fieldSelector=%s", pods_fields);

	json_cut_fini(&reflector->cut);
	if (reflector->request == REFLECTOR_LIST)
		json_cut_init(&reflector->cut, JSON_CUT_LIST, on_item, on_page, reflector);
	else
		json_cut_init(&reflector->cut, JSON_CUT_STREAM, on_event, NULL, reflector);
	reflector->initial = reflector->request == REFLECTOR_WATCH_LIST;
	if (reflector->initial || (reflector->request == REFLECTOR_LIST && !reflector->next_page[0]))
		vigie_cluster_mark(reflector->cluster, reflector->kind);
	reflector->lists += reflector->request != REFLECTOR_WATCH;
	reflector->watches += reflector->request != REFLECTOR_LIST;
	reflector->fed = false;
	reflector->error_code = 0;
	reflector->error_retry_s = 0;
	reflector->began_ms = reflector->seen_ms = vigie_clock_ms();
}

uint64_t reflector_silence_ms(const struct reflector *reflector, uint64_t now_ms)
{
	return now_ms > reflector->seen_ms ? now_ms - reflector->seen_ms : 0;
}

/* All is well: says so if it was not. */
static void recover(struct reflector *reflector)
{
	reflector->failures = 0;
	reflector->bad_token = false;
	if (reflector->trouble[0] == 0)
		return;
	reflector->trouble[0] = 0;
	vigie_log(VIGIE_LOG_INFO, "kubernetes", "%s: watching again", vigie_kind_text(reflector->kind));
}

static void complete(struct reflector *reflector, const char *version)
{
	snprintf(reflector->version, sizeof(reflector->version), "%s", version ? version : "");
	reflector->next_page[0] = 0;
	reflector->quorum = false;
	vigie_cluster_sweep(reflector->cluster, reflector->kind);
	reflector->synced = true;
	recover(reflector);
}

static void bad_object(struct reflector *reflector, const struct decoded_object *object, const char *reason)
{
	if (reflector->bad_objects++ > 0)
		return; /* the first is logged, all are counted */
	vigie_log(VIGIE_LOG_WARNING, "kubernetes", "%s %s/%s is left out: %s",
		  vigie_kind_text(reflector->kind), object->namespace ? object->namespace : "",
		  object->name ? object->name : "?", reason);
}

static const char *version_of(const json_t *object)
{
	return json_string_value(json_object_get(json_object_get(object, "metadata"), "resourceVersion"));
}

/* Decodes and puts, or deletes, one object. Always goes on: one bad object must not stop the others. */
static void take_object(struct reflector *reflector, const json_t *json, bool deleted)
{
	struct decoded_object object;
	struct vigie_error error;
	enum vigie_status status;

	vigie_arena_reset(reflector->arena);
	reflector->events++;
	status = decode_object(&object, reflector->kind, json, reflector->arena, &error);
	if (status) {
		bad_object(reflector, &object, error.text);
		return;
	}
	if (deleted) {
		vigie_cluster_delete(reflector->cluster, reflector->kind, object.namespace, object.name);
		return;
	}
	status = decode_put(reflector->cluster, reflector->kind, &object);
	if (status)
		bad_object(reflector, &object, vigie_status_text(status));
}

static void take_bookmark(struct reflector *reflector, const json_t *object)
{
	const json_t *annotations = json_object_get(json_object_get(object, "metadata"), "annotations");
	const char *end = json_string_value(json_object_get(annotations, "k8s.io/initial-events-end"));

	if (!reflector->initial || !end || strcmp(end, "true") != 0)
		return;
	reflector->initial = false;
	complete(reflector, version_of(object));
}

/* An ERROR event ends the stream; its Status says what to do. */
static enum vigie_status take_error(struct reflector *reflector, const json_t *status)
{
	const json_t *retry = json_object_get(json_object_get(status, "details"), "retryAfterSeconds");
	const char *message = json_string_value(json_object_get(status, "message"));
	json_int_t code = json_integer_value(json_object_get(status, "code"));

	reflector->error_code = code > 0 && code < 1000 ? (int)code : 500;
	reflector->error_retry_s = json_integer_value(retry) > 0 ? (uint64_t)json_integer_value(retry) : 0;
	snprintf(reflector->error_text, sizeof(reflector->error_text), "%s", message ? message : "");
	return VIGIE_ENOENT;
}

static enum vigie_status on_event(void *argument, const char *text, size_t length)
{
	struct reflector *reflector = argument;
	enum vigie_status status = VIGIE_OK;
	json_t *event = json_loadb(text, length, 0, NULL);
	const json_t *object = json_object_get(event, "object");
	const char *type = json_string_value(json_object_get(event, "type"));

	if (!event || !type || !json_is_object(object)) {
		json_decref(event);
		return VIGIE_EINVAL;
	}
	reflector->fed = true;
	if (strcmp(type, "ERROR") == 0) {
		status = take_error(reflector, object);
	} else {
		if (strcmp(type, "BOOKMARK") == 0)
			take_bookmark(reflector, object);
		else if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0)
			take_object(reflector, object, false);
		else if (strcmp(type, "DELETED") == 0)
			take_object(reflector, object, true);
		/* The versions of initial events are in no order: only their end gives one to resume from. */
		if (!reflector->initial && version_of(object))
			snprintf(reflector->version, sizeof(reflector->version), "%s", version_of(object));
		if (!reflector->initial)
			recover(reflector);
	}
	json_decref(event);
	return status;
}

static enum vigie_status on_item(void *argument, const char *text, size_t length)
{
	json_t *json = json_loadb(text, length, 0, NULL);

	if (!json)
		return VIGIE_EINVAL;
	take_object(argument, json, false);
	json_decref(json);
	return VIGIE_OK;
}

/* The page is whole. */
static enum vigie_status on_page(void *argument, const char *text, size_t length)
{
	struct reflector *reflector = argument;
	json_t *list = json_loadb(text, length, 0, NULL);
	const char *next = json_string_value(json_object_get(json_object_get(list, "metadata"), "continue"));

	if (!list)
		return VIGIE_EINVAL;
	reflector->fed = true;
	if (next && *next)
		snprintf(reflector->next_page, sizeof(reflector->next_page), "%s",
			 next); /* base64url: no escaping */
	else
		complete(reflector, version_of(list));
	json_decref(list);
	return VIGIE_OK;
}

bool reflector_data(struct reflector *reflector, const char *bytes, size_t length)
{
	reflector->seen_ms = reflector->last_seen_ms = vigie_clock_ms();
	return json_cut_feed(&reflector->cut, bytes, length) == VIGIE_OK;
}

/* The message of a Status in an error's body, or its first words. */
static void read_message(const char *body, char *text, size_t size)
{
	json_t *json = json_loads(body, 0, NULL);
	const char *message = json_string_value(json_object_get(json, "message"));

	snprintf(text, size, "%s", message ? message : body);
	json_decref(json);
}

/* What a person can do about an HTTP status. */
static const char *remedy(const struct reflector *reflector, int status)
{
	switch (status) {
	case 401:
		return "; the token or client certificate is not accepted: check the ServiceAccount's token";
	case 403:
		return reflector->kind == VIGIE_KIND_SLICE ? "; grant list and watch on endpointslices "
							     "(discovery.k8s.io) to the ServiceAccount"
		       : reflector->kind == VIGIE_KIND_SERVICE
			       ? "; grant list and watch on services to the ServiceAccount"
		       : reflector->kind == VIGIE_KIND_NAMESPACE
			       ? "; grant list and watch on namespaces to the ServiceAccount"
			       : "; grant list and watch on pods to the ServiceAccount";
	case 404:
		return "; this server does not serve the resource: check the URL";
	default:
		return "";
	}
}

/* Logs what is wrong, once for as long as it is the same thing. `key` says what counts as the same. */
static void report(struct reflector *reflector, int status, const char *text)
{
	char trouble[sizeof(reflector->trouble)];

	if (status)
		snprintf(trouble, sizeof(trouble), "cannot %s %s: %d %.120s%s", verb(reflector),
			 vigie_kind_text(reflector->kind), status, text, remedy(reflector, status));
	else
		snprintf(trouble, sizeof(trouble), "cannot %s %s: %.160s", verb(reflector),
			 vigie_kind_text(reflector->kind), text);
	if (strcmp(trouble, reflector->trouble) == 0)
		return;
	memcpy(reflector->trouble, trouble, sizeof(trouble));
	vigie_log(VIGIE_LOG_ERROR, "kubernetes", "%s", trouble);
}

/* How long to wait after another failure: doubled each time, by chance up to twice that, and no less than the
 * server asked for. */
static uint64_t back_off(struct reflector *reflector, uint64_t most_ms, uint64_t retry_after_s)
{
	uint64_t wait = REFLECTOR_BACKOFF_MS;

	for (unsigned i = 0; i < reflector->failures && wait < most_ms; i++)
		wait *= 2;
	if (wait > most_ms)
		wait = most_ms;
	reflector->failures++;
	wait += vigie_random_below((uint32_t)wait);
	return wait > retry_after_s * 1000 ? wait : retry_after_s * 1000;
}

/* The state cannot be resumed: list again. What is served stays until the new list is complete. */
static void start_over(struct reflector *reflector, bool quorum)
{
	reflector->version[0] = 0;
	reflector->next_page[0] = 0;
	reflector->quorum = reflector->quorum || quorum;
}

void reflector_resync(struct reflector *reflector)
{
	start_over(reflector, true);
}

static uint64_t end_refused(struct reflector *reflector, int status, const char *text, uint64_t retry_after_s,
			    bool *refresh_token)
{
	if (status == 410) {
		start_over(reflector, true);
		return reflector->failures++ == 0
			       ? 0
			       : back_off(reflector, REFLECTOR_BACKOFF_MAX_MS, retry_after_s);
	}
	if ((status == 400 || status == 422) && reflector->request == REFLECTOR_WATCH_LIST) {
		reflector->no_watch_list = true; /* an older server: it is asked for lists from now on */
		return 0;
	}
	if (status == 504)
		start_over(reflector, true); /* "too large resource version": this server lags behind ours */
	report(reflector, status, text);
	if (status == 401) {
		*refresh_token = true;
		if (!reflector->bad_token) {
			reflector->bad_token = true; /* kubelet may just have replaced it */
			return 0;
		}
	}
	return back_off(reflector, REFLECTOR_BACKOFF_MAX_MS, retry_after_s);
}

/* The response came and ended, well or not. */
static uint64_t end_stream(struct reflector *reflector, const struct client_result *result)
{
	bool whole = result->complete && json_cut_is_between(&reflector->cut);
	uint64_t lasted = vigie_clock_ms() - reflector->began_ms;

	if (whole && !reflector_is_listing(reflector) && (reflector->fed || lasted >= REFLECTOR_SHORT_MS))
		return 0; /* the usual end of a watch */
	if (whole && reflector->request == REFLECTOR_LIST && reflector->fed)
		return 0; /* a page */
	if (reflector_is_listing(reflector))
		reflector->next_page[0] = 0; /* an incomplete list is listed again; nothing is swept */
	report(reflector, 0,
	       result->trouble ? result->trouble
	       : whole         ? "the stream ended at once"
			       : "the stream broke off or held something else than objects");
	return back_off(reflector, REFLECTOR_BACKOFF_MAX_MS, 0);
}

uint64_t reflector_end(struct reflector *reflector, const struct client_result *result, bool *refresh_token)
{
	char text[160];

	*refresh_token = false;
	if (result->status == 0) {
		report(reflector, 0, result->trouble ? result->trouble : "no response");
		return back_off(reflector, REFLECTOR_REFUSED_MAX_MS, 0);
	}
	reflector->last_seen_ms = vigie_clock_ms();
	if (result->status != 200) {
		read_message(result->body, text, sizeof(text));
		return end_refused(reflector, (int)result->status, text, (uint64_t)result->retry_after_s,
				   refresh_token);
	}
	if (reflector->error_code)
		return end_refused(reflector, reflector->error_code, reflector->error_text,
				   reflector->error_retry_s, refresh_token);
	return end_stream(reflector, result);
}
