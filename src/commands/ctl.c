/* `vigie ctl [-s SOCKET] [--json] COMMAND…`: asks a running vigie by its control socket. */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "commands.h"
#include "vigie/buffer.h"
#include "vigie/control.h"

enum {
	REPLY_MAX = 1 << 30, /* bytes of an answer */
	READ_BYTES = 65536
};

static const char usage[] =
	"Usage: vigie ctl [-s SOCKET] [--json] COMMAND\n"
	"  status                         version, configuration, counters, blocks, watches\n"
	"  trace NAME [TYPE]              the way that a query takes: block, directives, upstream, answer\n"
	"  records dump [NS[/SVC]]        services and endpoints, as they are served\n"
	"  cache dump [NAME]              what is held of NAME and all below it\n"
	"  cache flush NAME               forgets NAME and all below it (. is everything)\n"
	"  reload                         load the Corefile again, and say what came of it\n"
	"  log LEVEL                      debug, info, warning, error or fatal\n"
	"  -s SOCKET                      the control socket (default " VIGIE_CONTROL_PATH ",\n"
	"                                 else " VIGIE_CONTROL_PATH_SHM ")\n"
	"  --json                         the answer as one JSON object\n";

/* The answer to the words as text; NULL and a message on stderr when there is none. */
static bool ask(const char *path, const json_t *words, struct vigie_buffer *reply)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 2 * VIGIE_CONTROL_SECONDS};
	char *question = json_dumps(words, JSON_COMPACT);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool asked = false;
	ssize_t got = -1;

	if (strlen(path) >= sizeof(address.sun_path) || !question || fd < 0) {
		fprintf(stderr, "vigie ctl: %s: the path is too long\n", path);
		goto done;
	}
	strcpy(address.sun_path, path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    send(fd, question, strlen(question), MSG_NOSIGNAL | MSG_MORE) < 0 ||
	    send(fd, "\n", 1, MSG_NOSIGNAL) < 0) {
		fprintf(stderr,
			"vigie ctl: %s: %s (is vigie running, as this user, and is this its socket?)\n", path,
			strerror(errno));
		goto done;
	}
	do {
		if (vigie_buffer_reserve(reply, READ_BYTES))
			break;
		got = read(fd, reply->data + reply->length, READ_BYTES);
		if (got > 0)
			reply->length += (size_t)got;
	} while (got > 0 || (got < 0 && errno == EINTR)); /* it was stopped, and goes on */
	asked = got == 0 && reply->length > 0;
	if (!asked)
		fprintf(stderr, "vigie ctl: %s: no answer\n", path);

done:
	if (fd >= 0)
		close(fd);
	free(question);
	return asked;
}

static void print_scalar(const json_t *value)
{
	if (json_is_string(value))
		fputs(json_string_value(value), stdout);
	else
		json_dumpf(value, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
}

/* One line: "key=value key=value", lists with commas. */
static void print_inline(const json_t *value)
{
	const char *key;
	json_t *member;
	size_t index;

	if (json_is_object(value)) {
		bool first = true;

		json_object_foreach((json_t *)value, key, member)
		{
			printf("%s%s=", first ? "" : " ", key);
			print_inline(member);
			first = false;
		}
	} else if (json_is_array(value)) {
		json_array_foreach(value, index, member)
		{
			if (index > 0)
				putchar(json_is_object(member) ? ' ' : ',');
			if (json_is_object(member))
				putchar('(');
			print_inline(member);
			if (json_is_object(member))
				putchar(')');
		}
	} else {
		print_scalar(value);
	}
}

/* For people: what is one thing on one line, what is many as a list. */
static void print_text(const json_t *reply)
{
	bool alone = json_object_size(reply) == 1;
	const char *key;
	json_t *value;
	json_t *member;
	size_t index;

	json_object_foreach((json_t *)reply, key, value)
	{
		if (json_is_array(value)) {
			if (!alone && json_array_size(value) > 0)
				printf("%s:\n", key);
			json_array_foreach(value, index, member)
			{
				fputs(alone ? "" : "  ", stdout);
				print_inline(member);
				putchar('\n');
			}
		} else if (json_string_length(value) > 0 || !json_is_string(value)) {
			printf("%s: ", key);
			print_inline(value);
			putchar('\n');
		}
	}
}

static const char *default_path(void)
{
	bool other = access(VIGIE_CONTROL_PATH, F_OK) && access(VIGIE_CONTROL_PATH_SHM, F_OK) == 0;

	return other ? VIGIE_CONTROL_PATH_SHM : VIGIE_CONTROL_PATH;
}

int command_ctl(int count, char **arguments)
{
	const char *path = default_path();
	json_t *words = json_array();
	struct vigie_buffer text;
	bool json = false;
	json_t *reply = NULL;
	const char *trouble;
	int code = EXIT_FAILURE;

	vigie_buffer_init(&text, REPLY_MAX);
	for (int i = 1; i < count; i++) {
		if (strcmp(arguments[i], "--json") == 0) {
			json = true;
		} else if (strcmp(arguments[i], "-s") == 0 && i + 1 < count) {
			path = arguments[++i];
		} else if (strcmp(arguments[i], "-h") == 0 || strcmp(arguments[i], "--help") == 0) {
			fputs(usage, stdout);
			code = EXIT_SUCCESS;
			goto done;
		} else {
			json_array_append_new(words, json_string(arguments[i]));
		}
	}
	if (json_array_size(words) == 0) {
		fputs(usage, stderr);
		code = EXIT_USAGE;
		goto done;
	}
	if (!ask(path, words, &text))
		goto done;
	reply = json_loadb((const char *)text.data, text.length, 0, NULL);
	trouble = json_string_value(json_object_get(reply, "error"));
	code = reply && !trouble ? EXIT_SUCCESS : EXIT_FAILURE;
	if (json)
		fwrite(text.data, 1, text.length, stdout);
	else if (!reply)
		fputs("vigie ctl: the answer is no JSON\n", stderr);
	else if (trouble)
		fprintf(stderr, "vigie ctl: %s\n", trouble);
	else
		print_text(reply);

done:
	json_decref(words);
	json_decref(reply);
	vigie_buffer_fini(&text);
	return code;
}
