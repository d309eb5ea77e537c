/* Working out the value of an action for a query. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "network.h"
#include "template_value.h"

static bool copy(char *value, const char *text, size_t length)
{
	if (length >= TEMPLATE_VALUE_MAX)
		return false;
	memcpy(value, text, length);
	value[length] = 0;
	return true;
}

static bool copy_group(const struct template_data *data, size_t number, char *value)
{
	const struct regex_groups *groups = data->groups;

	if (!groups)
		return number == 0 && copy(value, data->name, strlen(data->name));
	if (number >= groups->count)
		return false;
	if (groups->group[number].start == SIZE_MAX)
		return copy(value, "", 0);
	return copy(value, groups->text + groups->group[number].start,
		    groups->group[number].end - groups->group[number].start);
}

static bool copy_named_group(const struct template_data *data, const char *name, char *value)
{
	unsigned number = data->regex ? regex_group_number(data->regex, name) : 0;

	return number > 0 ? copy_group(data, number, value) : copy(value, "", 0);
}

/* As Go's strconv.ParseUint; base 0 looks at the prefix, size 0 is 64 bits. */
static bool parse_int(const struct template_value *expression, const struct template_data *data, char *value)
{
	unsigned bits = expression->bits ? expression->bits : 64;
	unsigned long long number;
	char text[TEMPLATE_VALUE_MAX];
	char *end;

	if (!template_value_get(expression->operand, data, text) || !text[0] ||
	    strchr(" \t\n\v\f\r+-", text[0]))
		return false;
	errno = 0;
	number = strtoull(text, &end, (int)expression->number);
	if (*end || errno || (bits < 64 && number >> bits > 0))
		return false;
	snprintf(value, TEMPLATE_VALUE_MAX, "%llu", number);
	return true;
}

/* What is not known is empty. */
static bool copy_metadata(const struct template_value *label, const struct template_data *data, char *value)
{
	char text[TEMPLATE_VALUE_MAX];

	if (!template_value_get(label, data, text))
		return false;
	if (!vigie_request_metadata(data->request, text, value))
		value[0] = 0;
	return true;
}

static bool copy_remote(const struct vigie_request *request, char *value)
{
	uint8_t address[16];

	network_address(request->client, address);
	return network_address_is_v4(address)
		       ? inet_ntop(AF_INET, address + 12, value, TEMPLATE_VALUE_MAX) != NULL
		       : inet_ntop(AF_INET6, address, value, TEMPLATE_VALUE_MAX) != NULL;
}

bool template_value_get(const struct template_value *expression, const struct template_data *data,
			char *value)
{
	switch (expression->kind) {
	case KIND_LITERAL:
		return copy(value, expression->text, strlen(expression->text));
	case KIND_NAME:
		return copy(value, data->name, strlen(data->name));
	case KIND_ZONE:
		return copy(value, data->zone, strlen(data->zone));
	case KIND_CLASS:
		return copy(value, data->class, strlen(data->class));
	case KIND_TYPE:
		return copy(value, data->type, strlen(data->type));
	case KIND_REMOTE:
		return copy_remote(data->request, value);
	case KIND_QUESTION_NAME:
		vigie_name_to_text(data->request->query->packet + VIGIE_HEADER_SIZE, value);
		return true;
	case KIND_MATCH:
		return copy_group(data, expression->number, value);
	case KIND_GROUP:
		return copy_named_group(data, expression->text, value);
	case KIND_PARSE_INT:
		return parse_int(expression, data, value);
	case KIND_META:
		return copy_metadata(expression->operand, data, value);
	case KIND_ALL_MATCHES:
	case KIND_ALL_GROUPS:
		break;
	}
	return false;
}
