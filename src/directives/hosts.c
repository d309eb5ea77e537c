/* `hosts [FILE [ZONES…]] { INLINE… ttl reload no_reverse fallthrough fallthrough_unsupported }`: names from a
 * hosts(5) file and from the Corefile. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <urcu-qsbr.h>

#include "directives.h"
#include "hosts_table.h"
#include "network.h"
#include "repeat.h"
#include "vigie/buffer.h"
#include "vigie/clock.h"
#include "vigie/file_stamp.h"
#include "vigie/log.h"
#include "vigie/metrics.h"

enum {
	TTL_DEFAULT = 3600,
	TTL_MAX = 65535,
	RELOAD_MS = 5000,    /* how often the file is looked at */
	FILE_MAX = 64 << 20, /* bytes of a file; the largest public lists have 10 MB */
	INLINE_MAX = 1 << 20 /* bytes of lines in the Corefile */
};

struct hosts {
	const char *path;
	struct zones zones;
	struct fallthrough fallthrough;
	bool fallthrough_unsupported;
	bool reverse;
	uint32_t ttl;
	uint64_t reload_ms;            /* 0: never */
	struct vigie_buffer lines;     /* those of the Corefile */
	struct hosts_table *table;     /* RCU: replaced whole by the main thread */
	struct vigie_file_stamp stamp; /* the main thread's, as all below */
	bool unreadable;               /* and the log says so already */
	uv_timer_t *timer;
};

struct reader {
	struct vigie_block *block;
	const struct vigie_statement *statement;
	struct hosts *hosts;
	struct vigie_error *error;
};

/* Reads the file, if there is one, and the Corefile's lines into a new table. */
static struct hosts_table *read_table(struct hosts *hosts, bool with_file)
{
	struct hosts_table *table = hosts_table_new();
	struct vigie_buffer text;

	vigie_buffer_init(&text, FILE_MAX);
	if (!table)
		return NULL;
	if (with_file) {
		enum vigie_status status = vigie_buffer_read_file(&text, hosts->path);

		if (status && !hosts->unreadable)
			vigie_log(VIGIE_LOG_ERROR, "hosts", "cannot read %s: %s", hosts->path,
				  status == VIGIE_EIO ? strerror(errno) : vigie_status_text(status));
		hosts->unreadable = status != VIGIE_OK;
		if (status)
			goto fail;
		if (hosts_table_add(table, &hosts->zones, (const char *)text.data, text.length))
			goto fail;
	}
	if (hosts_table_add(table, &hosts->zones, (const char *)hosts->lines.data, hosts->lines.length) ||
	    hosts_table_finish(table, hosts->reverse))
		goto fail;
	if (table->malformed > 0)
		vigie_log(VIGIE_LOG_WARNING, "hosts",
			  "%s: %zu lines without an address or a name are left out", hosts->path,
			  table->malformed);
	vigie_buffer_fini(&text);
	return table;

fail:
	vigie_buffer_fini(&text);
	hosts_table_free(table);
	return NULL;
}

/* Loads the file when it is not the one that was loaded. VIGIE_EIO leaves the table as it is. */
static enum vigie_status load(struct hosts *hosts)
{
	struct hosts_table *old = hosts->table;
	struct vigie_file_stamp stamp = vigie_file_stamp(hosts->path);
	struct hosts_table *table;

	if (old && vigie_file_stamp_same(&stamp, &hosts->stamp))
		return VIGIE_OK;
	table = read_table(hosts, stamp.exists);
	if (!table)
		return VIGIE_EIO;
	if (old && !stamp.exists)
		vigie_log(VIGIE_LOG_WARNING, "hosts", "File does not exist: %s", hosts->path);
	hosts->stamp = stamp;
	__atomic_store_n(&hosts->table, table, __ATOMIC_RELEASE);
	if (old) {
		synchronize_rcu(); /* workers are online for a batch at most */
		hosts_table_free(old);
	}
	return VIGIE_OK;
}

static enum vigie_status read_ttl(struct reader *reader, const struct vigie_statement *option)
{
	uint64_t ttl = TTL_DEFAULT;
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	if (!status)
		status = vigie_number_from_word(&option->args[0], 1, TTL_MAX, &ttl, reader->error);
	reader->hosts->ttl = (uint32_t)ttl;
	return status;
}

static enum vigie_status read_reload(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_args(option, 1, 1, reader->error);

	return status ? status
		      : vigie_duration_from_word(&option->args[0], &reader->hosts->reload_ms, reader->error);
}

static enum vigie_status read_fallthrough(struct reader *reader, const struct vigie_statement *option)
{
	return fallthrough_read(&reader->hosts->fallthrough, reader->block, option, reader->error);
}

static enum vigie_status read_fallthrough_unsupported(struct reader *reader,
						      const struct vigie_statement *option)
{
	reader->hosts->fallthrough_unsupported = true;
	return vigie_statement_args(option, 0, 0, reader->error);
}

static enum vigie_status read_no_reverse(struct reader *reader, const struct vigie_statement *option)
{
	reader->hosts->reverse = false;
	return vigie_statement_args(option, 0, 0, reader->error);
}

/* A line of the file that stands in the Corefile. */
static enum vigie_status read_line(struct reader *reader, const struct vigie_statement *option)
{
	struct vigie_buffer *lines = &reader->hosts->lines;
	enum vigie_status status = vigie_statement_args(option, 1, SIZE_MAX, reader->error);

	for (size_t i = 0; i < option->arg_count && !status; i++) {
		struct vigie_name name;

		if (vigie_name_from_text(&name, option->args[i].text))
			return vigie_word_error(reader->error, &option->args[i], "'%s' is no host name",
						option->args[i].text);
	}
	if (!status)
		status = vigie_buffer_append(lines, option->name.text, strlen(option->name.text));
	for (size_t i = 0; i < option->arg_count && !status; i++) {
		status = vigie_buffer_append(lines, " ", 1);
		if (!status)
			status = vigie_buffer_append(lines, option->args[i].text,
						     strlen(option->args[i].text));
	}
	if (!status)
		status = vigie_buffer_append(lines, "\n", 1);
	if (status == VIGIE_ENOSPC)
		return vigie_word_error(reader->error, &option->name,
					"'%s': the lines of 'hosts' have more than %d bytes",
					option->name.text, INLINE_MAX);
	return status == VIGIE_ENOMEM ? vigie_error_memory(reader->error) : status;
}

static const struct {
	const char *name;
	enum vigie_status (*read)(struct reader *reader, const struct vigie_statement *option);
} options[] = {
	{"fallthrough", read_fallthrough},
	{"fallthrough_unsupported", read_fallthrough_unsupported},
	{"no_reverse", read_no_reverse},
	{"reload", read_reload},
	{"ttl", read_ttl},
};

static enum vigie_status read_option(struct reader *reader, const struct vigie_statement *option)
{
	enum vigie_status status = vigie_statement_plain(option, reader->error);
	struct network address;

	if (status)
		return status;
	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		if (strcmp(options[i].name, option->name.text) == 0)
			return options[i].read(reader, option);
	}
	if (network_from_text(&address, option->name.text) == VIGIE_OK && !strchr(option->name.text, '/'))
		return read_line(reader, option);
	if (option->name.text[0] >= '0' && option->name.text[0] <= '9')
		return vigie_word_error(reader->error, &option->name, "'%s' is not an IP address",
					option->name.text);
	return vigie_option_unknown(reader->statement, option, reader->error);
}

static void hosts_free(void *instance)
{
	struct hosts *hosts = instance;

	hosts_table_free(hosts->table);
	vigie_buffer_fini(&hosts->lines);
	free(hosts);
}

static enum vigie_status read_all(struct reader *reader)
{
	const struct vigie_statement *statement = reader->statement;
	struct hosts *hosts = reader->hosts;
	enum vigie_status status;
	struct stat found;

	if (statement->arg_count > 0)
		hosts->path = vigie_block_path(reader->block, statement->args[0].text);
	status = zones_from_words_or_keys(
		&hosts->zones, reader->block, statement->arg_count > 0 ? statement->args + 1 : NULL,
		statement->arg_count > 0 ? statement->arg_count - 1 : 0, reader->error);
	for (size_t i = 0; i < statement->body_count && !status; i++)
		status = read_option(reader, &statement->body[i]);
	if (status)
		return status;
	if (hosts->fallthrough_unsupported && !hosts->fallthrough.set)
		return vigie_word_error(reader->error, &statement->name,
					"'fallthrough_unsupported' of 'hosts' needs 'fallthrough'");
	if (stat(hosts->path, &found)) {
		if (errno != ENOENT)
			return vigie_word_error(reader->error, &statement->name,
						"'hosts': cannot read '%s': %s", hosts->path,
						strerror(errno));
		/* It may come later: a volume is mounted, a program writes it. */
		vigie_log(VIGIE_LOG_WARNING, "hosts", "File does not exist: %s", hosts->path);
	} else if (S_ISDIR(found.st_mode)) {
		return vigie_word_error(reader->error, &statement->name, "'hosts': '%s' is a directory",
					hosts->path);
	}
	if (load(hosts) == VIGIE_OK)
		return VIGIE_OK;
	return vigie_word_error(reader->error, &statement->name, "'hosts': cannot read '%s': %s", hosts->path,
				errno ? strerror(errno) : "out of memory");
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct hosts *hosts = calloc(1, sizeof(*hosts));
	struct reader reader = {.block = block, .statement = statements[0], .hosts = hosts, .error = error};
	enum vigie_status status;

	if (!hosts)
		return vigie_error_memory(error);
	hosts->path = "/etc/hosts";
	hosts->reverse = true;
	hosts->ttl = TTL_DEFAULT;
	hosts->reload_ms = RELOAD_MS;
	vigie_buffer_init(&hosts->lines, INLINE_MAX);
	status = vigie_statement_once(statements, count, error);
	if (!status)
		status = read_all(&reader);
	if (status) {
		hosts_free(hosts);
		return status;
	}
	*instance = hosts;
	return VIGIE_OK;
}

static void on_timer(uv_timer_t *timer)
{
	load(timer->data);
}

static enum vigie_status start(struct vigie_block *block, void *instance, struct vigie_error *error)
{
	struct hosts *hosts = instance;

	if (hosts->reload_ms == 0)
		return VIGIE_OK;
	hosts->timer = repeat_start(block->process->loop, hosts->reload_ms, on_timer, hosts);
	return hosts->timer ? VIGIE_OK : vigie_error_memory(error);
}

static void stop(void *instance)
{
	struct hosts *hosts = instance;

	repeat_stop(&hosts->timer);
}

static void write_addresses(const struct hosts *hosts, struct vigie_answer *answer,
			    const struct hosts_entry *entries, size_t count)
{
	bool v4 = answer->query->type == VIGIE_TYPE_A;
	uint16_t length = v4 ? 4 : 16;

	for (size_t i = 0; i < count; i++) {
		uint8_t *rdata;

		if (entries[i].v4 != v4)
			continue;
		rdata = vigie_answer_rr(answer, VIGIE_ANSWER, VIGIE_OWNER_QUESTION, answer->query->type,
					hosts->ttl, length);
		if (!rdata)
			return;
		memcpy(rdata, entries[i].address + 16 - length, length);
	}
}

static enum vigie_verdict serve_reverse(const struct hosts *hosts, const struct hosts_table *table,
					struct vigie_request *request)
{
	const struct hosts_entry *entries;
	uint8_t address[16];
	size_t count;

	if (vigie_name_to_address(&request->query->name, address))
		return VIGIE_NEXT;
	entries = hosts_table_find_address(table, address, &count);
	if (count == 0)
		return VIGIE_NEXT; /* whether it falls through or not: names are listed, not networks */
	for (size_t i = 0; i < count; i++) {
		uint8_t *rdata = vigie_answer_rr(request->answer, VIGIE_ANSWER, VIGIE_OWNER_QUESTION,
						 VIGIE_TYPE_PTR, hosts->ttl, entries[i].name_length);

		if (!rdata)
			break;
		memcpy(rdata, entries[i].name, entries[i].name_length);
	}
	request->answer->flags |= VIGIE_FLAG_AA;
	return VIGIE_ANSWERED;
}

static enum vigie_verdict serve(void *instance, struct vigie_request *request)
{
	const struct hosts *hosts = instance;
	const struct hosts_table *table = __atomic_load_n(&hosts->table, __ATOMIC_ACQUIRE);
	const struct vigie_query *query = request->query;
	const struct hosts_entry *entries;
	size_t count;

	if (query->class != VIGIE_CLASS_IN)
		return VIGIE_NEXT;
	if (query->type == VIGIE_TYPE_PTR)
		return serve_reverse(hosts, table, request);
	if (!zones_match(&hosts->zones, &query->name))
		return VIGIE_NEXT;
	if (hosts->fallthrough_unsupported && query->type != VIGIE_TYPE_A && query->type != VIGIE_TYPE_AAAA &&
	    fallthrough_holds(&hosts->fallthrough, &query->name))
		return VIGIE_NEXT;
	entries = hosts_table_find(table, &query->name, &count);
	if (count == 0) {
		if (fallthrough_holds(&hosts->fallthrough, &query->name))
			return VIGIE_NEXT;
		/* A hosts file has no SOA that an NXDOMAIN could be cached by. */
		vigie_request_fail(request, VIGIE_RCODE_SERVFAIL, NULL);
		vigie_answer_explain(request->answer, VIGIE_EDE_OTHER, "hosts: the name is not listed");
		return VIGIE_ANSWERED;
	}
	if (query->type == VIGIE_TYPE_A || query->type == VIGIE_TYPE_AAAA)
		write_addresses(hosts, request->answer, entries, count);
	request->answer->flags |= VIGIE_FLAG_AA;
	return VIGIE_ANSWERED;
}

static void metrics(void *instance, struct vigie_metrics *metrics)
{
	const struct hosts *hosts = instance;
	char labels[PATH_MAX + VIGIE_NAME_TEXT_MAX] = "";
	char zone[VIGIE_NAME_TEXT_MAX];

	vigie_metrics_label(labels, sizeof(labels), "hostsfile", hosts->path);
	vigie_metrics_add(metrics, "coredns_hosts_entries", VIGIE_GAUGE,
			  "Names and addresses of the hosts file and the Corefile together.", labels,
			  (double)(hosts->table->name_count + hosts->table->address_count));
	/* Several instances may read one file, and samples with the same labels are summed. */
	vigie_metrics_label(labels, sizeof(labels), "zone",
			    vigie_name_to_text(hosts->zones.names[0].bytes, zone));
	if (hosts->stamp.size >= 0)
		vigie_metrics_add(metrics, "coredns_hosts_reload_timestamp_seconds", VIGIE_GAUGE_GREATEST,
				  "When the hosts file was last read, as Unix time.", labels,
				  (double)hosts->stamp.changed.tv_sec +
					  (double)hosts->stamp.changed.tv_nsec / 1e9);
}

const struct vigie_directive vigie_directive_hosts = {
	.name = "hosts",
	.role = VIGIE_ROLE_MEMORY,
	.setup = setup,
	.start = start,
	.stop = stop,
	.free = hosts_free,
	.serve = serve,
	.metrics = metrics,
};
