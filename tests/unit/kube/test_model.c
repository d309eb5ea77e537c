/* Random lives of a cluster, told to the watcher's state machine by an API server that fails now and then,
 * against a naive model. After each delivery a few answers are what the model says; at the end of a life
 * every answer is what a fresh table says. A life that fails is cut down to the operations that it takes,
 * which are printed.
 *
 *     MODEL_SEED=N   one life, of this seed;   MODEL_LIVES=N   how many */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "decode.h"
#include "proto_event.h"
#include "reflector.h"
#include "vigie/clock.h"
#include "vigie/hash.h"
#include "vigie/log.h"
#include "vigie/records.h"

enum {
	LIVES = 250,
	OPERATIONS = 600, /* of one life: 150,000 events and faults in all */
	SPACES = 2,
	SERVICES = 4, /* of a namespace, as the next */
	SLICES = 6,
	ADDRESSES = 12, /* that endpoints have */
	ENDPOINTS = 5,  /* of a slice, at most */
	KINDS = 3,      /* services, slices, namespaces */
	PAGE = 3,       /* items of a list's page */
	ITEMS = SPACES * (SERVICES + SLICES),
	TEXT_MAX = 4096,
	HUGE_SIZE = 2000000,
	NO_ANSWER = -1, /* a refusal that is no status */
	LOG_MAX = 4 * OPERATIONS
};

enum operation_kind {
	PUT_SERVICE,
	DELETE_SERVICE,
	PUT_SLICE,
	DELETE_SLICE,
	MOVE_ENDPOINT, /* from one slice to another; the events of the two come in either order */
	FLIP_SPACE,
	DELIVER,      /* everything, of one kind */
	DELIVER_PART, /* some bytes */
	END,          /* the stream ends as it should */
	BREAK,        /* or in the midst of an object */
	ERROR_EVENT,
	REFUSE, /* the next request gets a status */
	RUBBISH,
	UNKNOWN,           /* an event of a type that nobody knows */
	AGAIN,             /* the last event comes once more */
	HUGE,              /* and with 2 MB of annotations */
	OTHER_CERTIFICATE, /* the server comes back with one, which is not accepted at first */
	COMPACT,           /* old versions are gone, and lists that are not at their end */
	RESTORE,           /* an older state, an older version */
	TOGGLE_WATCH_LIST,
	OPERATION_KINDS
};

/* Most operations are changes and deliveries. */
static const uint8_t weights[OPERATION_KINDS] = {
	[PUT_SERVICE] = 12, [DELETE_SERVICE] = 6, [PUT_SLICE] = 30,   [DELETE_SLICE] = 10,
	[FLIP_SPACE] = 1,   [DELIVER] = 20,       [DELIVER_PART] = 8, [END] = 2,
	[BREAK] = 3,        [ERROR_EVENT] = 2,    [REFUSE] = 2,       [RUBBISH] = 1,
	[AGAIN] = 2,        [COMPACT] = 2,        [RESTORE] = 1,      [TOGGLE_WATCH_LIST] = 1,
	[UNKNOWN] = 1,      [MOVE_ENDPOINT] = 8,  [HUGE] = 1,         [OTHER_CERTIFICATE] = 1,
};

struct operation {
	enum operation_kind kind;
	uint32_t random;
};

struct service {
	bool exists;
	uint8_t kind; /* 0: v4, 1: v4 and v6, 2: headless, 3: not allocated, 4: external */
	uint8_t number;
	long version;
};

struct slice {
	bool exists;
	bool six;
	uint8_t owner;
	uint8_t count;
	uint8_t port;
	uint8_t address[ENDPOINTS];
	uint8_t hostname[ENDPOINTS]; /* 0: none */
	bool ready[ENDPOINTS];
	long version;
};

struct event {
	enum vigie_kind kind;
	long version;
	char *text;
};

struct stream {
	struct reflector reflector;
	bool open;
	bool list;
	bool proto;
	long version;  /* sent so far */
	char *pending; /* bytes that were sent and have not arrived */
	size_t pending_length;
	size_t pending_at;
	char last[TEXT_MAX]; /* event */
	char *items[ITEMS];  /* of the list that is being given out */
	size_t item_count;   /* 0: a continue token has expired */
	size_t item_at;
	int refusal;
};

struct world {
	struct service services[SPACES][SERVICES];
	struct slice slices[SPACES][SLICES];
	bool spaces[SPACES];
	long version;
	long oldest;
	bool watch_list;
	struct event log[LOG_MAX];
	size_t log_count;
	struct stream streams[KINDS];
	struct vigie_records *records;
	struct vigie_cluster *cluster;
	const char *trouble;
	char trouble_name[128];
};

static struct vigie_name zones[3];

/* Numbers out of one number: an operation does the same whatever stands before it. */
static uint32_t draw(uint32_t *state, uint32_t bound)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state % bound;
}

/* The objects as JSON. */

static void service_text(const struct service *service, int space, int index, char *text)
{
	static const char *const specs[] = {
		"\"type\":\"ClusterIP\",\"clusterIP\":\"10.96.0.%d\",\"clusterIPs\":[\"10.96.0.%d\"]",
		"\"clusterIP\":\"10.96.0.%d\",\"clusterIPs\":[\"10.96.0.%d\",\"fd00::1\"]",
		"\"clusterIP\":\"None\",\"sessionAffinity\":\"%d%d\"",
		"\"clusterIP\":\"\",\"sessionAffinity\":\"%d%d\"",
		"\"type\":\"ExternalName\",\"externalName\":\"x%d%d.example.com\"",
	};
	char spec[256];

	snprintf(spec, sizeof(spec), specs[service->kind], service->number, service->number);
	snprintf(text, TEXT_MAX,
		 "{\"kind\":\"Service\",\"metadata\":{\"name\":\"s%d\",\"namespace\":\"n%d\",\"uid\":\"u\","
		 "\"resourceVersion\":\"%ld\",\"future\":[1,null,{}]},\"spec\":{%s,\"ports\":[{\"name\":"
		 "\"http\","
		 "\"port\":%d,\"future\":{\"a\":[true]}}]}}",
		 index, space, service->version, spec, 80 + service->number % 3);
}

static void slice_text(const struct slice *slice, int space, int index, char *text)
{
	size_t at = (size_t)snprintf(
		text, TEXT_MAX,
		"{\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"e%d\",\"namespace\":\"n%d\",\"uid\":"
		"\"u\","
		"\"labels\":{\"kubernetes.io/service-name\":\"s%d\"},\"resourceVersion\":\"%ld\"},"
		"\"addressType\":\"IPv%d\",\"ports\":[{\"name\":\"http\",\"port\":%d}],\"endpoints\":[",
		index, space, slice->owner, slice->version, slice->six ? 6 : 4, 8080 + slice->port);

	for (int i = 0; i < slice->count; i++) {
		char hostname[32] = "";

		if (slice->hostname[i])
			snprintf(hostname, sizeof(hostname), "\"hostname\":\"h%d\",", slice->hostname[i]);
		at += (size_t)snprintf(text + at, TEXT_MAX - at,
				       "%s{\"addresses\":[\"%s%d\"],%s\"conditions\":{\"ready\":%s}}",
				       i ? "," : "", slice->six ? "fd00:1::" : "10.1.0.", slice->address[i],
				       hostname, slice->ready[i] ? "true" : "false");
	}
	snprintf(text + at, TEXT_MAX - at, "]}");
}

static void space_text(int space, long version, char *text)
{
	snprintf(text, TEXT_MAX,
		 "{\"kind\":\"Namespace\",\"metadata\":{\"name\":\"n%d\",\"resourceVersion\":\"%ld\"}}",
		 space, version);
}

/* The server. */

static void record(struct world *world, enum vigie_kind kind, const char *type, const char *object)
{
	char text[TEXT_MAX + 64];

	snprintf(text, sizeof(text), "{\"type\":\"%s\",\"object\":%s}\n", type, object);
	assert_true(world->log_count < LOG_MAX);
	world->log[world->log_count++] =
		(struct event){.kind = kind, .version = world->version, .text = strdup(text)};
}

static void forget_log(struct world *world)
{
	while (world->log_count > 0)
		free(world->log[--world->log_count].text);
	world->oldest = world->version;
}

static void put_service(struct world *world, uint32_t random)
{
	int space = (int)draw(&random, SPACES);
	int index = (int)draw(&random, SERVICES);
	struct service *service = &world->services[space][index];
	const char *type = service->exists ? "MODIFIED" : "ADDED";
	char text[TEXT_MAX];

	service->exists = true;
	service->kind = (uint8_t)draw(&random, 5);
	/* No two services have one address. */
	service->number = (uint8_t)(1 + 3 * (space * SERVICES + index) + (int)draw(&random, 3));
	service->version = ++world->version;
	service_text(service, space, index, text);
	record(world, VIGIE_KIND_SERVICE, type, text);
}

static void delete_service(struct world *world, uint32_t random, bool silent)
{
	int space = (int)draw(&random, SPACES);
	int index = (int)draw(&random, SERVICES);
	struct service *service = &world->services[space][index];
	char text[TEXT_MAX];

	if (!service->exists)
		return;
	service->exists = false;
	if (silent)
		return;
	service->version = ++world->version;
	service_text(service, space, index, text);
	record(world, VIGIE_KIND_SERVICE, "DELETED", text);
}

static void record_slice(struct world *world, int space, int index, const char *type)
{
	struct slice *slice = &world->slices[space][index];
	char text[TEXT_MAX];

	slice->version = ++world->version;
	slice_text(slice, space, index, text);
	record(world, VIGIE_KIND_SLICE, type, text);
}

static void put_slice(struct world *world, uint32_t random)
{
	int space = (int)draw(&random, SPACES);
	int index = (int)draw(&random, SLICES);
	struct slice *slice = &world->slices[space][index];
	const char *type = slice->exists ? "MODIFIED" : "ADDED";

	slice->exists = true;
	slice->six = draw(&random, 4) == 0;
	slice->owner = (uint8_t)draw(&random, SERVICES);
	slice->port = (uint8_t)draw(&random, 2);
	slice->count = (uint8_t)draw(&random, ENDPOINTS + 1);
	for (int i = 0; i < slice->count; i++) {
		slice->address[i] = (uint8_t)(1 + draw(&random, ADDRESSES));
		slice->hostname[i] = (uint8_t)draw(&random, 4);
		slice->ready[i] = draw(&random, 5) > 0;
	}
	record_slice(world, space, index, type);
}

/* As the controller splits and merges: the other slice is of the same service, or new. */
static void move_endpoint(struct world *world, uint32_t random)
{
	int space = (int)draw(&random, SPACES);
	int from_index = (int)draw(&random, SLICES);
	int to_index = (int)draw(&random, SLICES);
	struct slice *from = &world->slices[space][from_index];
	struct slice *to = &world->slices[space][to_index];
	const char *to_type = to->exists ? "MODIFIED" : "ADDED";

	if (from == to || !from->exists || from->count == 0)
		return;
	if (!to->exists)
		*to = (struct slice){
			.exists = true, .six = from->six, .owner = from->owner, .port = from->port};
	if (to->owner != from->owner || to->six != from->six || to->count == ENDPOINTS)
		return;
	from->count--;
	to->address[to->count] = from->address[from->count];
	to->hostname[to->count] = from->hostname[from->count];
	to->ready[to->count] = from->ready[from->count];
	to->count++;
	if (draw(&random, 2)) {
		record_slice(world, space, from_index, "MODIFIED");
		record_slice(world, space, to_index, to_type);
	} else {
		record_slice(world, space, to_index, to_type);
		record_slice(world, space, from_index, "MODIFIED");
	}
}

static void delete_slice(struct world *world, uint32_t random, bool silent)
{
	int space = (int)draw(&random, SPACES);
	int index = (int)draw(&random, SLICES);
	struct slice *slice = &world->slices[space][index];

	if (!slice->exists)
		return;
	slice->exists = false;
	if (!silent)
		record_slice(world, space, index, "DELETED");
}

static void flip_space(struct world *world, uint32_t random)
{
	int space = (int)draw(&random, SPACES);
	char text[TEXT_MAX];

	world->spaces[space] = !world->spaces[space];
	space_text(space, ++world->version, text);
	record(world, VIGIE_KIND_NAMESPACE, world->spaces[space] ? "ADDED" : "DELETED", text);
}

/* etcd is restored: the version goes back, and writes after it get versions that were in use before. */
static void restore(struct world *world, uint32_t random)
{
	delete_service(world, random, true);
	delete_slice(world, random, true);
	world->version = world->version > 20 ? world->version - 20 : 1;
	forget_log(world);
	for (int space = 0; space < SPACES; space++) {
		for (int i = 0; i < SERVICES; i++)
			if (world->services[space][i].version > world->version)
				world->services[space][i].version = world->version;
		for (int i = 0; i < SLICES; i++)
			if (world->slices[space][i].version > world->version)
				world->slices[space][i].version = world->version;
	}
	put_slice(world, random);
}

static void emit_bytes(struct stream *stream, const void *bytes, size_t length)
{
	stream->pending = realloc(stream->pending, stream->pending_length + length + 1);
	assert_non_null(stream->pending);
	memcpy(stream->pending + stream->pending_length, bytes, length);
	stream->pending_length += length;
}

static void emit(struct stream *stream, const char *text)
{
	emit_bytes(stream, text, strlen(text));
}

/* An event, in the stream's encoding. */
static void emit_event(struct stream *stream, const char *text)
{
	static uint8_t frame[2 * HUGE_SIZE];
	size_t length = stream->proto ? proto_from_event(text, stream->reflector.kind, frame) : 0;

	if (length > 0)
		emit_bytes(stream, frame, length);
	else
		emit(stream, text);
}

/* The last event once more, with annotations that make it as large as no object may be. */
static void emit_huge(struct stream *stream)
{
	static const char metadata[] = "\"metadata\":{";
	static const char before[] = "\"annotations\":{\"padding\":\"";
	static char text[TEXT_MAX + 2 * HUGE_SIZE];
	const char *rest = strstr(stream->last, metadata);
	int head;

	assert_non_null(rest);
	rest += strlen(metadata);
	head = snprintf(text, sizeof(text), "%.*s%s", (int)(rest - stream->last), stream->last, before);
	memset(text + head, 'x', HUGE_SIZE);
	snprintf(text + head + HUGE_SIZE, sizeof(text) - (size_t)head - HUGE_SIZE, "\"},%s", rest);
	emit_event(stream, text);
}

/* All objects of a kind: kept as the items of a list, or sent as events. */
static void emit_all(struct world *world, struct stream *stream)
{
	char event[TEXT_MAX + 64];
	char text[TEXT_MAX];

	for (int space = 0; space < SPACES; space++) {
		for (int i = 0; i < SERVICES + SLICES; i++) {
			switch (stream->reflector.kind) {
			case VIGIE_KIND_SERVICE:
				if (i >= SERVICES || !world->services[space][i].exists)
					continue;
				service_text(&world->services[space][i], space, i, text);
				break;
			case VIGIE_KIND_SLICE:
				if (i >= SLICES || !world->slices[space][i].exists)
					continue;
				slice_text(&world->slices[space][i], space, i, text);
				break;
			default:
				if (i > 0 || !world->spaces[space])
					continue;
				space_text(space, 1, text);
			}
			if (stream->list) {
				stream->items[stream->item_count++] = strdup(text);
			} else {
				snprintf(event, sizeof(event), "{\"type\":\"ADDED\",\"object\":%s}", text);
				emit_event(stream, event);
			}
		}
	}
}

static void forget_items(struct stream *stream)
{
	while (stream->item_count > 0)
		free(stream->items[--stream->item_count]);
	stream->item_at = 0;
}

/* The next page of a list, which is as it was when the list began. */
static void emit_page(struct stream *stream)
{
	char text[128];

	emit(stream, "{\"kind\":\"List\",\"items\":[");
	for (int i = 0; i < PAGE && stream->item_at < stream->item_count; i++) {
		emit(stream, i > 0 ? "," : "");
		emit(stream, stream->items[stream->item_at++]);
	}
	snprintf(text, sizeof(text), "],\"metadata\":{\"resourceVersion\":\"%ld\"%s}}", stream->version,
		 stream->item_at < stream->item_count ? ",\"continue\":\"more\"" : "");
	emit(stream, text);
}

static void end(struct stream *stream, long status, bool complete, const char *trouble)
{
	struct client_result result = {.status = status,
				       .complete = complete,
				       .trouble = trouble,
				       .body = "{\"message\":\"no\"}",
				       .body_length = 16};
	bool refresh;

	reflector_end(&stream->reflector, &result, &refresh);
	stream->open = false;
	stream->pending_length = stream->pending_at = 0;
}

/* Makes the next request, and the server's part of the answer. */
static void request(struct world *world, struct stream *stream)
{
	char path[2048];
	char text[256];
	const char *version;

	reflector_begin(&stream->reflector, path, sizeof(path));
	stream->open = true;
	stream->last[0] = 0;
	if (stream->refusal) {
		bool none = stream->refusal == NO_ANSWER;

		end(stream, none ? 0 : stream->refusal, !none, none ? "the certificate is not valid" : NULL);
		stream->refusal = 0;
		return;
	}
	stream->list = strstr(path, "limit=") != NULL;
	/* Servers of both kinds answer, one after the other. */
	stream->proto = !stream->list && world->version % 2;
	if (strstr(path, "continue=")) {
		if (stream->item_count == 0)
			end(stream, 410, true, NULL);
		else
			emit_page(stream);
		return;
	}
	stream->version = world->version;
	if (stream->list) {
		forget_items(stream);
		emit_all(world, stream);
		emit_page(stream);
		return;
	}
	if (strstr(path, "sendInitialEvents")) {
		if (!world->watch_list) {
			end(stream, 422, true, NULL);
			return;
		}
		emit_all(world, stream);
		snprintf(text, sizeof(text),
			 "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"%ld\","
			 "\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n",
			 world->version);
		emit_event(stream, text);
		return;
	}
	version = strstr(path, "resourceVersion=");
	assert_non_null(version);
	stream->version = strtol(version + strlen("resourceVersion="), NULL, 10);
	if (stream->version < world->oldest)
		end(stream, 410, true, NULL);
	else if (stream->version > world->version)
		end(stream, 504, true, NULL);
}

/* Writes the events that there are into an open watch. */
static void follow(struct world *world, struct stream *stream)
{
	for (size_t i = 0; !stream->list && i < world->log_count; i++) {
		const struct event *event = &world->log[i];

		if (event->kind != stream->reflector.kind || event->version <= stream->version)
			continue;
		emit_event(stream, event->text);
		stream->version = event->version;
		snprintf(stream->last, sizeof(stream->last), "%.4000s", event->text);
	}
}

/* Lets up to `most` bytes arrive, in pieces. */
static void arrive(struct world *world, struct stream *stream, size_t most, uint32_t random)
{
	while (stream->open && most > 0 && stream->pending_at < stream->pending_length) {
		size_t left = stream->pending_length - stream->pending_at;
		size_t piece = 1 + draw(&random, (uint32_t)(400 + left / 32));
		char *copy;

		piece = piece < left ? piece : left;
		piece = piece < most ? piece : most;
		most -= piece;
		copy = malloc(piece); /* ASan sees a read behind it */
		assert_non_null(copy);
		memcpy(copy, stream->pending + stream->pending_at, piece);
		stream->pending_at += piece;
		if (!reflector_data(&stream->reflector, stream->proto, copy, piece))
			end(stream, 200, false, NULL);
		free(copy);
		vigie_cluster_publish(world->cluster);
	}
	if (stream->open && stream->list && stream->pending_at == stream->pending_length)
		end(stream, 200, true, NULL);
}

/* Until the watcher knows all that the server knows of a kind. */
static void deliver(struct world *world, struct stream *stream, uint32_t random)
{
	for (int i = 0; i < 20; i++) {
		if (!stream->open)
			request(world, stream);
		if (!stream->open)
			continue;
		follow(world, stream);
		arrive(world, stream, SIZE_MAX, random);
		if (stream->open && !stream->list)
			return;
	}
	world->trouble = "never watches";
}

/* The rest of a list is not to be had any more; what was sent of it still arrives. */
static void expire_items(struct world *world)
{
	for (int kind = 0; kind < KINDS; kind++)
		forget_items(&world->streams[kind]);
}

/* Whether the watcher has come further than the server now is. What was sent and did not arrive does not
 * count. */
static bool is_restored(const struct world *world, const struct stream *stream)
{
	return strtol(stream->reflector.version, NULL, 10) > world->version;
}

static void do_operation(struct world *world, const struct operation *operation)
{
	static const int codes[] = {410, 429, 500, 401, 403, 504, 404, 302};
	uint32_t random = operation->random | 1;
	struct stream *stream = &world->streams[draw(&random, KINDS)];

	switch (operation->kind) {
	case PUT_SERVICE:
		put_service(world, random);
		break;
	case DELETE_SERVICE:
		delete_service(world, random, false);
		break;
	case PUT_SLICE:
		put_slice(world, random);
		break;
	case DELETE_SLICE:
		delete_slice(world, random, false);
		break;
	case MOVE_ENDPOINT:
		move_endpoint(world, random);
		break;
	case FLIP_SPACE:
		flip_space(world, random);
		break;
	case DELIVER:
		deliver(world, stream, random);
		break;
	case DELIVER_PART:
		if (!stream->open)
			request(world, stream);
		if (stream->open)
			follow(world, stream);
		arrive(world, stream, draw(&random, 3000), random);
		break;
	case END:
		if (stream->open)
			arrive(world, stream, SIZE_MAX, random);
		if (stream->open)
			end(stream, 200, true, NULL);
		break;
	case BREAK:
		if (stream->open)
			arrive(world, stream, draw(&random, 1000), random);
		if (stream->open)
			end(stream, 200, draw(&random, 2), "connection reset");
		break;
	case ERROR_EVENT:
		if (stream->open && !stream->list) {
			char text[128];

			snprintf(text, sizeof(text), "{\"type\":\"ERROR\",\"object\":{\"code\":%d}}",
				 codes[draw(&random, 3)]);
			emit_event(stream, text);
			arrive(world, stream, SIZE_MAX, random);
		}
		break;
	case REFUSE:
		stream->refusal = codes[draw(&random, sizeof(codes) / sizeof(*codes))];
		break;
	case RUBBISH:
		if (stream->open)
			emit(stream, draw(&random, 2) ? "}{" : "{\"type\":5}");
		break;
	case UNKNOWN:
		if (stream->open && !stream->list && !stream->proto &&
		    stream->pending_at == stream->pending_length)
			emit(stream, "{\"type\":\"FUTURE\",\"object\":{\"kind\":\"Thing\",\"metadata\":{"
				     "\"name\":1}}}");
		break;
	case AGAIN:
		if (stream->open && !stream->list && stream->last[0] &&
		    stream->pending_at == stream->pending_length)
			emit_event(stream, stream->last);
		break;
	case HUGE: /* one in eight, for they cost as much as all the rest */
		if (draw(&random, 8) == 0 && stream->open && !stream->list && stream->last[0] &&
		    stream->pending_at == stream->pending_length)
			emit_huge(stream);
		break;
	case OTHER_CERTIFICATE:
		for (int kind = 0; kind < KINDS; kind++) {
			if (world->streams[kind].open)
				end(&world->streams[kind], 200, false, "connection reset");
			world->streams[kind].refusal = NO_ANSWER;
		}
		break;
	case COMPACT: /* what is watched already is sent all the same */
		for (int kind = 0; kind < KINDS; kind++)
			if (world->streams[kind].open)
				follow(world, &world->streams[kind]);
		expire_items(world);
		forget_log(world);
		break;
	case RESTORE:
		expire_items(world);
		restore(world, random);
		/* The server was stopped for it. */
		for (int kind = 0; kind < KINDS; kind++)
			if (world->streams[kind].open)
				end(&world->streams[kind], 200, false, "reset");
		/* Where it has come further than the watcher again nothing tells of the restoration. */
		for (int kind = 0; kind < KINDS; kind++) {
			if (!is_restored(world, &world->streams[kind]))
				world->streams[kind].reflector.version[0] = 0;
			world->streams[kind].last[0] = 0;
			deliver(world, &world->streams[kind], random);
		}
		break;
	case TOGGLE_WATCH_LIST:
		world->watch_list = !world->watch_list;
		break;
	case OPERATION_KINDS:
		break;
	}
}

/* Answers. */

static size_t ask(const struct vigie_records *records, const char *name, uint16_t type, uint8_t *buffer)
{
	const struct vigie_view view = {
		.records = records, .zones = zones, .zone_count = 3, .ttl = 5, .endpoints = true};
	struct vigie_name wire;
	struct vigie_name target;
	struct vigie_query query;
	struct vigie_answer answer;
	uint8_t packet[512];
	size_t length;

	assert_int_equal(vigie_name_from_text(&wire, name), VIGIE_OK);
	length = vigie_query_write(packet, sizeof(packet), 1, 0, wire.bytes, type, VIGIE_CLASS_IN, false,
				   false);
	vigie_query_parse(&query, packet, length);
	vigie_answer_begin(&answer, &query, buffer, VIGIE_MESSAGE_MAX);
	vigie_records_answer(&view, &query, 0, &answer, &target);
	return vigie_answer_end(&answer);
}

static unsigned count_of(const uint8_t *answer)
{
	return (unsigned)answer[6] << 8 | answer[7];
}

/* PTR records, and SRV records of one name with several ports, come in no order: their sum does not depend on
 * it. */
static uint64_t fingerprint(const uint8_t *answer, size_t length, size_t name_length)
{
	uint64_t sum = (uint64_t)(answer[3] & 15) << 32 | count_of(answer);
	size_t at = 12 + name_length + 4;

	for (unsigned i = count_of(answer); i > 0 && at + 12 <= length; i--) {
		size_t size = (size_t)answer[at + 10] << 8 | answer[at + 11];
		uint64_t hash = 14695981039346656037u;

		for (size_t j = 0; j < size; j++)
			hash = (hash ^ answer[at + 12 + j]) * 1099511628211u;
		sum += hash;
		at += 12 + size;
	}
	return sum;
}

/* The addresses that the naive model gives a service, as bits. */
static uint64_t naive_addresses(const struct world *world, int space, int index, bool six)
{
	const struct service *service = &world->services[space][index];
	uint64_t set = 0;

	if (!world->spaces[space] || !service->exists || service->kind >= 3)
		return 0;
	if (service->kind < 2)
		return six ? (service->kind == 1 ? UINT64_C(1) << 63 : 0)
			   : UINT64_C(1) << (32 + service->number);
	for (int i = 0; i < SLICES; i++) {
		const struct slice *slice = &world->slices[space][i];

		for (int j = 0;
		     slice->exists && slice->owner == index && slice->six == six && j < slice->count; j++)
			if (slice->ready[j])
				set |= UINT64_C(1) << slice->address[j];
	}
	return set;
}

static void check_naively(struct world *world, int space, int index, bool six)
{
	static uint8_t answer[VIGIE_MESSAGE_MAX];
	char name[64];
	size_t length;
	uint64_t set = 0;
	size_t size = six ? 16 : 4;
	size_t at;

	snprintf(name, sizeof(name), "s%d.n%d.svc.cluster.local", index, space);
	length = ask(world->records, name, six ? VIGIE_TYPE_AAAA : VIGIE_TYPE_A, answer);
	if (world->services[space][index].exists && world->services[space][index].kind == 4)
		return; /* a CNAME */
	at = 12 + strlen(name) + 2 + 4;
	for (unsigned i = count_of(answer); i > 0 && at + 12 + size <= length; i--, at += 12 + size) {
		const uint8_t *address = answer + at + 12;
		uint8_t low = address[size - 1];

		if (six ? address[3] == 0 : address[1] == 96)
			set |= UINT64_C(1) << (six ? 63 : 32 + low);
		else /* fd00:1::12 is 12 in hexadecimal */
			set |= UINT64_C(1) << (six && low >= 16 ? low - 6 : low);
	}
	if (set == naive_addresses(world, space, index, six))
		return;
	world->trouble = "other addresses than the model's";
	snprintf(world->trouble_name, sizeof(world->trouble_name), "%s", name);
}

static bool same(struct world *world, const struct vigie_records *fresh, const char *name, uint16_t type)
{
	static uint8_t a[VIGIE_MESSAGE_MAX];
	static uint8_t b[VIGIE_MESSAGE_MAX];
	size_t a_length = ask(world->records, name, type, a);
	size_t b_length = ask(fresh, name, type, b);
	bool equal = a_length == b_length && (type == VIGIE_TYPE_PTR || type == VIGIE_TYPE_SRV
						      ? fingerprint(a, a_length, strlen(name) + 2) ==
								fingerprint(b, b_length, strlen(name) + 2)
						      : memcmp(a, b, a_length) == 0);

	if (equal)
		return true;
	world->trouble = "another answer than a fresh table's";
	snprintf(world->trouble_name, sizeof(world->trouble_name), "%s %d", name, type);
	return false;
}

static void check_whole(struct world *world, const struct vigie_records *fresh)
{
	static const uint16_t types[] = {VIGIE_TYPE_A, VIGIE_TYPE_AAAA, VIGIE_TYPE_SRV, VIGIE_TYPE_CNAME};
	static const char *const below[] = {"",          "h1.",       "h2.",       "h3.", "_http._tcp.",
					    "10-1-0-1.", "10-1-0-7.", "fd00-1--5."};
	char name[96];

	for (int space = 0; space < SPACES; space++) {
		for (int service = 0; service < SERVICES; service++) {
			for (size_t i = 0; i < sizeof(below) / sizeof(*below); i++) {
				snprintf(name, sizeof(name), "%ss%d.n%d.svc.cluster.local", below[i], service,
					 space);
				for (size_t j = 0; j < 4; j++)
					if (!same(world, fresh, name, types[j]))
						return;
			}
		}
	}
	for (int address = 1; address <= ADDRESSES; address++) {
		snprintf(name, sizeof(name), "%d.0.1.10.in-addr.arpa", address);
		if (!same(world, fresh, name, VIGIE_TYPE_PTR))
			return;
		snprintf(name, sizeof(name), "%d.0.96.10.in-addr.arpa", address);
		if (!same(world, fresh, name, VIGIE_TYPE_PTR))
			return;
		snprintf(name, sizeof(name),
			 "%d.%d.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa",
			 address % 10, address / 10);
		if (!same(world, fresh, name, VIGIE_TYPE_PTR))
			return;
	}
}

/* A life from its birth on. False: `trouble` says what is wrong. */

static void watch_all(struct world *world)
{
	for (int kind = 0; kind < KINDS; kind++)
		assert_int_equal(reflector_init(&world->streams[kind].reflector, (enum vigie_kind)kind,
						world->cluster, NULL),
				 VIGIE_OK);
}

static void open_table(struct vigie_records **records, struct vigie_cluster **cluster)
{
	const struct vigie_cluster_options options = {.kinds = {true, true, true, false}};

	*records = vigie_records_new();
	assert_non_null(*records);
	*cluster = vigie_cluster_new(*records, &options);
	assert_non_null(*cluster);
}

static void deliver_all(struct world *world)
{
	for (int kind = 0; kind < KINDS; kind++) {
		world->streams[kind].refusal = 0;
		deliver(world, &world->streams[kind], 1);
	}
}

static void close_all(struct world *world)
{
	for (int kind = 0; kind < KINDS; kind++) {
		reflector_fini(&world->streams[kind].reflector);
		free(world->streams[kind].pending);
		forget_items(&world->streams[kind]);
		world->streams[kind] = (struct stream){0};
	}
	vigie_cluster_free(world->cluster);
	vigie_records_free(world->records);
	rcu_quiescent_state();
}

/* The same world listed once into an empty table. */
static void compare_with_fresh(struct world *world)
{
	static struct world twin;

	twin = (struct world){.version = world->version, .oldest = world->version, .watch_list = true};
	memcpy(twin.services, world->services, sizeof(twin.services));
	memcpy(twin.slices, world->slices, sizeof(twin.slices));
	memcpy(twin.spaces, world->spaces, sizeof(twin.spaces));
	open_table(&twin.records, &twin.cluster);
	watch_all(&twin);
	deliver_all(&twin);
	if (!vigie_records_synced(twin.records) || !vigie_records_synced(world->records))
		world->trouble = "not synced";
	check_whole(world, twin.records);
	close_all(&twin);
}

static const char *live(const struct operation *operations, size_t count)
{
	static struct world world;
	static char trouble[256];

	world = (struct world){.version = 100, .oldest = 100, .watch_list = true, .spaces = {true, true}};
	open_table(&world.records, &world.cluster);
	watch_all(&world);
	for (size_t i = 0; i < count && !world.trouble; i++) {
		uint32_t random = operations[i].random | 1;

		do_operation(&world, &operations[i]);
		if (i % 16 != 15 || world.trouble)
			continue;
		deliver_all(&world);
		for (int j = 0; j < 4 && !world.trouble; j++)
			check_naively(&world, (int)draw(&random, SPACES), (int)draw(&random, SERVICES),
				      draw(&random, 2));
	}
	if (!world.trouble)
		deliver_all(&world);
	for (int i = 0; i < SPACES * SERVICES * 2 && !world.trouble; i++)
		check_naively(&world, i / 2 / SERVICES, i / 2 % SERVICES, i % 2);
	if (!world.trouble)
		compare_with_fresh(&world);
	close_all(&world);
	forget_log(&world);
	if (!world.trouble)
		return NULL;
	snprintf(trouble, sizeof(trouble), "%s: %s", world.trouble, world.trouble_name);
	return trouble;
}

/* Leaves operations out, fewer and fewer at a time, as long as the life still fails. Returns how many stay.
 */
static size_t shrink(struct operation *operations, size_t count)
{
	static struct operation shorter[OPERATIONS];

	for (size_t chunk = count / 2; chunk > 0;) {
		bool any = false;

		for (size_t from = 0; from + chunk <= count;) {
			memcpy(shorter, operations, from * sizeof(*shorter));
			memcpy(shorter + from, operations + from + chunk,
			       (count - from - chunk) * sizeof(*shorter));
			if (!live(shorter, count - chunk)) {
				from += chunk;
				continue;
			}
			count -= chunk;
			memcpy(operations, shorter, count * sizeof(*shorter));
			any = true;
		}
		if (!any)
			chunk /= 2;
	}
	return count;
}

static void draw_life(struct operation *operations, uint32_t seed)
{
	uint32_t state = seed * 2654435761u | 1;
	uint32_t sum = 0;

	for (int i = 0; i < OPERATION_KINDS; i++)
		sum += weights[i];
	for (int i = 0; i < 8; i++)
		draw(&state, 2);
	for (size_t i = 0; i < OPERATIONS; i++) {
		uint32_t at = draw(&state, sum);
		int kind = 0;

		while (at >= weights[kind])
			at -= weights[kind++];
		operations[i] = (struct operation){(enum operation_kind)kind, draw(&state, UINT32_MAX)};
	}
}

static uint32_t number_from(const char *variable, uint32_t otherwise)
{
	const char *text = getenv(variable);

	return text ? (uint32_t)strtoul(text, NULL, 10) : otherwise;
}

static void test_lives(void **state)
{
	static struct operation operations[OPERATIONS];
	uint32_t only = number_from("MODEL_SEED", 0);
	uint32_t lives = number_from("MODEL_LIVES", LIVES);

	for (uint32_t seed = only ? only : 1; seed <= (only ? only : lives); seed++) {
		size_t count;

		draw_life(operations, seed);
		if (!live(operations, OPERATIONS))
			continue;
		count = shrink(operations, OPERATIONS);
		print_error("MODEL_SEED=%u fails with these %zu operations: %s\n", seed, count,
			    live(operations, count));
		for (size_t i = 0; i < count; i++)
			print_error("    {%d, %u},\n", (int)operations[i].kind, operations[i].random);
		fail();
	}
}

static int64_t fixed_time(void)
{
	return 1700000000;
}

static int set_up(void **state)
{
	vigie_clock_set(NULL, fixed_time);
	vigie_hash_init();
	vigie_log_set_level(VIGIE_LOG_FATAL);
	rcu_register_thread();
	assert_int_equal(vigie_name_from_text(&zones[0], "cluster.local"), VIGIE_OK);
	assert_int_equal(vigie_name_from_text(&zones[1], "in-addr.arpa"), VIGIE_OK);
	assert_int_equal(vigie_name_from_text(&zones[2], "ip6.arpa"), VIGIE_OK);
	return 0;
}

static int tear_down(void **state)
{
	rcu_unregister_thread();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lives),
	};

	return cmocka_run_group_tests_name("model", tests, set_up, tear_down);
}
