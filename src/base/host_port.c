#include "vigie/host_port.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool read_port(const char *text, int *port)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || number > UINT16_MAX)
		return false;
	*port = (int)number;
	return true;
}

bool vigie_host_port_split(const char *text, char *host, size_t size, int *port)
{
	const char *colon = strchr(text, ':');
	const char *end = text + strlen(text);
	size_t length;

	if (text[0] == '[') {
		end = strchr(++text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		colon = end[1] ? end + 1 : NULL;
	} else if (colon && strchr(colon + 1, ':')) {
		colon = NULL;
	} else if (colon) {
		end = colon;
	}
	length = (size_t)(end - text);
	if (length >= size)
		return false;
	memcpy(host, text, length);
	host[length] = 0;
	*port = -1;
	return !colon || read_port(colon + 1, port);
}
