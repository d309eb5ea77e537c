#include "log_format.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "network.h"
#include "vigie/clock.h"
#include "vigie/log.h"
#include "vigie/text.h"

#define COMMON                                                                                               \
	"{remote}:{port} - {>id} \"{type} {class} {name} {proto} {size} {>do} {>bufsize}\" {rcode} "         \
	"{>rflags} "                                                                                         \
	"{rsize} {duration}"

enum {
	OPT_SIZE = 11,   /* bytes of the OPT record that ends an answer to EDNS */
	VALUE_MAX = 1100 /* bytes of the longest value: a name as text, in JSON */
};

/* Where a line is written; what does not fit is left out. */
struct line {
	char *text;
	size_t length;
};

static __attribute__((format(printf, 2, 3))) void put(struct line *line, const char *format, ...)
{
	size_t room = VIGIE_LOG_LINE_MAX - 1 - line->length; /* one for the end of the line */
	va_list arguments;
	int wrote;

	va_start(arguments, format);
	wrote = vsnprintf(line->text + line->length, room, format, arguments);
	va_end(arguments);
	if (wrote > 0)
		line->length += (size_t)wrote < room ? (size_t)wrote : room - 1;
}

typedef void put_value(struct line *line, const struct vigie_request *request);

/* What the block's directives know of the query. */
static void put_metadata(struct line *line, struct vigie_request *request, const char *label)
{
	char value[VIGIE_NAME_TEXT_MAX];

	put(line, "%s", vigie_request_metadata(request, label, value) ? value : "-");
}

static void put_type(struct line *line, const struct vigie_request *request)
{
	char text[VIGIE_TEXT_MAX];

	put(line, "%s", vigie_type_text(request->query->type, text));
}

static void put_class(struct line *line, const struct vigie_request *request)
{
	char text[VIGIE_TEXT_MAX];

	put(line, "%s", vigie_class_text(request->query->class, text));
}

static void put_name(struct line *line, const struct vigie_request *request)
{
	char text[VIGIE_NAME_TEXT_MAX];

	put(line, "%s", vigie_name_to_text(request->query->name.bytes, text));
}

static void put_proto(struct line *line, const struct vigie_request *request)
{
	put(line, "%s", request->channel == VIGIE_CHANNEL_UDP ? "udp" : "tcp");
}

static void put_address(struct line *line, const struct sockaddr *address)
{
	const struct in6_addr *v6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
	char text[INET6_ADDRSTRLEN] = "-";

	if (address->sa_family == AF_INET) {
		inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof(text));
	} else if (IN6_IS_ADDR_V4MAPPED(v6)) {
		inet_ntop(AF_INET, v6->s6_addr + 12, text, sizeof(text));
	} else {
		inet_ntop(AF_INET6, v6, text, sizeof(text));
		put(line, "[%s]", text);
		return;
	}
	put(line, "%s", text);
}

static void put_remote(struct line *line, const struct vigie_request *request)
{
	put_address(line, request->client);
}

static void put_local(struct line *line, const struct vigie_request *request)
{
	put_address(line, request->local);
}

static void put_port(struct line *line, const struct vigie_request *request)
{
	put(line, "%u", ntohs(network_port(request->client)));
}

static void put_size(struct line *line, const struct vigie_request *request)
{
	put(line, "%u", request->query->packet_length);
}

static void put_rcode(struct line *line, const struct vigie_request *request)
{
	char text[VIGIE_TEXT_MAX];

	put(line, "%s", vigie_rcode_text(request->answer->rcode, text));
}

static void put_rsize(struct line *line, const struct vigie_request *request)
{
	put(line, "%zu", request->answer->length + (request->query->edns ? OPT_SIZE : 0));
}

static double duration(const struct vigie_request *request)
{
	return (double)(vigie_clock_us() - request->began_us) / 1e6;
}

static void put_duration(struct line *line, const struct vigie_request *request)
{
	put(line, "%.6fs", duration(request));
}

static void put_rflags(struct line *line, const struct vigie_request *request)
{
	unsigned flags = vigie_answer_flags(request->answer) |
			 (request->query->flags & (VIGIE_FLAG_RD | VIGIE_FLAG_CD));

	put(line, "qr%s%s%s%s%s%s", flags & VIGIE_FLAG_AA ? ",aa" : "", flags & VIGIE_FLAG_TC ? ",tc" : "",
	    flags & VIGIE_FLAG_RD ? ",rd" : "", flags & VIGIE_FLAG_RA ? ",ra" : "",
	    flags & VIGIE_FLAG_AD ? ",ad" : "", flags & VIGIE_FLAG_CD ? ",cd" : "");
}

static void put_bufsize(struct line *line, const struct vigie_request *request)
{
	put(line, "%u",
	    request->channel == VIGIE_CHANNEL_UDP ? request->query->edns_size : VIGIE_MESSAGE_MAX);
}

static void put_do(struct line *line, const struct vigie_request *request)
{
	put(line, "%s", request->query->edns_do ? "true" : "false");
}

static void put_id(struct line *line, const struct vigie_request *request)
{
	put(line, "%u", request->query->id);
}

static void put_opcode(struct line *line, const struct vigie_request *request)
{
	put(line, "%u", request->query->flags >> 11 & 0xf);
}

static void put_log_class(struct line *line, const struct vigie_request *request)
{
	put(line, "%s", log_class_text(log_class(request->answer)));
}

static void put_log_type(struct line *line, const struct vigie_request *request)
{
	const struct vigie_answer *answer = request->answer;

	if (answer->rcode == VIGIE_RCODE_NOERROR && answer->count[VIGIE_ANSWER] == 0)
		put(line, "NODATA");
	else
		put_rcode(line, request);
}

static const struct placeholder {
	const char *text;
	put_value *put;
} placeholders[] = {
	{"{type}", put_type},
	{"{class}", put_class},
	{"{name}", put_name},
	{"{proto}", put_proto},
	{"{remote}", put_remote},
	{"{local}", put_local},
	{"{port}", put_port},
	{"{size}", put_size},
	{"{duration}", put_duration},
	{"{rcode}", put_rcode},
	{"{rsize}", put_rsize},
	{"{>rflags}", put_rflags},
	{"{>bufsize}", put_bufsize},
	{"{>do}", put_do},
	{"{>id}", put_id},
	{"{>opcode}", put_opcode},
	{"{/log/class}", put_log_class},
	{"{/log/type}", put_log_type},
};

/* A literal and what stands behind it. */
struct piece {
	const char *literal;
	int length;
	put_value *put;    /* NULL: nothing, or metadata */
	const char *label; /* of metadata; NULL: none */
};

struct log_format {
	bool json;
	size_t count;
	struct piece pieces[];
};

enum log_class log_class(const struct vigie_answer *answer)
{
	if (answer->rcode == VIGIE_RCODE_NXDOMAIN)
		return LOG_DENIAL;
	if (answer->rcode != VIGIE_RCODE_NOERROR)
		return LOG_ERROR;
	return answer->count[VIGIE_ANSWER] > 0 ? LOG_SUCCESS : LOG_DENIAL;
}

const char *log_class_text(enum log_class class)
{
	static const char *const texts[] = {
		[LOG_SUCCESS] = "success", [LOG_DENIAL] = "denial", [LOG_ERROR] = "error"};

	return texts[class];
}

static const struct placeholder *find(const char *text, size_t *length)
{
	static const struct placeholder metadata = {"{/", NULL};

	for (size_t i = 0; i < sizeof(placeholders) / sizeof(*placeholders); i++) {
		*length = strlen(placeholders[i].text);
		if (strncmp(text, placeholders[i].text, *length) == 0)
			return &placeholders[i];
	}
	*length = strcspn(text, "}") + 1;
	return text[1] == '/' && text[*length - 1] ? &metadata : NULL;
}

/* Replaces `{common}` and `{combined}`. */
static char *expand(struct vigie_arena *arena, const char *text)
{
	static const struct {
		const char *word;
		const char *format;
	} shortcuts[] = {{"{common}", COMMON}, {"{combined}", COMMON " \"{>opcode}\""}};
	size_t longest = sizeof(COMMON " \"{>opcode}\"");
	char *expanded = vigie_arena_alloc(arena, (strlen(text) / strlen("{common}") + 1) * longest +
							  strlen(text) + 1);
	char *at = expanded;

	while (expanded && *text) {
		size_t skip = 0;

		for (size_t i = 0; i < sizeof(shortcuts) / sizeof(*shortcuts) && skip == 0; i++) {
			if (strncmp(text, shortcuts[i].word, strlen(shortcuts[i].word)) != 0)
				continue;
			skip = strlen(shortcuts[i].word);
			at = stpcpy(at, shortcuts[i].format);
		}
		if (skip == 0)
			*at++ = *text++;
		text += skip;
	}
	return expanded;
}

static const char *copy_label(struct vigie_arena *arena, const char *text, size_t length)
{
	char *label = vigie_arena_alloc(arena, length + 1);

	if (!label)
		return NULL;
	memcpy(label, text, length);
	label[length] = 0;
	return label;
}

const struct log_format *log_format_new(struct vigie_arena *arena, const char *text)
{
	const char *expanded = expand(arena, text ? text : vigie_log_is_json() ? "{json}" : "{common}");
	struct log_format *format;
	size_t braces = 0;

	if (!expanded)
		return NULL;
	for (const char *at = expanded; *at; at++)
		braces += *at == '{';
	format = vigie_arena_alloc(arena, sizeof(*format) + (braces + 1) * sizeof(format->pieces[0]));
	if (!format)
		return NULL;
	format->json = strcmp(expanded, "{json}") == 0;
	for (const char *start = expanded; *start;) {
		const char *at = strchr(start, '{');
		const struct placeholder *found = NULL;
		size_t length = 0;

		while (at && !(found = find(at, &length)))
			at = strchr(at + 1, '{');
		format->pieces[format->count++] = (struct piece){
			.literal = start,
			.length = (int)(at ? (size_t)(at - start) : strlen(start)),
			.put = found ? found->put : NULL,
		};
		if (!at)
			break;
		if (!found->put) {
			format->pieces[format->count - 1].label =
				copy_label(arena, at + strlen("{/"), length - strlen("{/}"));
			if (!format->pieces[format->count - 1].label)
				return NULL;
		}
		start = at + length;
	}
	return format;
}

/* A value in quotes; what JSON wants escaped is. Names hold no control characters: they come as text. */
static void put_quoted(struct line *line, const char *key, const struct vigie_request *request,
		       put_value *value)
{
	char text[VIGIE_LOG_LINE_MAX];
	struct line inner = {.text = text};

	value(&inner, request);
	put(line, ",\"%s\":\"", key);
	for (size_t i = 0; i < inner.length && i < VALUE_MAX; i++)
		put(line, text[i] == '"' || text[i] == '\\' ? "\\%c" : "%c", text[i]);
	put(line, "\"");
}

static void write_json(struct line *line, const struct vigie_request *request)
{
	char when[VIGIE_LOG_TIME_TEXT];

	put(line, "{\"time\":\"%s\",\"level\":\"info\",\"plugin\":\"log\",\"msg\":\"query\"",
	    vigie_log_time(when));
	put_quoted(line, "remote", request, put_remote);
	put(line, ",\"port\":%u", ntohs(((const struct sockaddr_in *)request->client)->sin_port));
	put(line, ",\"id\":%u", request->query->id);
	put_quoted(line, "name", request, put_name);
	put_quoted(line, "type", request, put_type);
	put_quoted(line, "class", request, put_class);
	put_quoted(line, "proto", request, put_proto);
	put(line, ",\"size\":%u,\"do\":%s", request->query->packet_length,
	    request->query->edns_do ? "true" : "false");
	put_quoted(line, "rcode", request, put_rcode);
	put_quoted(line, "flags", request, put_rflags);
	put(line, ",\"rsize\":%zu,\"duration\":%.6f}",
	    request->answer->length + (request->query->edns ? OPT_SIZE : 0), duration(request));
}

void log_format_write(const struct log_format *format, struct vigie_request *request)
{
	char text[VIGIE_LOG_LINE_MAX];
	struct line line = {.text = text};

	if (format->json) {
		write_json(&line, request);
		text[line.length++] = '\n';
		vigie_log_lines(text, line.length);
		return;
	}
	for (size_t i = 0; i < format->count; i++) {
		put(&line, "%.*s", format->pieces[i].length, format->pieces[i].literal);
		if (format->pieces[i].put)
			format->pieces[i].put(&line, request);
		else if (format->pieces[i].label)
			put_metadata(&line, request, format->pieces[i].label);
	}
	vigie_log(VIGIE_LOG_INFO, vigie_log_is_json() ? "log" : NULL, "%.*s", (int)line.length, text);
}
