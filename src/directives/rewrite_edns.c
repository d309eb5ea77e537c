/* EDNS options of queries, as `rewrite edns0` changes them. */
#include <netinet/in.h>
#include <string.h>

#include "network.h"
#include "rewrite.h"
#include "vigie/bytes.h"
#include "vigie/record.h"

enum {
	DATA_MAX = VIGIE_NAME_TEXT_MAX, /* bytes of the longest variable */
	FAMILY_V4 = 1,                  /* IANA address families (RFC 7871 section 6) */
	FAMILY_V6 = 2
};

void rewrite_begin_options(struct rewrite_work *work, const struct vigie_query *query)
{
	const uint8_t *options;
	size_t length = vigie_query_options(query, &options);

	work->edns = query->edns;
	work->options_changed = false;
	work->options_length = length <= REWRITE_OPTIONS_MAX ? length : 0;
	memcpy(work->options, options, work->options_length);
}

static size_t option_length(const uint8_t *option)
{
	return 4 + (size_t)read_u16(option + 2);
}

/* Where the first option with this code is; work->options_length when there is none. */
static size_t find(const struct rewrite_work *work, uint16_t code)
{
	size_t at = 0;

	while (at < work->options_length && read_u16(work->options + at) != code)
		at += option_length(work->options + at);
	return at;
}

/* Takes all options with this code out. */
static void take_out(struct rewrite_work *work, uint16_t code)
{
	size_t at;

	while ((at = find(work, code)) < work->options_length) {
		size_t length = option_length(work->options + at);

		memmove(work->options + at, work->options + at + length, work->options_length - at - length);
		work->options_length -= length;
	}
}

static size_t write_port(const struct sockaddr *address, uint8_t *data)
{
	uint16_t port = network_port(address);

	memcpy(data, &port, sizeof(port));
	return sizeof(port);
}

static size_t write_address(const struct sockaddr *from, uint8_t *data)
{
	uint8_t address[16];

	network_address(from, address);
	if (!network_address_is_v4(address)) {
		memcpy(data, address, 16);
		return 16;
	}
	memcpy(data, address + 12, 4);
	return 4;
}

/* Client subnet (RFC 7871 section 6): as many bytes as the prefix needs, the rest of the last one zero. */
static size_t write_subnet(const struct rewrite_option *option, const struct sockaddr *client, uint8_t *data)
{
	size_t length = write_address(client, data + 4);
	uint8_t bits = length == 4 ? option->v4_bits : option->v6_bits;
	size_t bytes = (bits + 7U) / 8;

	data[0] = 0;
	data[1] = length == 4 ? FAMILY_V4 : FAMILY_V6;
	data[2] = bits;
	data[3] = 0;
	if (bits % 8)
		data[4 + bytes - 1] &= (uint8_t)(0xff << (8 - bits % 8));
	return 4 + bytes;
}

/* Writes the option's data (at most DATA_MAX bytes) and returns its length; SIZE_MAX when there is none. */
static size_t write_data(const struct rewrite_option *option, struct vigie_request *request,
			 const struct rewrite_work *work, uint8_t *data)
{
	char value[VIGIE_NAME_TEXT_MAX];
	const char *text = NULL;
	size_t length;

	switch (option->kind) {
	case REWRITE_DATA_FIXED:
		memcpy(data, option->data, option->length);
		return option->length;
	case REWRITE_DATA_SUBNET:
		return write_subnet(option, request->client, data);
	case REWRITE_DATA_QNAME:
		text = work->names[work->renames];
		break;
	case REWRITE_DATA_QTYPE:
		data[0] = (uint8_t)(work->type >> 8);
		data[1] = (uint8_t)work->type;
		return 2;
	case REWRITE_DATA_CLIENT_IP:
		return write_address(request->client, data);
	case REWRITE_DATA_CLIENT_PORT:
		return write_port(request->client, data);
	case REWRITE_DATA_PROTOCOL:
		text = request->channel == VIGIE_CHANNEL_TCP ? "tcp" : "udp";
		break;
	case REWRITE_DATA_SERVER_IP:
		return write_address(request->local, data);
	case REWRITE_DATA_SERVER_PORT:
		return write_port(request->local, data);
	case REWRITE_DATA_METADATA:
		if (vigie_request_metadata(request, option->label, value))
			text = value;
		break;
	}
	if (!text || !text[0])
		return SIZE_MAX;
	length = strlen(text);
	memcpy(data, text, length);
	return length;
}

static bool is_set(const struct rewrite_work *work, unsigned code)
{
	for (size_t i = 0; i < work->applied_count; i++) {
		const struct rewrite_rule *rule = work->applied[i].rule;

		if (rule->field == REWRITE_EDNS0 && rule->option.action != REWRITE_UNSET &&
		    rule->option.code == code)
			return true;
	}
	return false;
}

void rewrite_end_options(struct rewrite_work *work)
{
	for (size_t at = 0; work->options_changed && at < work->options_length;) {
		uint16_t code = read_u16(work->options + at);

		if (is_set(work, code))
			at += option_length(work->options + at);
		else
			take_out(work, code);
	}
}

bool rewrite_apply_option(const struct rewrite_option *option, struct vigie_request *request,
			  struct rewrite_work *work)
{
	bool found = find(work, option->code) < work->options_length;
	uint8_t data[DATA_MAX];
	size_t length;
	uint8_t *at;

	if (option->action == REWRITE_UNSET) {
		work->options_changed |= found;
		take_out(work, option->code);
		return true;
	}
	if ((option->action == REWRITE_REPLACE && !found) || (option->action == REWRITE_APPEND && found))
		return false;
	length = write_data(option, request, work, data);
	if (length == SIZE_MAX)
		return false;
	take_out(work, option->code);
	if (REWRITE_OPTIONS_MAX - work->options_length < 4 + length)
		return false;
	at = work->options + work->options_length;
	at[0] = (uint8_t)(option->code >> 8);
	at[1] = (uint8_t)option->code;
	at[2] = (uint8_t)(length >> 8);
	at[3] = (uint8_t)length;
	memcpy(at + 4, data, length);
	work->options_length += 4 + length;
	work->options_changed = true;
	work->edns = true;
	return true;
}
