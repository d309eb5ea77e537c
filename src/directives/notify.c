#include "notify.h"

#include <stdlib.h>
#include <string.h>

#include "vigie/log.h"
#include "vigie/query.h"
#include "vigie/answer.h"
#include "vigie/random.h"
#include "vigie/bytes.h"

enum {
	TRIES = 3,
	TRY_MS = 2000,
	NOTICES_MAX = 1024, /* under way: more are logged and left out */
	OPCODE_NOTIFY = 4 << 11
};

struct notifier {
	uv_loop_t *loop;
	struct notice *notices;
	size_t count;
	bool closed;
};

/* One zone and one secondary. */
struct notice {
	struct notice *next;
	struct notice *previous;
	struct notifier *notifier;
	struct vigie_name origin;
	union host_port to;
	uv_udp_t udp;
	uv_timer_t timer;
	unsigned handles; /* that are not closed yet */
	unsigned tries;
	uint16_t id;
	uint8_t reply[VIGIE_UDP_SIZE_PLAIN];
};

static void free_if_done(struct notifier *notifier)
{
	if (notifier->closed && notifier->count == 0)
		free(notifier);
}

static void on_closed(uv_handle_t *handle)
{
	struct notice *notice = handle->data;
	struct notifier *notifier = notice->notifier;

	if (--notice->handles > 0)
		return;
	if (notice->next)
		notice->next->previous = notice->previous;
	if (notice->previous)
		notice->previous->next = notice->next;
	else
		notifier->notices = notice->next;
	notifier->count--;
	free(notice);
	free_if_done(notifier);
}

static void end(struct notice *notice)
{
	if (uv_is_closing((uv_handle_t *)&notice->udp))
		return;
	uv_close((uv_handle_t *)&notice->udp, on_closed);
	uv_close((uv_handle_t *)&notice->timer, on_closed);
}

static void give_up(struct notice *notice, const char *why)
{
	char zone[VIGIE_NAME_TEXT_MAX];
	char to[HOST_PORT_TEXT_MAX];

	vigie_log(VIGIE_LOG_WARNING, "transfer", "Notify for zone \"%s\" was not accepted by %s: %s",
		  vigie_name_to_text(notice->origin.bytes, zone), host_port_to_text(&notice->to, to), why);
	end(notice);
}

static void on_timer(uv_timer_t *timer)
{
	struct notice *notice = timer->data;
	uint8_t query[VIGIE_HEADER_SIZE + VIGIE_NAME_MAX + 4];
	uv_buf_t buffer = uv_buf_init((char *)query, 0);
	int sent;

	if (notice->tries++ == TRIES) {
		give_up(notice, "no answer");
		return;
	}
	buffer.len = vigie_query_write(query, sizeof(query), notice->id, OPCODE_NOTIFY | VIGIE_FLAG_AA,
				       notice->origin.bytes, VIGIE_TYPE_SOA, VIGIE_CLASS_IN, false, false);
	sent = uv_udp_try_send(&notice->udp, &buffer, 1, NULL); /* one that is lost is sent again */
	if (sent < 0 && notice->tries == TRIES)
		give_up(notice, uv_strerror(sent));
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct notice *notice = handle->data;

	*buffer = uv_buf_init((char *)notice->reply, sizeof(notice->reply));
}

static void on_receive(uv_udp_t *udp, ssize_t got, const uv_buf_t *buffer, const struct sockaddr *from,
		       unsigned flags)
{
	struct notice *notice = udp->data;
	const uint8_t *reply = notice->reply;

	if (got < VIGIE_HEADER_SIZE || read_u16(reply) != notice->id || !(reply[2] & 0x80) ||
	    (reply[2] & 0x78) != OPCODE_NOTIFY >> 8)
		return; /* not the answer: it may still come */
	if (vigie_reply_rcode(reply) == VIGIE_RCODE_NOERROR)
		end(notice);
	else
		give_up(notice, "it refused");
}

struct notifier *notifier_new(uv_loop_t *loop)
{
	struct notifier *notifier = calloc(1, sizeof(*notifier));

	if (notifier)
		notifier->loop = loop;
	return notifier;
}

void notifier_close(struct notifier *notifier)
{
	if (!notifier)
		return;
	notifier->closed = true;
	for (struct notice *notice = notifier->notices; notice; notice = notice->next)
		end(notice);
	free_if_done(notifier);
}

void notifier_send(struct notifier *notifier, const struct vigie_name *origin, const union host_port *to,
		   const union host_port *source)
{
	struct notice *notice = notifier->count < NOTICES_MAX ? calloc(1, sizeof(*notice)) : NULL;
	int failed;

	if (!notice) {
		vigie_log(VIGIE_LOG_ERROR, "transfer", "A notify is left out: too many are under way");
		return;
	}
	notice->notifier = notifier;
	notice->origin = *origin;
	notice->to = *to;
	notice->id = (uint16_t)vigie_random_below(UINT16_MAX + 1U);
	notice->next = notifier->notices;
	if (notice->next)
		notice->next->previous = notice;
	notifier->notices = notice;
	notifier->count++;
	uv_udp_init(notifier->loop, &notice->udp);
	uv_timer_init(notifier->loop, &notice->timer);
	notice->udp.data = notice;
	notice->timer.data = notice;
	notice->handles = 2;
	failed = source ? uv_udp_bind(&notice->udp, &source->any, 0) : 0;
	if (!failed)
		failed = uv_udp_connect(&notice->udp, &to->any); /* other senders are not heard */
	if (!failed)
		failed = uv_udp_recv_start(&notice->udp, on_allocate, on_receive);
	if (failed) {
		give_up(notice, uv_strerror(failed));
		return;
	}
	uv_timer_start(&notice->timer, on_timer, 0, TRY_MS);
}
