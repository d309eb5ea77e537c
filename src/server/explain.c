#include "explain.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"
#include "state.h"
#include "vigie/buffer.h"
#include "vigie/clock.h"
#include "vigie/record.h"
#include "vigie/text.h"
#include "vigie/trace.h"

enum {
	RECORDS_MAX = 20,      /* of a traced answer that are written out */
	DETAIL_MAX = 16 << 10, /* bytes of what directives say of their state */
	LABEL_TYPE_MAX = 16    /* bytes of "_TYPE", with its length byte */
};

/* The link that a question about the server itself is at; nothing else is on that chain. */
static struct link explain_link = {.next = 1};
const struct block explain_block = {.chain = &explain_link, .chain_count = 1};

/* "vigie." in wire form. */
static const uint8_t suffix[] = "\5vigie";

static bool is_loopback(const struct sockaddr *address)
{
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;

	if (address->sa_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == IN_LOOPBACKNET);
}

/* Whether an `acl` of some block that is served here allows this client by name. */
static bool is_admitted(const struct flight *flight)
{
	const struct generation *generation = flight->origin.listener->generation;

	for (size_t b = 0; generation && b < generation->block_count; b++) {
		const struct block *block = generation->blocks[b];

		for (size_t i = 0; i < block->link_count; i++) {
			const struct vigie_directive *directive = block->links[i].directive;

			if (directive->admits &&
			    directive->admits(block->links[i].instance, &flight->request))
				return true;
		}
	}
	return false;
}

bool explain_is_asked(const struct flight *flight)
{
	const struct vigie_query *query = &flight->query;
	const struct origin *origin = &flight->origin;

	if (query->class != VIGIE_CLASS_CH || query->type != VIGIE_TYPE_TXT ||
	    query->name.length <= sizeof(suffix) ||
	    memcmp(query->name.bytes + query->name.length - sizeof(suffix), suffix, sizeof(suffix)) != 0 ||
	    flight->request.channel == VIGIE_CHANNEL_INTERNAL)
		return false;
	return is_loopback(&origin->client.any) || address_same_host(&origin->client, &origin->local) ||
	       is_admitted(flight);
}

static void write_text(struct vigie_answer *answer, const char *text, size_t length)
{
	uint8_t *rdata;

	if (length > VIGIE_TRACE_LINE_MAX)
		length = VIGIE_TRACE_LINE_MAX;
	rdata = vigie_answer_rr(answer, VIGIE_ANSWER, VIGIE_OWNER_QUESTION, VIGIE_TYPE_TXT, 0,
				(uint16_t)(1 + length));
	if (!rdata)
		return;
	vigie_answer_set_class(rdata, VIGIE_CLASS_CH);
	rdata[0] = (uint8_t)length;
	memcpy(rdata + 1, text, length);
}

static __attribute__((format(printf, 2, 3))) void write_line(struct vigie_answer *answer, const char *format,
							     ...)
{
	char line[VIGIE_TRACE_LINE_MAX + 1];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (length > 0)
		write_text(answer, line, (size_t)length);
}

static enum vigie_verdict write_stats(struct flight *flight)
{
	const struct generation *generation = flight->origin.listener->generation;
	const struct vigie_server *server = generation->process.server;
	struct vigie_answer *answer = &flight->answer;
	struct counters sum;
	uint64_t refused = 0;

	counters_sum(&sum, server->workers, server->worker_count);
	for (int gate = 0; gate < VIGIE_GATES; gate++)
		refused += sum.refused[gate];
	write_line(answer, "vigie-" VIGIE_VERSION ", up for %" PRIu64 " s, %u workers, this is worker %u",
		   (vigie_clock_ms() - server->start_ms) / 1000, server->worker_count,
		   flight->request.worker->index);
	write_line(answer, "configuration %.16s", generation->hash);
	write_line(answer, "queries: %" PRIu64 " by UDP, %" PRIu64 " by TCP", sum.queries[VIGIE_CHANNEL_UDP],
		   sum.queries[VIGIE_CHANNEL_TCP]);
	write_line(answer,
		   "not answered: %" PRIu64 " dropped by a directive, %" PRIu64
		   " not sent by the kernel; for no "
		   "block: %" PRIu64 "; malformed: %" PRIu64,
		   sum.dropped, sum.udp_unsent, sum.unserved, refused);
	write_line(answer,
		   "connections: %" PRIu64 " accepted, %" PRIu64 " rejected, %" PRIu64 " evicted, %" PRIu64
		   " idle, %" PRIu64 " slow",
		   sum.tcp_accepted, sum.tcp_rejected, sum.tcp_evicted, sum.tcp_idle, sum.tcp_slow);
	return VIGIE_ANSWERED;
}

/* One TXT record for each line that the directives say. */
static enum vigie_verdict write_watch(struct flight *flight)
{
	const struct generation *generation = flight->origin.listener->generation;
	struct vigie_buffer text;
	size_t start = 0;

	vigie_buffer_init(&text, DETAIL_MAX);
	generation_detail(generation, &text);
	for (size_t i = 0; i < text.length; i++) {
		if (text.data[i] != '\n')
			continue;
		write_text(&flight->answer, (const char *)text.data + start, i - start);
		start = i + 1;
	}
	if (start == 0)
		write_line(&flight->answer, "nothing is watched");
	vigie_buffer_fini(&text);
	return VIGIE_ANSWERED;
}

static void trace_record(struct vigie_trace *trace, const struct vigie_record_walk *walk,
			 const struct vigie_record *record)
{
	static const char *const sections[] = {"answer", "authority", "additional"};
	char owner[VIGIE_NAME_TEXT_MAX] = "?";
	char rdata[VIGIE_NAME_TEXT_MAX] = "";
	char type[VIGIE_TEXT_MAX];
	struct vigie_name name;

	if (record->type == VIGIE_TYPE_OPT)
		return;
	if (vigie_record_name(walk, record->owner, &name))
		vigie_name_to_text(name.bytes, owner);
	if (record->type == VIGIE_TYPE_A && record->rdlength == 4)
		inet_ntop(AF_INET, walk->message + record->rdata, rdata, sizeof(rdata));
	else if (record->type == VIGIE_TYPE_AAAA && record->rdlength == 16)
		inet_ntop(AF_INET6, walk->message + record->rdata, rdata, sizeof(rdata));
	else if ((record->type == VIGIE_TYPE_CNAME || record->type == VIGIE_TYPE_PTR ||
		  record->type == VIGIE_TYPE_NS || record->type == VIGIE_TYPE_SOA) &&
		 vigie_record_name(walk, record->rdata, &name))
		vigie_name_to_text(name.bytes, rdata);
	else if (record->type == VIGIE_TYPE_SRV && record->rdlength > 6 &&
		 vigie_record_name(walk, record->rdata + 6, &name))
		vigie_name_to_text(name.bytes, rdata);
	else
		snprintf(rdata, sizeof(rdata), "(%u bytes)", record->rdlength);
	vigie_trace_line(trace, "%s: %.120s %u %s %.90s", sections[record->section], owner, record->ttl,
			 vigie_type_text(record->type, type), rdata);
}

/* The traced query has its answer: what it is goes behind the way that led there. */
static enum vigie_verdict on_traced(struct vigie_request *request, const uint8_t *reply, size_t length,
				    void *argument)
{
	struct vigie_trace *trace = argument;
	struct vigie_record_walk walk;
	struct vigie_record record;
	char text[VIGIE_TEXT_MAX];

	request->trace = NULL;
	if (reply) {
		unsigned flags = vigie_reply_flags(reply);

		vigie_trace_line(trace, "result: %s%s%s%s, %zu bytes",
				 vigie_rcode_text(vigie_reply_rcode(reply), text),
				 flags & VIGIE_FLAG_AA ? " aa" : "", flags & VIGIE_FLAG_RA ? " ra" : "",
				 flags & VIGIE_FLAG_AD ? " ad" : "", length);
		vigie_record_walk_message(&walk, reply, length);
		for (size_t count = 0; count < RECORDS_MAX && vigie_record_next(&walk, &record); count++)
			trace_record(trace, &walk, &record);
	} else {
		vigie_trace_line(trace, "result: no answer is sent");
	}
	for (size_t i = 0; i < trace->count; i++)
		write_text(request->answer, trace->lines[i], trace->length[i]);
	free(trace);
	return VIGIE_ANSWERED;
}

/* Cuts "_TYPE." off the front of a name, when it is one. */
static uint16_t take_type(struct vigie_name *name)
{
	uint8_t length = name->bytes[0];
	char label[LABEL_TYPE_MAX];
	struct vigie_name rest;
	uint16_t type;

	if (length < 2 || length >= sizeof(label) || name->bytes[1] != '_')
		return VIGIE_TYPE_A;
	memcpy(label, name->bytes + 2, length - 1U);
	label[length - 1] = 0;
	if (vigie_type_from_text(&type, label) ||
	    vigie_name_from_wire(&rest, name->bytes + length + 1, name->length - length - 1U))
		return VIGIE_TYPE_A;
	*name = rest;
	return type;
}

static enum vigie_verdict start_trace(struct flight *flight)
{
	const struct vigie_name *asked = &flight->query.name;
	uint8_t wire[VIGIE_NAME_MAX];
	size_t skip = 1 + sizeof("trace") - 1;
	size_t length = asked->length - skip - sizeof(suffix);
	char text[VIGIE_NAME_TEXT_MAX];
	char type_text[VIGIE_TEXT_MAX];
	struct vigie_trace *trace;
	struct vigie_name name;
	uint16_t type;

	memcpy(wire, asked->bytes + skip, length);
	wire[length] = 0;
	if (vigie_name_from_wire(&name, wire, length + 1))
		return vigie_request_fail(&flight->request, VIGIE_RCODE_FORMERR, NULL);
	trace = calloc(1, sizeof(*trace));
	if (!trace)
		return vigie_request_fail(&flight->request, VIGIE_RCODE_SERVFAIL, NULL);
	type = take_type(&name);
	vigie_trace_line(trace, "question: %.200s %s", vigie_name_to_text(name.bytes, text),
			 vigie_type_text(type, type_text));
	vigie_trace_line(trace, "server: %s, worker %u", flight->origin.listener->name.text,
			 flight->request.worker->index);
	flight->request.trace = trace;
	return vigie_request_lookup(&flight->request, &name, type, on_traced, trace);
}

enum vigie_verdict explain_serve(struct flight *flight)
{
	const uint8_t *label = flight->query.name.bytes;

	if (!flight->origin.listener->generation)
		return vigie_request_fail(&flight->request, VIGIE_RCODE_REFUSED, NULL);
	if (label[0] == 5 && memcmp(label + 1, "stats", 5) == 0 && flight->query.name.labels == 2)
		return write_stats(flight);
	if (label[0] == 5 && memcmp(label + 1, "watch", 5) == 0 && flight->query.name.labels == 2)
		return write_watch(flight);
	if (label[0] == 5 && memcmp(label + 1, "trace", 5) == 0)
		return start_trace(flight);
	return vigie_request_fail(&flight->request, VIGIE_RCODE_NXDOMAIN, NULL);
}

void explain_enter(struct flight *flight)
{
	const struct block *block = flight->block;

	if (block)
		vigie_trace_line(flight->request.trace, "block: %.100s at %.100s:%u",
				 block->setup.source->keys[0].word.text,
				 block->setup.source->keys[0].word.file,
				 block->setup.source->keys[0].word.line);
	else
		vigie_trace_line(flight->request.trace, "block: none serves this name here");
}

void explain_step(struct flight *flight, const char *directive, enum vigie_verdict verdict)
{
	static const char *const verdicts[] = {
		[VIGIE_NEXT] = "goes on",
		[VIGIE_ANSWERED] = "answers",
		[VIGIE_DROP] = "drops it",
		[VIGIE_SUSPENDED] = "waits",
	};
	const struct vigie_answer *answer = &flight->answer;
	char text[VIGIE_TEXT_MAX];

	if (verdict != VIGIE_ANSWERED) {
		vigie_trace_line(flight->request.trace, "%s %s", directive, verdicts[verdict]);
		return;
	}
	vigie_trace_line(flight->request.trace, "%s answers %s with %u records%s%s%s", directive,
			 vigie_rcode_text(answer->rcode, text), answer->count[VIGIE_ANSWER],
			 answer->ede != VIGIE_EDE_NONE ? ", EDE" : "",
			 answer->ede != VIGIE_EDE_NONE && answer->ede_text ? ": " : "",
			 answer->ede != VIGIE_EDE_NONE && answer->ede_text ? answer->ede_text : "");
	if (flight->request.trouble)
		vigie_trace_line(flight->request.trace, "  trouble: %s", flight->request.trouble);
}
