#include "vigie/curl_loop.h"

#include <pthread.h>
#include <stdlib.h>

struct vigie_curl_loop {
	uv_loop_t *loop;
	uv_timer_t timer;
	CURLM *multi;
	vigie_curl_done *done;
	struct watch *watches; /* a list */
};

/* One of curl's sockets, watched on the loop. */
struct watch {
	uv_poll_t poll;
	struct vigie_curl_loop *curl;
	curl_socket_t socket;
	struct watch *next;
};

static void check_done(struct vigie_curl_loop *curl)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(curl->multi, &left))) {
		if (message->msg == CURLMSG_DONE)
			curl->done(message->easy_handle, message->data.result);
	}
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;
	struct vigie_curl_loop *curl = watch->curl;
	int flags =
		(events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
	int running;

	curl_multi_socket_action(curl->multi, watch->socket, status < 0 ? CURL_CSELECT_ERR : flags, &running);
	check_done(curl);
}

static void on_watch_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void watch_close(struct watch *watch)
{
	struct watch **at = &watch->curl->watches;

	while (*at != watch)
		at = &(*at)->next;
	*at = watch->next;
	uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *argument, void *socket_argument)
{
	struct vigie_curl_loop *curl = argument;
	struct watch *watch = socket_argument;
	int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

	if (what == CURL_POLL_REMOVE) {
		curl_multi_assign(curl->multi, socket, NULL);
		if (watch)
			watch_close(watch);
		return 0;
	}
	if (!watch) {
		watch = calloc(1, sizeof(*watch));
		if (!watch || uv_poll_init_socket(curl->loop, &watch->poll, socket)) {
			free(watch);
			return -1;
		}
		watch->curl = curl;
		watch->socket = socket;
		watch->poll.data = watch;
		watch->next = curl->watches;
		curl->watches = watch;
		curl_multi_assign(curl->multi, socket, watch);
	}
	return uv_poll_start(&watch->poll, events, on_poll) ? -1 : 0;
}

static void on_timeout(uv_timer_t *timer)
{
	struct vigie_curl_loop *curl = timer->data;
	int running;

	curl_multi_socket_action(curl->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	check_done(curl);
}

static int on_timer(CURLM *multi, long timeout_ms, void *argument)
{
	struct vigie_curl_loop *curl = argument;

	if (timeout_ms < 0)
		uv_timer_stop(&curl->timer);
	else
		uv_timer_start(&curl->timer, on_timeout, (uint64_t)timeout_ms, 0);
	return 0;
}

static void prepare(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct vigie_curl_loop *vigie_curl_loop_new(uv_loop_t *loop, vigie_curl_done *done)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct vigie_curl_loop *curl = calloc(1, sizeof(*curl));

	if (!curl)
		return NULL;
	pthread_once(&once, prepare);
	curl->multi = curl_multi_init();
	if (!curl->multi) {
		free(curl);
		return NULL;
	}
	curl->loop = loop;
	curl->done = done;
	uv_timer_init(loop, &curl->timer);
	curl->timer.data = curl;
	curl_multi_setopt(curl->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
	curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl);
	curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl);
	return curl;
}

CURLM *vigie_curl_loop_multi(struct vigie_curl_loop *curl)
{
	return curl->multi;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void vigie_curl_loop_close(struct vigie_curl_loop *curl)
{
	/* curl closes what is idle without telling of it: the sockets are forgotten first. */
	curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, NULL);
	curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, NULL);
	while (curl->watches)
		watch_close(curl->watches);
	curl_multi_cleanup(curl->multi);
	uv_close((uv_handle_t *)&curl->timer, on_closed);
}
