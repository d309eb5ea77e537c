/* `transfer [ZONE…] { to ADDRESS|*…; source ADDRESS }`: zone transfers to others (RFC 5936, RFC 1995), and
 * NOTIFY. */
#include "transfer.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "directives.h"
#include "notify.h"
#include "static_zone.h"
#include "transfer_stream.h"
#include "vigie/log.h"
#include "vigie/record.h"
#include "vigie/thread.h"

enum {
	TRANSFERS_MAX = 32 /* of one block at a time: each may hold a zone of its own */
};

/* One statement. */
struct rule {
	struct zones zones;
	union host_port *to;
	size_t to_count;
	bool to_all;
	union host_port *source; /* NULL: whatever the kernel chooses */
};

/* How many transfers are under way. A stream may outlive the configuration that it began under, so it holds
 * this and nothing else of it. */
struct active {
	atomic_uint count;
	atomic_uint holders;
};

struct vigie_transfer {
	struct vigie_block *block;
	struct rule *rules;
	size_t rule_count;
	struct notifier *notifier;
	struct active *active;
};

/* A transfer between its question and its first message. */
struct job {
	uv_work_t work;
	struct vigie_transfer *transfer;
	struct vigie_worker *worker;
	struct vigie_pending *pending; /* NULL: the worker has given the request up */
	struct vigie_name origin;
	enum vigie_status status;
	struct vigie_zone *zone;
};

/* Told of the end of a stream. */
struct client {
	struct active *active;
	char text[HOST_PORT_TEXT_MAX];
};

static enum vigie_status read_to(struct rule *rule, const struct vigie_statement *option,
				 struct vigie_error *error)
{
	enum vigie_status status = vigie_statement_args(option, 1, SIZE_MAX, error);

	for (size_t i = 0; i < option->arg_count && !status; i++) {
		if (strcmp(option->args[i].text, "*") == 0) {
			rule->to_all = true;
			continue;
		}
		status = host_port_from_word(&rule->to[rule->to_count], &option->args[i], error);
		rule->to_count += !status;
	}
	return status;
}

static enum vigie_status read_source(struct vigie_block *block, struct rule *rule,
				     const struct vigie_statement *option, struct vigie_error *error)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, error);

	if (status)
		return status;
	if (rule->source)
		return vigie_word_error(error, &option->name, "'source' stands here already");
	rule->source = vigie_arena_alloc(block->arena, sizeof(*rule->source));
	if (!rule->source)
		return vigie_error_memory(error);
	status = host_port_from_word(rule->source, &option->args[0], error);
	/* An address alone: the kernel chooses the port. */
	if (!status && (strchr(option->args[0].text, ']') ||
			(rule->source->any.sa_family == AF_INET && strchr(option->args[0].text, ':'))))
		return vigie_word_error(error, &option->args[0], "'%s': 'source' takes no port",
					option->args[0].text);
	rule->source->v4.sin_port = 0; /* at the same place for both families */
	return status;
}

static enum vigie_status read_rule(struct vigie_block *block, struct rule *rule,
				   const struct vigie_statement *statement, struct vigie_error *error)
{
	enum vigie_status status = static_zone_origins(&rule->zones, block, statement, 0, error);
	size_t addresses = 0;

	for (size_t i = 0; i < statement->body_count; i++)
		addresses += statement->body[i].arg_count;
	rule->to = vigie_arena_alloc(block->arena, (addresses + 1) * sizeof(*rule->to));
	if (!status && !rule->to)
		return vigie_error_memory(error);
	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];

		status = vigie_statement_plain(option, error);
		if (status)
			return status;
		if (strcmp(option->name.text, "to") == 0)
			status = read_to(rule, option, error);
		else if (strcmp(option->name.text, "source") == 0)
			status = read_source(block, rule, option, error);
		else
			status = vigie_option_unknown(statement, option, error);
	}
	if (!status && rule->to_count == 0 && !rule->to_all)
		status =
			vigie_word_error(error, &statement->name,
					 "'transfer' needs 'to': the addresses that may have the zone, or *");
	return status;
}

static void active_release(struct active *active)
{
	if (atomic_fetch_sub(&active->holders, 1) == 1)
		free(active);
}

/* Counts one more in; false when they are too many. */
static bool active_enter(struct active *active)
{
	if (atomic_fetch_add(&active->count, 1) < TRANSFERS_MAX)
		return true;
	atomic_fetch_sub(&active->count, 1);
	return false;
}

static void active_leave(struct active *active)
{
	atomic_fetch_sub(&active->count, 1);
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct vigie_transfer *transfer = vigie_arena_alloc(block->arena, sizeof(*transfer));

	if (transfer)
		transfer->rules = vigie_arena_alloc(block->arena, count * sizeof(*transfer->rules));
	if (!transfer || !transfer->rules)
		return vigie_error_memory(error);
	transfer->block = block;
	for (; transfer->rule_count < count; transfer->rule_count++) {
		enum vigie_status status = read_rule(block, &transfer->rules[transfer->rule_count],
						     statements[transfer->rule_count], error);

		if (status)
			return status;
	}
	transfer->active = calloc(1, sizeof(*transfer->active));
	if (!transfer->active)
		return vigie_error_memory(error);
	transfer->active->holders = 1;
	block->transfer = transfer;
	*instance = transfer;
	return VIGIE_OK;
}

static void free_active(void *instance)
{
	struct vigie_transfer *transfer = instance;

	active_release(transfer->active);
}

/* The rule with the longest zone that the name is in. */
static const struct rule *find_rule(const struct vigie_transfer *transfer, const struct vigie_name *name)
{
	const struct rule *best = NULL;
	int labels = -1;

	for (size_t r = 0; r < transfer->rule_count; r++) {
		const struct rule *rule = &transfer->rules[r];
		const struct vigie_name *zone = zones_match(&rule->zones, name);

		if (zone && zone->labels > labels) {
			best = rule;
			labels = zone->labels;
		}
	}
	return best;
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct vigie_transfer *transfer = instance;

	transfer->notifier = notifier_new(block->process->loop);
	if (transfer->notifier)
		return VIGIE_OK;
	return vigie_error_memory(error);
}

static void stop(void *instance)
{
	struct vigie_transfer *transfer = instance;

	notifier_close(transfer->notifier);
	transfer->notifier = NULL;
}

void transfer_notify(struct vigie_transfer *transfer, const struct vigie_name *origin)
{
	const struct rule *rule = transfer ? find_rule(transfer, origin) : NULL;

	if (!rule || !transfer->notifier)
		return;
	for (size_t i = 0; i < rule->to_count; i++)
		notifier_send(transfer->notifier, origin, &rule->to[i], rule->source);
}

static bool is_allowed(const struct rule *rule, const struct sockaddr *client)
{
	for (size_t i = 0; i < rule->to_count; i++) {
		if (host_port_is_host(&rule->to[i], client))
			return true;
	}
	return rule->to_all;
}

static enum vigie_verdict refuse(struct vigie_request *request, const char *why)
{
	return vigie_request_refuse(request, VIGIE_EDE_PROHIBITED, why);
}

/* The serial that the client of an IXFR has: of the one SOA in the authority section (RFC 1995 section 3). */
static bool read_serial(const struct vigie_query *query, uint32_t *serial)
{
	uint8_t scratch[VIGIE_RDATA_SCRATCH];
	struct vigie_record_walk walk;
	struct vigie_record record;
	struct vigie_soa soa;
	const uint8_t *rdata;
	bool found = false;

	vigie_record_walk_message(&walk, query->packet, query->packet_length);
	while (vigie_record_next(&walk, &record)) {
		size_t length;

		if (record.section != VIGIE_AUTHORITY)
			continue;
		length = vigie_record_rdata(&walk, &record, scratch, &rdata);
		if (found || record.type != VIGIE_TYPE_SOA || length > UINT16_MAX ||
		    vigie_soa_from_rdata(&soa, rdata, length) != VIGIE_OK)
			return false;
		*serial = soa.serial;
		found = true;
	}
	return found;
}

static void on_stream_end(void *argument, const struct vigie_zone *zone, uint64_t records, bool complete)
{
	struct client *client = argument;
	char text[VIGIE_NAME_TEXT_MAX];
	struct vigie_soa soa;

	vigie_zone_soa(zone, &soa);
	vigie_log(complete ? VIGIE_LOG_INFO : VIGIE_LOG_WARNING, "transfer",
		  "Outgoing transfer of %" PRIu64 " records of zone %s to %s for %" PRIu32 " SOA serial%s",
		  records, vigie_name_to_text(vigie_zone_origin(zone)->bytes, text), client->text, soa.serial,
		  complete ? "" : " broke off");
	active_leave(client->active);
	active_release(client->active);
	free(client);
}

/* RFC 1982: whether serial `a` is `b` or behind it. */
static bool serial_is_current(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) >= 0;
}

/* The zone is there: the first message. */
static enum vigie_verdict resumed(struct vigie_request *request, void *argument)
{
	struct job *job = argument;
	struct vigie_transfer *transfer = job->transfer;
	struct client *client;
	struct vigie_soa soa;
	uint32_t serial;

	if (job->status == VIGIE_ENOENT)
		goto next;
	if (job->status) {
		vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, "the zone to transfer is not there");
		vigie_answer_explain(request->answer, VIGIE_EDE_NOT_READY, "the zone is not there yet");
		goto answered;
	}
	vigie_zone_soa(job->zone, &soa);
	if (request->query->type == VIGIE_TYPE_IXFR && read_serial(request->query, &serial) &&
	    serial_is_current(serial, soa.serial)) {
		transfer_write_soa(job->zone, request->answer);
		goto answered;
	}
	client = malloc(sizeof(*client));
	if (client) {
		client->active = transfer->active;
		host_text(request->client, client->text);
		request->stream = transfer_stream_new(job->zone, on_stream_end, client);
	}
	if (!request->stream) {
		free(client);
		vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, "out of memory");
		goto answered;
	}
	job->zone = NULL; /* the stream's, and with it the count of what is active */
	atomic_fetch_add(&transfer->active->holders, 1);
	request->stream->next(request->stream, request->answer);
	return VIGIE_ANSWERED;

next:
	active_leave(transfer->active);
	return VIGIE_NEXT;
answered:
	active_leave(transfer->active);
	return VIGIE_ANSWERED;
}

/* In a thread of libuv's pool. */
static void find_zone(uv_work_t *work)
{
	struct job *job = work->data;

	vigie_thread_set(NULL, VIGIE_THREAD_BACKGROUND);
	rcu_register_thread();
	job->status = job->transfer->block->zone(job->transfer->block, &job->origin, &job->zone);
	rcu_unregister_thread();
}

static void on_found(uv_work_t *work, int cancelled)
{
	struct job *job = work->data;

	if (job->pending)
		vigie_request_resume(job->worker, job->pending, resumed, job);
	vigie_zone_unref(job->zone);
	free(job);
}

static void on_abandoned(void *argument)
{
	struct job *job = argument;

	job->pending = NULL;
	active_leave(job->transfer->active);
}

/* Compiling a cluster zone takes a while: another thread does it. */
static enum vigie_verdict begin(struct vigie_transfer *transfer, struct vigie_request *request)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		goto fail;
	job->transfer = transfer;
	job->worker = request->worker;
	job->origin = request->query->name;
	job->work.data = job;
	job->pending = vigie_request_suspend(request);
	if (!job->pending)
		goto fail;
	vigie_request_on_abandon(request->worker, job->pending, on_abandoned, job);
	if (uv_queue_work(request->worker->loop, &job->work, find_zone, on_found) == 0)
		return VIGIE_SUSPENDED;
	vigie_request_cancel(request, job->pending);
fail:
	free(job);
	active_leave(transfer->active);
	return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, "out of memory, or too many queries");
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	struct vigie_transfer *transfer = instance;
	const struct vigie_query *query = request->query;
	const struct rule *rule;
	uint32_t serial;

	if ((query->type != VIGIE_TYPE_AXFR && query->type != VIGIE_TYPE_IXFR) ||
	    query->class != VIGIE_CLASS_IN)
		return VIGIE_NEXT;
	rule = find_rule(transfer, &query->name);
	if (!rule)
		return VIGIE_NEXT;
	if (request->channel != VIGIE_CHANNEL_TCP || request->depth > 0)
		return refuse(request, "zones are transferred by TCP");
	if (!is_allowed(rule, request->client))
		return refuse(request, "this client may not have the zone");
	if (query->type == VIGIE_TYPE_IXFR && !read_serial(query, &serial))
		return vigie_request_fail(request, VIGIE_RCODE_FORMERR, "IXFR without one SOA record");
	if (!active_enter(transfer->active))
		return refuse(request, "too many transfers are under way");
	return begin(transfer, request);
}

const struct vigie_directive vigie_directive_transfer = {
	.name = "transfer",
	.setup = setup,
	.start = start,
	.stop = stop,
	.free = free_active,
	.serve = serve,
};
