#include "control.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "metrics.h"
#include "vigie/clock.h"
#include "vigie/control.h"
#include "vigie/log.h"

enum { DETAIL_MAX = 64 << 10 /* bytes of what directives say of their state */ };

static json_t *show_counters(const struct vigie_server *server)
{
	struct counters sum;
	uint64_t refused = 0;
	uint64_t suspended = 0;
	uint64_t connections = 0;

	counters_sum(&sum, server->workers, server->worker_count);
	for (int gate = 0; gate < VIGIE_GATES; gate++)
		refused += sum.refused[gate];
	for (unsigned w = 0; w < server->worker_count; w++) {
		suspended += __atomic_load_n(&server->workers[w]->suspended, __ATOMIC_RELAXED);
		connections += __atomic_load_n(&server->workers[w]->connection_count, __ATOMIC_RELAXED);
	}
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "queries_udp",
			 (json_int_t)sum.queries[VIGIE_CHANNEL_UDP], "queries_tcp",
			 (json_int_t)sum.queries[VIGIE_CHANNEL_TCP], "malformed", (json_int_t)refused,
			 "dropped", (json_int_t)sum.dropped, "unserved", (json_int_t)sum.unserved, "unsent",
			 (json_int_t)sum.udp_unsent, "waiting", (json_int_t)suspended, "connections",
			 (json_int_t)connections);
}

static json_t *show_blocks(const struct generation *generation)
{
	json_t *blocks = json_array();

	for (size_t b = 0; b < generation->block_count; b++) {
		const struct block *block = generation->blocks[b];
		json_t *keys = json_array();
		json_t *servers = json_array();
		json_t *names = json_array();

		for (size_t k = 0; k < block->setup.source->key_count; k++)
			json_array_append_new(keys, json_string(block->setup.source->keys[k].word.text));
		for (size_t p = 0; p < block->setup.place_count; p++)
			json_array_append_new(servers, json_string(block->setup.places[p].server->text));
		for (size_t i = 0; i < block->link_count; i++)
			json_array_append_new(names, json_string(block->links[i].directive->name));
		json_array_append_new(blocks, json_pack("{s:o,s:o,s:o}", "keys", keys, "servers", servers,
							"directives", names));
	}
	return blocks;
}

static json_t *show_detail(const struct generation *generation)
{
	json_t *lines = json_array();
	struct vigie_buffer text;
	size_t start = 0;

	vigie_buffer_init(&text, DETAIL_MAX);
	generation_detail(generation, &text);
	for (size_t i = 0; i < text.length; i++) {
		if (text.data[i] != '\n')
			continue;
		json_array_append_new(lines, json_stringn((const char *)text.data + start, i - start));
		start = i + 1;
	}
	vigie_buffer_fini(&text);
	return lines;
}

static const char *const levels[] = {
	[VIGIE_LOG_DEBUG] = "debug", [VIGIE_LOG_INFO] = "info",   [VIGIE_LOG_WARNING] = "warning",
	[VIGIE_LOG_ERROR] = "error", [VIGIE_LOG_FATAL] = "fatal",
};

static void show_status(struct vigie_server *server, struct vigie_control_question *question)
{
	const struct reload *reload = &server->reload;
	const struct generation *generation = server->current;
	struct vigie_buffer unready;
	json_t *status;

	vigie_buffer_init(&unready, DETAIL_MAX);
	status = json_pack("{s:s,s:i,s:I,s:b,s:i,s:s,s:s,s:s,s:I,s:I,s:s,s:I,s:o,s:o,s:o}", "version",
			   "vigie-" VIGIE_VERSION, "pid", (int)getpid(), "uptime_seconds",
			   (json_int_t)((vigie_clock_ms() - server->start_ms) / 1000), "ready",
			   generation_ready(generation, &unready), "workers", (int)server->worker_count,
			   "corefile", reload->path ? reload->path : "", "configuration", generation->hash,
			   "log", levels[vigie_log_level()], "reloads", (json_int_t)reload->done,
			   "reloads_failed", (json_int_t)reload->failed, "reload_error", reload->error,
			   "log_lines_lost", (json_int_t)vigie_log_lost(), "counters", show_counters(server),
			   "blocks", show_blocks(generation), "state", show_detail(generation));
	if (unready.length > 0)
		json_object_set_new(status, "not_ready",
				    json_stringn((const char *)unready.data, unready.length));
	vigie_buffer_fini(&unready);
	vigie_control_reply(question, status);
}

static void set_log(struct vigie_control_question *question, const char *word)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		if (strcasecmp(levels[i], word) != 0)
			continue;
		vigie_log_set_level((enum vigie_log_level)i);
		vigie_control_reply(question, json_pack("{s:s}", "log", levels[i]));
		return;
	}
	vigie_control_refuse(question, "a log level is debug, info, warning, error or fatal");
}

static void on_reloaded(void *argument, const char *trouble)
{
	struct vigie_control_question *question = argument;

	if (trouble)
		vigie_control_refuse(question, trouble);
	else
		vigie_control_reply(question, json_pack("{s:s}", "reload", "done"));
}

static void on_question(void *argument, struct vigie_control_question *question, size_t count,
			const char *const *words)
{
	struct vigie_server *server = argument;

	if (strcmp(words[0], "status") == 0 && count == 1)
		show_status(server, question);
	else if (strcmp(words[0], "log") == 0 && count == 2)
		set_log(question, words[1]);
	else if (strcmp(words[0], "reload") == 0 && count == 1)
		vigie_server_reload(server, false, on_reloaded, question);
	else if (strcmp(words[0], "trace") == 0 && (count == 2 || count == 3))
		control_trace(server, question, words[1], words[2] ? words[2] : "A");
	else
		control_ask_directives(server, question, count, words);
}

/* Whether the folder of VIGIE_CONTROL_PATH_SHM is this user's alone, who makes it: others may write beside
 * it. */
static bool make_shm_folder(void)
{
	static const char folder[] = "/dev/shm/vigie";
	struct stat is;

	mkdir(folder, 0700);
	return lstat(folder, &is) == 0 && S_ISDIR(is.st_mode) && is.st_uid == geteuid() &&
	       (is.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool open_at(struct vigie_server *server, const char *path, struct vigie_error *reason)
{
	server->control_path = strdup(path);
	if (!server->control_path) {
		vigie_error_memory(reason);
		return false;
	}
	server->control = vigie_control_open(server->process.loop, path, on_question, server, reason);
	if (!server->control) {
		free(server->control_path);
		server->control_path = NULL;
	}
	return server->control != NULL;
}

static bool open_somewhere(struct vigie_server *server, struct vigie_error *reason)
{
	struct vigie_error other;

	return open_at(server, VIGIE_CONTROL_PATH, reason) ||
	       (access("/run/vigie", W_OK) && make_shm_folder() &&
		open_at(server, VIGIE_CONTROL_PATH_SHM, &other));
}

static bool is_open_at(const struct vigie_server *server, const char *asked)
{
	if (!server->control)
		return false;
	if (asked)
		return strcmp(server->control_path, asked) == 0;
	return strcmp(server->control_path, VIGIE_CONTROL_PATH) == 0 ||
	       strcmp(server->control_path, VIGIE_CONTROL_PATH_SHM) == 0;
}

enum vigie_status server_control_open(struct vigie_server *server, struct vigie_error *error)
{
	const char *asked = server->current->process.control;
	struct vigie_error reason;

	if (is_open_at(server, asked))
		return VIGIE_OK;
	server_control_close(server);
	if (asked && strcmp(asked, "off") == 0)
		return VIGIE_OK;
	if (asked ? open_at(server, asked, &reason) : open_somewhere(server, &reason))
		return VIGIE_OK;
	if (asked)
		return vigie_error_set(error, VIGIE_EIO, "%s", reason.text);
	vigie_log(VIGIE_LOG_INFO, NULL,
		  "no vigie ctl for this process: %s; 'control PATH' in the Corefile gives it a place",
		  reason.text);
	return VIGIE_OK;
}

void server_control_close(struct vigie_server *server)
{
	control_end_asking(server);
	vigie_control_close(server->control);
	server->control = NULL;
	free(server->control_path);
	server->control_path = NULL;
}
