/* `vigie ctl trace`: the same as `dig CH TXT trace.NAME.vigie`, asked by the process of itself, by TCP. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "vigie/answer.h"
#include "vigie/control.h"
#include "vigie/record.h"
#include "vigie/text.h"

enum {
	PATIENCE_MS = 10000,
	FRAME_HEADER = 2,
	QUERY_MAX = FRAME_HEADER + VIGIE_HEADER_SIZE + VIGIE_NAME_MAX + 4
};

struct asking {
	struct vigie_control_question *question;
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_connect_t connect;
	uv_write_t write;
	unsigned handles;
	size_t query_length;
	size_t length;
	uint8_t query[QUERY_MAX];
	uint8_t reply[FRAME_HEADER + VIGIE_MESSAGE_MAX];
};

static void on_closed(uv_handle_t *handle)
{
	struct asking *asking = handle->data;

	if (--asking->handles == 0)
		free(asking);
}

/* Ends with an answer, or with the reason why there is none. */
static void end(struct asking *asking, json_t *reply, const char *reason)
{
	if (!asking->question)
		return;
	if (reason)
		vigie_control_refuse(asking->question, reason);
	else
		vigie_control_reply(asking->question, reply);
	asking->question = NULL;
	uv_close((uv_handle_t *)&asking->tcp, on_closed);
	uv_close((uv_handle_t *)&asking->timer, on_closed);
}

static void on_timer(uv_timer_t *timer)
{
	end(timer->data, NULL, "no answer in time");
}

static void on_reply(struct asking *asking)
{
	const uint8_t *message = asking->reply + FRAME_HEADER;
	struct vigie_record_walk walk;
	struct vigie_record record;
	json_t *lines = json_array();

	vigie_record_walk_message(&walk, message, asking->length - FRAME_HEADER);
	while (vigie_record_next(&walk, &record)) {
		if (record.type == VIGIE_TYPE_TXT && record.rdlength > 0)
			json_array_append_new(lines, json_stringn((const char *)message + record.rdata + 1,
								  message[record.rdata]));
	}
	end(asking, json_pack("{s:o}", "trace", lines), NULL);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct asking *asking = handle->data;

	*buffer = uv_buf_init((char *)asking->reply + asking->length,
			      (unsigned)(sizeof(asking->reply) - asking->length));
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
	struct asking *asking = stream->data;

	if (got < 0) {
		end(asking, NULL, "the connection ended before the answer");
		return;
	}
	asking->length += (size_t)got;
	if (asking->length >= FRAME_HEADER + VIGIE_HEADER_SIZE &&
	    asking->length >= FRAME_HEADER + (size_t)(asking->reply[0] << 8 | asking->reply[1]))
		on_reply(asking);
}

static void on_written(uv_write_t *write, int status)
{
	if (status && status != UV_ECANCELED)
		end(write->data, NULL, uv_strerror(status));
}

static void on_connected(uv_connect_t *connect, int status)
{
	struct asking *asking = connect->data;
	uv_buf_t query = uv_buf_init((char *)asking->query, (unsigned)asking->query_length);

	if (status == UV_ECANCELED)
		return;
	if (status)
		end(asking, NULL, uv_strerror(status));
	else if (uv_write(&asking->write, (uv_stream_t *)&asking->tcp, &query, 1, on_written) ||
		 uv_read_start((uv_stream_t *)&asking->tcp, on_allocate, on_read))
		end(asking, NULL, "cannot ask");
}

/* Where the name would be asked for: the first listener that has a block for it. */
static const struct listener *find_listener(const struct generation *generation,
					    const struct vigie_name *name)
{
	const struct listener *first = NULL;

	for (size_t i = 0; i < generation->listeners.count; i++) {
		const struct listener *listener = generation->listeners.list[i];

		if (strncmp(listener->name.text, "dns://", 6) != 0)
			continue; /* not in clear text */
		if (zone_table_get(listener->zones, name))
			return listener;
		first = first ? first : listener;
	}
	return first;
}

void control_trace(struct vigie_server *server, struct vigie_control_question *question,
		   const char *name_text, const char *type_text)
{
	char text[VIGIE_NAME_TEXT_MAX + 64];
	char canonical[VIGIE_NAME_TEXT_MAX];
	char type_name[VIGIE_TEXT_MAX];
	const struct listener *listener;
	struct asking *asking;
	struct vigie_name name;
	struct vigie_name asked;
	union address address;
	uint16_t type;
	size_t length;

	if (vigie_name_from_text(&name, name_text) || vigie_type_from_text(&type, type_text)) {
		vigie_control_refuse(question, "trace needs a name, and may have a type");
		return;
	}
	snprintf(text, sizeof(text), "trace._%s.%svigie.", vigie_type_text(type, type_name),
		 name.labels > 0 ? vigie_name_to_text(name.bytes, canonical) : "");
	listener = find_listener(server->current, &name);
	if (vigie_name_from_text(&asked, text) || !listener) {
		vigie_control_refuse(question, listener ? "the name is too long for a trace"
							: "no listener takes clear text");
		return;
	}
	asking = calloc(1, sizeof(*asking));
	if (!asking) {
		vigie_control_reply(question, NULL);
		return;
	}
	length = vigie_query_write(asking->query + FRAME_HEADER, sizeof(asking->query) - FRAME_HEADER, 1,
				   VIGIE_FLAG_RD, asked.bytes, VIGIE_TYPE_TXT, VIGIE_CLASS_CH, false, false);
	asking->query[0] = (uint8_t)(length >> 8);
	asking->query[1] = (uint8_t)length;
	asking->query_length = FRAME_HEADER + length;
	asking->question = question;
	address = listener->address;
	if (listener->wildcard)
		address_from_text(&address, address.any.sa_family == AF_INET ? "127.0.0.1" : "::1",
				  ntohs(listener->address.v6.sin6_port));
	uv_tcp_init(server->process.loop, &asking->tcp);
	uv_timer_init(server->process.loop, &asking->timer);
	asking->tcp.data = asking->timer.data = asking->connect.data = asking->write.data = asking;
	asking->handles = 2;
	uv_timer_start(&asking->timer, on_timer, PATIENCE_MS, 0);
	if (uv_tcp_connect(&asking->connect, &asking->tcp, &address.any, on_connected))
		end(asking, NULL, "cannot connect to the server's own address");
}
