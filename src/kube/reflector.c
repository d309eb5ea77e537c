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
static enum vigie_status on_frame(void *argument, const uint8_t *frame, size_t length);
static enum vigie_status on_item(void *argument, const char *json, size_t length);
static enum vigie_status on_page(void *argument, const char *json, size_t length);

enum vigie_status reflector_init(struct reflector *reflector, enum vigie_kind kind,
				 struct vigie_cluster *cluster, const char *selector)
{
	*reflector = (struct reflector){.kind = kind, .cluster = cluster, .selector = selector};
	json_cut_init(&reflector->cut, JSON_CUT_STREAM, on_event, NULL, reflector);
	proto_cut_init(&reflector->frames, on_frame, reflector);
	reflector->arena = vigie_arena_new();
	return reflector->arena ? VIGIE_OK : VIGIE_ENOMEM;
}

void reflector_fini(struct reflector *reflector)
{
	json_cut_fini(&reflector->cut);
	proto_cut_fini(&reflector->frames);
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

/* Lists are asked for in JSON: their items can be cut out of the stream one by one. */
const char *reflector_accept(const struct reflector *reflector)
{
	return reflector->request == REFLECTOR_LIST
		       ? "Accept: application/json"
		       : "Accept: application/vnd.kubernetes.protobuf;stream=watch, application/json";
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
	proto_cut_fini(&reflector->frames);
	proto_cut_init(&reflector->frames, on_frame, reflector);
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
	reflector->backoff_ms = 0;
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

/* Puts or deletes one object. Always goes on: one bad object must not stop the others. `status` and `error`
 * say how its decoding went. */
static void take_object(struct reflector *reflector, const struct decoded_object *object, bool deleted,
			enum vigie_status status, const struct vigie_error *error)
{
	reflector->events++;
	if (status) {
		bad_object(reflector, object, error->text);
		return;
	}
	if (deleted) {
		vigie_cluster_delete(reflector->cluster, reflector->kind, object->namespace, object->name);
		return;
	}
	status = decode_put(reflector->cluster, reflector->kind, object);
	if (status)
		bad_object(reflector, object, vigie_status_text(status));
}

/* An ERROR event ends the stream; its Status says what to do. */
static enum vigie_status take_error(struct reflector *reflector, const struct decoded_event *event)
{
	reflector->error_code = event->code;
	reflector->error_retry_s = event->retry_after_s;
	snprintf(reflector->error_text, sizeof(reflector->error_text), "%s", event->message);
	return VIGIE_ENOENT;
}

static enum vigie_status take_event(struct reflector *reflector, const struct decoded_event *event)
{
	reflector->fed = true;
	if (event->type == EVENT_ERROR)
		return take_error(reflector, event);
	if (event->type == EVENT_PUT || event->type == EVENT_DELETED)
		take_object(reflector, &event->object, event->type == EVENT_DELETED, event->status,
			    &event->error);
	if (reflector->initial && event->type == EVENT_BOOKMARK && event->initial_end) {
		reflector->initial = false;
		complete(reflector, event->version);
	}
	/* The versions of initial events are in no order: only their end gives one to resume from. */
	if (!reflector->initial && event->version)
		snprintf(reflector->version, sizeof(reflector->version), "%s", event->version);
	if (!reflector->initial)
		recover(reflector);
	return VIGIE_OK;
}

static enum vigie_status on_event(void *argument, const char *text, size_t length)
{
	struct reflector *reflector = argument;
	struct decoded_event event;
	enum vigie_status status;

	vigie_arena_reset(reflector->arena);
	status = decode_event_json(&event, reflector->kind, text, length, reflector->arena);
	if (!status)
		status = take_event(reflector, &event);
	decode_event_fini(&event);
	return status;
}

static enum vigie_status on_frame(void *argument, const uint8_t *frame, size_t length)
{
	struct reflector *reflector = argument;
	struct decoded_event event;
	enum vigie_status status;

	vigie_arena_reset(reflector->arena);
	status = decode_event_proto(&event, reflector->kind, frame, length, reflector->arena);
	if (!status)
		status = take_event(reflector, &event);
	decode_event_fini(&event);
	return status;
}

static const char *version_of(const json_t *object)
{
	return json_string_value(json_object_get(json_object_get(object, "metadata"), "resourceVersion"));
}

static enum vigie_status on_item(void *argument, const char *text, size_t length)
{
	struct reflector *reflector = argument;
	json_t *json = json_loadb(text, length, 0, NULL);
	struct decoded_object object;
	struct vigie_error error;
	enum vigie_status status;

	if (!json)
		return VIGIE_EINVAL;
	vigie_arena_reset(reflector->arena);
	status = decode_object(&object, reflector->kind, json, reflector->arena, &error);
	take_object(reflector, &object, false, status, &error);
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

bool reflector_data(struct reflector *reflector, bool proto, const char *bytes, size_t length)
{
	reflector->seen_ms = reflector->last_seen_ms = vigie_clock_ms();
	reflector->proto = proto;
	if (proto)
		return reflector->request != REFLECTOR_LIST &&
		       proto_cut_feed(&reflector->frames, (const uint8_t *)bytes, length) == VIGIE_OK;
	return json_cut_feed(&reflector->cut, bytes, length) == VIGIE_OK;
}

/* The message of a Status in an error's body, or its first words. */
static void read_message(struct reflector *reflector, const struct client_result *result, char *text,
			 size_t size)
{
	json_t *json = json_loadb(result->body, result->body_length, 0, NULL);
	const char *message = json_string_value(json_object_get(json, "message"));

	vigie_arena_reset(reflector->arena);
	if (!message)
		message = decode_message_proto((const uint8_t *)result->body, result->body_length,
					       reflector->arena);
	snprintf(text, size, "%s", message ? message : result->body);
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
	uint64_t wait;

	if (reflector->failures == 0 && reflector->backoff_ms == 0)
		reflector->backoff_ms = REFLECTOR_BACKOFF_MS;
	wait = reflector->backoff_ms;
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
	bool whole = result->complete && json_cut_is_between(&reflector->cut) &&
		     proto_cut_is_between(&reflector->frames);
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
		if (!reflector->unreachable)
			reflector->failures = 0;
		reflector->unreachable = true;
		reflector->backoff_ms = REFLECTOR_BACKOFF_MS;
		report(reflector, 0, result->trouble ? result->trouble : "no response");
		return back_off(reflector, REFLECTOR_REFUSED_MAX_MS, 0);
	}
	reflector->last_seen_ms = vigie_clock_ms();
	if (reflector->unreachable) {
		reflector->unreachable = false;
		reflector->failures = 0;
		reflector->backoff_ms = REFLECTOR_RETURN_MS;
	}
	if (result->status != 200) {
		read_message(reflector, result, text, sizeof(text));
		return end_refused(reflector, (int)result->status, text, (uint64_t)result->retry_after_s,
				   refresh_token);
	}
	if (reflector->error_code)
		return end_refused(reflector, reflector->error_code, reflector->error_text,
				   reflector->error_retry_s, refresh_token);
	return end_stream(reflector, result);
}
