#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "expression_tree.h"
#include "vigie/text.h"

/* What an expression yields. Text is in `room` or lives as long as the tree. */
struct value {
	const char *text;
	int64_t number;
	char room[VIGIE_NAME_TEXT_MAX];
};

static void evaluate(const struct expression *expression, struct vigie_request *request, struct value *value);

static const char *address_text(const struct sockaddr *from, char *room)
{
	uint8_t address[16];

	network_address(from, address);
	if (network_address_is_v4(address))
		return inet_ntop(AF_INET, address + 12, room, VIGIE_NAME_TEXT_MAX);
	return inet_ntop(AF_INET6, address, room, VIGIE_NAME_TEXT_MAX);
}

static bool in_network(const struct expression *expression, struct vigie_request *request)
{
	struct network address;
	struct value value;

	evaluate(expression->left, request, &value);
	return network_from_text(&address, value.text) == VIGIE_OK && !strchr(value.text, '/') &&
	       network_contains(&expression->network, address.address);
}

static void call(const struct expression *expression, struct vigie_request *request, struct value *value)
{
	const struct vigie_query *query = request->query;
	struct value label;

	switch (expression->function) {
	case FUNCTION_BUFSIZE:
		value->number = query->edns_size;
		return;
	case FUNCTION_CLASS:
		value->text = vigie_class_text(query->class, value->room);
		return;
	case FUNCTION_CLIENT_IP:
		value->text = address_text(request->client, value->room);
		return;
	case FUNCTION_DO:
		value->number = query->edns_do;
		return;
	case FUNCTION_ID:
		value->number = query->id;
		return;
	case FUNCTION_INCIDR:
		value->number = in_network(expression, request);
		return;
	case FUNCTION_METADATA:
		evaluate(expression->left, request, &label);
		value->text = value->room;
		if (!vigie_request_metadata(request, label.text, value->room))
			value->text = "";
		return;
	case FUNCTION_NAME:
		value->text = vigie_name_to_text(query->name.bytes, value->room);
		return;
	case FUNCTION_OPCODE:
		value->number = query->flags >> 11 & 0xf;
		return;
	case FUNCTION_PORT:
		snprintf(value->room, sizeof(value->room), "%u", ntohs(network_port(request->client)));
		value->text = value->room;
		return;
	case FUNCTION_PROTO:
		value->text = request->channel == VIGIE_CHANNEL_TCP ? "tcp" : "udp";
		return;
	case FUNCTION_SERVER_IP:
		value->text = address_text(request->local, value->room);
		return;
	case FUNCTION_SERVER_PORT:
		snprintf(value->room, sizeof(value->room), "%u", ntohs(network_port(request->local)));
		value->text = value->room;
		return;
	case FUNCTION_SIZE:
		value->number = query->packet_length;
		return;
	case FUNCTION_TYPE:
		value->text = vigie_type_text(query->type, value->room);
		return;
	case FUNCTIONS:
		break;
	}
}

/* -1, 0 or 1, as strcmp. Both sides have one type. */
static int compare(const struct expression *left, const struct expression *right,
		   struct vigie_request *request)
{
	struct value a = {.text = ""};
	struct value b = {.text = ""};

	evaluate(left, request, &a);
	evaluate(right, request, &b);
	if (left->type == EXPRESSION_TEXT)
		return strcmp(a.text, b.text);
	return (a.number > b.number) - (a.number < b.number);
}

static bool is_in(const struct expression *expression, struct vigie_request *request)
{
	for (const struct expression *each = expression->right; each; each = each->next) {
		if (compare(expression->left, each, request) == 0)
			return true;
	}
	return false;
}

static bool compare_texts(const struct expression *expression, struct vigie_request *request)
{
	struct value a = {.text = ""};
	struct value b = {.text = ""};
	size_t length;
	size_t part;

	evaluate(expression->left, request, &a);
	length = strlen(a.text);
	if (expression->kind == EXPRESSION_MATCHES)
		return regex_match(expression->regex, a.text, length, NULL);
	evaluate(expression->right, request, &b);
	part = strlen(b.text);
	if (expression->kind == EXPRESSION_CONTAINS)
		return strstr(a.text, b.text) != NULL;
	if (part > length)
		return false;
	return memcmp(expression->kind == EXPRESSION_STARTS_WITH ? a.text : a.text + length - part, b.text,
		      part) == 0;
}

static void evaluate(const struct expression *expression, struct vigie_request *request, struct value *value)
{
	const struct expression *left = expression->left;
	const struct expression *right = expression->right;

	switch (expression->kind) {
	case EXPRESSION_LITERAL:
		value->text = expression->text;
		value->number = expression->number;
		return;
	case EXPRESSION_CALL:
		call(expression, request, value);
		return;
	case EXPRESSION_NOT:
		value->number = !expression_holds(left, request);
		return;
	case EXPRESSION_AND:
		value->number = expression_holds(left, request) && expression_holds(right, request);
		return;
	case EXPRESSION_OR:
		value->number = expression_holds(left, request) || expression_holds(right, request);
		return;
	case EXPRESSION_EQUAL:
		value->number = compare(left, right, request) == 0;
		return;
	case EXPRESSION_NOT_EQUAL:
		value->number = compare(left, right, request) != 0;
		return;
	case EXPRESSION_LESS:
		value->number = compare(left, right, request) < 0;
		return;
	case EXPRESSION_LESS_OR_EQUAL:
		value->number = compare(left, right, request) <= 0;
		return;
	case EXPRESSION_IN:
		value->number = is_in(expression, request);
		return;
	case EXPRESSION_MATCHES:
	case EXPRESSION_CONTAINS:
	case EXPRESSION_STARTS_WITH:
	case EXPRESSION_ENDS_WITH:
		value->number = compare_texts(expression, request);
		return;
	}
}

bool expression_holds(const struct expression *expression, struct vigie_request *request)
{
	struct value value;

	evaluate(expression, request, &value);
	return value.number != 0;
}
