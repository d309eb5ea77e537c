/* `loop [{ fatal }]`: finds out whether what is forwarded comes back, by a question that nobody else can ask.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "directives.h"
#include "vigie/forward.h"
#include "vigie/log.h"
#include "vigie/metrics.h"
#include "vigie/random.h"

enum {
	TYPE_HINFO = 13,
	FIRST_MS = 100,  /* workers that are not up yet find the probe in their socket */
	WAIT_MS = 2000,  /* so long a probe may take to come back */
	TRIES = 15,      /* while a probe does not even arrive once: CoreDNS tries for 30 seconds, too */
	AGAIN_MS = 2000, /* until it is looked whether a loop has ended: twice as long each time */
	AGAIN_MAX_MS = 30000,
	SEEN_IN_A_LOOP = 2 /* once from ourselves, and once more by a way round */
};

/* What the timer's callbacks use: it goes when the loop has let go of the timer. */
struct probe {
	uv_timer_t timer;
	struct loop *loop;
	unsigned tries;
	uint64_t again_ms; /* until the next look at a loop */
};

struct loop {
	const struct vigie_block *block;
	const struct vigie_word *word;
	bool fatal;
	struct vigie_name zone;
	struct sockaddr_storage self; /* where this block listens */
	char self_text[80];
	struct probe *probe;

	/* The probe under way. The main thread writes the next name where no worker reads. */
	struct vigie_name names[2];
	_Atomic(const struct vigie_name *) name; /* NULL: none */
	atomic_uint seen;                        /* how often it has come */
	atomic_bool looping;                     /* it came back */
};

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct loop *loop = vigie_arena_alloc(block->arena, sizeof(*loop));
	enum vigie_status status = vigie_statement_once(statements, count, error);

	if (!status)
		status = vigie_statement_args(statements[0], 0, 0, error);
	for (size_t i = 0; i < statements[0]->body_count && !status; i++) {
		const struct vigie_statement *option = &statements[0]->body[i];

		if (strcmp(option->name.text, "fatal") != 0)
			return vigie_option_unknown(statements[0], option, error);
		status = vigie_statement_args(option, 0, 0, error);
		if (loop)
			loop->fatal = true;
	}
	if (status)
		return status;
	if (!loop)
		return vigie_error_memory(error);
	loop->block = block;
	loop->word = &statements[0]->name;
	loop->zone = block->source->keys[0].zone;
	*instance = loop;
	return VIGIE_OK;
}

/* The address of the block's first listener that a packet of our own reaches. */
static void find_self(struct loop *loop)
{
	const struct vigie_block *block = loop->block;
	uint16_t port = block->source->keys[0].port;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&loop->self;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&loop->self;
	const char *address = block->address_count > 0 ? block->addresses[0] : "127.0.0.1";

	*v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
	if (inet_pton(AF_INET, address, &v4->sin_addr) != 1) {
		*v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
		inet_pton(AF_INET6, address, &v6->sin6_addr);
	}
	snprintf(loop->self_text, sizeof(loop->self_text), strchr(address, ':') ? "[%s]:%u" : "%s:%u",
		 address, port);
}

/* 128 random bits in two labels of the zone: nobody can guess it. Each probe has a name of its own and is
 * sent once, so that one that comes twice has come by a way round. */
static const struct vigie_name *make_name(struct loop *loop)
{
	struct vigie_name *name =
		atomic_load(&loop->name) == &loop->names[0] ? &loop->names[1] : &loop->names[0];
	char text[VIGIE_NAME_TEXT_MAX + 64];
	char zone[VIGIE_NAME_TEXT_MAX];
	uint64_t random[2];

	vigie_random_bytes(random, sizeof(random));
	vigie_name_to_text(loop->zone.bytes, zone);
	snprintf(text, sizeof(text), "%016" PRIx64 ".%016" PRIx64 ".%s", random[0], random[1],
		 loop->zone.labels == 0 ? "" : zone);
	return vigie_name_from_text(name, text) == VIGIE_OK ? name : NULL;
}

static void send_probe(const struct loop *loop, const struct vigie_name *name)
{
	uint8_t packet[VIGIE_HEADER_SIZE + VIGIE_NAME_MAX + 4];
	uint16_t id = (uint16_t)vigie_random_below(65536);
	size_t length = vigie_query_write(packet, sizeof(packet), id, VIGIE_FLAG_RD, name->bytes, TYPE_HINFO,
					  VIGIE_CLASS_IN, false, false);
	socklen_t size =
		loop->self.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	int fd = socket(loop->self.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	/* What cannot be sent is not seen, and another one is tried. The answer is of no interest. */
	if (fd < 0)
		return;
	(void)!sendto(fd, packet, length, 0, (const struct sockaddr *)&loop->self, size);
	close(fd);
}

/* Whether an address is one of this host's: a socket can be bound to no other. */
static bool is_own(const struct vigie_target *target)
{
	struct sockaddr_storage address = target->address;
	bool v4 = address.ss_family == AF_INET;
	int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool own;

	if (fd < 0)
		return false;
	if (v4)
		((struct sockaddr_in *)&address)->sin_port = 0;
	else
		((struct sockaddr_in6 *)&address)->sin6_port = 0;
	own = bind(fd, (const struct sockaddr *)&address,
		   v4 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6)) == 0;
	close(fd);
	return own;
}

/* Says that a word of `forward` leads back, when it does: an address of this host, or a file that names one.
 * Where nothing else can be meant (`only`) it does even so. */
static bool accuse(const struct vigie_word *word, bool only, char *text, size_t size)
{
	struct vigie_target upstreams[VIGIE_UPSTREAMS_MAX];
	size_t count = 0;
	bool file = false;
	size_t i = 0;

	if (vigie_target_from_text(&upstreams[0], word->text) == VIGIE_OK)
		count = 1;
	else
		file = vigie_targets_from_resolv_conf(upstreams, &count, word->text) == VIGIE_OK;
	while (i < count && !is_own(&upstreams[i]))
		i++;
	if (i == count && !only)
		return false;
	if (file)
		snprintf(text, size,
			 "%s:%u: file '%s' names %s, which leads back here: on a host with systemd-resolved "
			 "use /run/systemd/resolve/resolv.conf (kubelet: resolvConf), else write the "
			 "addresses of your name servers into 'forward'",
			 word->file, word->line, word->text, upstreams[i < count ? i : 0].text);
	else
		snprintf(text, size, "%s:%u: '%s' of 'forward' leads back here: name another server",
			 word->file, word->line, word->text);
	return true;
}

/* Whether a `forward` is asked for the probe: its FROM is the block's zone or above it. */
static bool takes_probe(const struct loop *loop, const struct vigie_statement *statement)
{
	struct vigie_name from;

	return strcmp(statement->name.text, "forward") == 0 &&
	       (vigie_name_from_text(&from, statement->args[0].text) ||
		vigie_name_is_below(&loop->zone, &from));
}

/* Which word of the block's `forward` leads back. */
static void find_culprit(const struct loop *loop, char *text, size_t size)
{
	const struct vigie_server_block *source = loop->block->source;
	const struct vigie_word *last = NULL;
	size_t count = 0;

	for (size_t i = 0; i < source->statement_count; i++) {
		const struct vigie_statement *statement = &source->statements[i];

		if (!takes_probe(loop, statement))
			continue;
		for (size_t a = 1; a < statement->arg_count; a++) {
			last = &statement->args[a];
			count++;
			if (accuse(last, false, text, size))
				return;
		}
	}
	if (count == 1)
		accuse(last, true, text, size);
	else
		snprintf(text, size, "An upstream sends what it gets back here");
}

static void report(const struct loop *loop)
{
	char zone[VIGIE_NAME_TEXT_MAX];
	char name[VIGIE_NAME_TEXT_MAX];
	char culprit[1024];

	vigie_name_to_text(loop->zone.bytes, zone);
	vigie_name_to_text(atomic_load(&loop->name)->bytes, name);
	find_culprit(loop, culprit, sizeof(culprit));
	vigie_log(loop->fatal ? VIGIE_LOG_FATAL : VIGIE_LOG_ERROR, "loop",
		  "Loop (%s) detected for zone \"%s\", see https://coredns.io/plugins/loop#troubleshooting. "
		  "Query: "
		  "\"HINFO %s\". %s. %s",
		  loop->self_text, zone, name, culprit,
		  loop->fatal ? "Ending, as 'fatal' says"
			      : "Until that is mended, what would be forwarded is answered SERVFAIL");
	if (loop->fatal) {
		vigie_log_stop();
		_exit(1); /* workers still run: nothing is to be freed under them */
	}
}

/* The probe of the last round has come back, or come once, or not at all. */
static void on_timer(uv_timer_t *timer)
{
	struct probe *probe = timer->data;
	struct loop *loop = probe->loop;
	const struct vigie_name *name;
	bool was_looping = atomic_load(&loop->looping);
	unsigned seen = atomic_load(&loop->seen);

	if (seen >= SEEN_IN_A_LOOP) {
		if (!was_looping) {
			report(loop);
			probe->again_ms = AGAIN_MS;
		}
		atomic_store(&loop->looping, true);
		atomic_store(&loop->seen, 0);
		atomic_store(&loop->name, NULL);
		probe->tries = 0;
		uv_timer_start(timer, on_timer, probe->again_ms, 0);
		probe->again_ms = probe->again_ms < AGAIN_MAX_MS / 2 ? 2 * probe->again_ms : AGAIN_MAX_MS;
		return;
	}
	if (seen > 0 || probe->tries++ >= TRIES) {
		/* None is looked for any more, as CoreDNS does it. */
		atomic_store(&loop->name, NULL);
		atomic_store(&loop->looping, false);
		if (was_looping)
			vigie_log(VIGIE_LOG_INFO, "loop", "The loop has ended; forwarding again");
		return;
	}
	name = make_name(loop);
	if (!name)
		return; /* the zone leaves no room for it */
	atomic_store(&loop->name, name);
	send_probe(loop, name);
	uv_timer_start(timer, on_timer, WAIT_MS, 0);
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct loop *loop = instance;

	if (block->source->keys[0].transport != VIGIE_TRANSPORT_DNS)
		return VIGIE_OK; /* DNS over TLS is not forwarded to */
	loop->probe = calloc(1, sizeof(*loop->probe));
	if (!loop->probe)
		return vigie_error_memory(error);
	loop->probe->loop = loop;
	find_self(loop);
	uv_timer_init(block->process->loop, &loop->probe->timer);
	loop->probe->timer.data = loop->probe;
	uv_timer_start(&loop->probe->timer, on_timer, FIRST_MS, 0);
	return VIGIE_OK;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void stop(void *instance)
{
	struct loop *loop = instance;

	if (!loop->probe)
		return;
	uv_close((uv_handle_t *)&loop->probe->timer, on_closed);
	loop->probe = NULL;
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	struct loop *loop = instance;
	const struct vigie_query *query = request->query;
	const struct vigie_name *name = query->type == TYPE_HINFO ? atomic_load(&loop->name) : NULL;

	if (name && query->name.length == name->length &&
	    memcmp(query->name.bytes, name->bytes, name->length) == 0) {
		request->silent = true;
		if (atomic_fetch_add(&loop->seen, 1) + 1 < SEEN_IN_A_LOOP)
			return VIGIE_NEXT;
		return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, "it came back: a loop");
	}
	if (!atomic_load_explicit(&loop->looping, memory_order_relaxed))
		return VIGIE_NEXT;
	return vigie_request_fail(request, VIGIE_RCODE_SERVFAIL,
				  "what is forwarded comes back: see the log of 'loop'");
}

static void metrics(void *instance, struct vigie_metrics *scrape)
{
	struct loop *loop = instance;
	char labels[VIGIE_NAME_TEXT_MAX + 16] = "";
	char zone[VIGIE_NAME_TEXT_MAX];

	vigie_metrics_label(labels, sizeof(labels), "zone", vigie_name_to_text(loop->zone.bytes, zone));
	vigie_metrics_add(scrape, "vigie_loop_detected", VIGIE_GAUGE_GREATEST,
			  "Whether what is forwarded comes back.", labels, atomic_load(&loop->looping));
}

const struct vigie_directive vigie_directive_loop = {
	.name = "loop",
	.setup = setup,
	.start = start,
	.stop = stop,
	.serve = serve,
	.metrics = metrics,
};
