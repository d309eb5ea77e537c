/* vigie: a DNS server for Kubernetes clusters. Flags, signals, and the life of one server. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <urcu-qsbr.h>
#include <uv.h>

#include "commands/commands.h"
#include "commands/flags.h"
#include "vigie/corefile.h"
#include "vigie/directive.h"
#include "vigie/hash.h"
#include "vigie/log.h"
#include "vigie/server.h"

enum {
	EXIT_INTERRUPTED = 2, /* a second SIGINT, as caddy exits */
	LARGE_PIECE = 131072  /* bytes of memory that come from the kernel and go back there */
};

struct life {
	uv_loop_t loop;
	uv_signal_t terminate;
	uv_signal_t interrupt;
	uv_signal_t reload;
	struct vigie_server *server;
	bool ending;
};

static void on_drained(void *argument)
{
	struct life *life = argument;

	uv_close((uv_handle_t *)&life->terminate, NULL);
	uv_close((uv_handle_t *)&life->interrupt, NULL);
	uv_close((uv_handle_t *)&life->reload, NULL);
	uv_stop(&life->loop);
}

static void on_signal(uv_signal_t *handle, int signal)
{
	struct life *life = handle->data;

	if (life->ending) {
		if (signal == SIGINT)
			_exit(EXIT_INTERRUPTED);
		return;
	}
	life->ending = true;
	vigie_log(VIGIE_LOG_INFO, NULL, "%s: Shutting down servers then terminating",
		  signal == SIGINT ? "SIGINT" : "SIGTERM");
	vigie_server_drain(life->server, on_drained, life);
}

static void on_reload(uv_signal_t *handle, int signal)
{
	struct life *life = handle->data;

	if (life->ending)
		return;
	vigie_log(VIGIE_LOG_INFO, NULL, "SIGUSR1: Reloading");
	vigie_server_reload(life->server, false, NULL, NULL);
}

static void list_directives(void)
{
	for (size_t i = 0; vigie_directives[i]; i++)
		printf("dns.%s\n", vigie_directives[i]->name);
}

static enum vigie_status write_pidfile(const char *path, struct vigie_error *error)
{
	FILE *file = fopen(path, "we");
	bool failed;

	if (!file)
		return vigie_error_set(error, VIGIE_EIO, "cannot write the pidfile %s: %s", path,
				       strerror(errno));
	failed = fprintf(file, "%d\n", getpid()) < 0;
	failed |= fclose(file) != 0;
	if (failed)
		return vigie_error_set(error, VIGIE_EIO, "cannot write the pidfile %s: %s", path,
				       strerror(errno));
	return VIGIE_OK;
}

/* Runs the server until it is told to end. */
static enum vigie_status serve(struct life *life, const struct flags *flags,
			       const struct vigie_corefile *corefile, struct vigie_error *error)
{
	enum vigie_status status;

	life->server = vigie_server_new(&life->loop, corefile, error);
	if (!life->server)
		return VIGIE_EINVAL;
	status = vigie_server_start(life->server, error);
	if (!status && flags->pidfile)
		status = write_pidfile(flags->pidfile, error);
	if (status)
		return status;
	uv_signal_init(&life->loop, &life->terminate);
	uv_signal_init(&life->loop, &life->interrupt);
	uv_signal_init(&life->loop, &life->reload);
	life->terminate.data = life->interrupt.data = life->reload.data = life;
	uv_signal_start(&life->terminate, on_signal, SIGTERM);
	uv_signal_start(&life->interrupt, on_signal, SIGINT);
	uv_signal_start(&life->reload, on_reload, SIGUSR1);
	vigie_server_set_source(life->server, flags_corefile(flags), flags->port);
	if (!flags->quiet) {
		vigie_server_print(life->server);
		vigie_log_plain("vigie-%s", VIGIE_VERSION);
	}
	rcu_thread_offline();
	uv_run(&life->loop, UV_RUN_DEFAULT);
	rcu_thread_online();
	if (flags->pidfile)
		unlink(flags->pidfile);
	return VIGIE_OK;
}

static int run(const struct flags *flags)
{
	struct vigie_arena *arena = vigie_arena_new();
	struct vigie_corefile corefile;
	struct vigie_error error = {"out of memory"};
	struct life life = {0};
	enum vigie_status status = VIGIE_ENOMEM;

	vigie_log_set_json(flags->log_json);
	if (!arena || uv_loop_init(&life.loop) || vigie_log_start())
		goto done;
	status = vigie_corefile_read(&corefile, arena, flags_corefile(flags), flags->port, &error);
	if (!status)
		status = serve(&life, flags, &corefile, &error);
	vigie_server_free(life.server);
	uv_run(&life.loop, UV_RUN_DEFAULT); /* what was closed is freed */
	uv_loop_close(&life.loop);

done:
	vigie_log_stop();
	vigie_arena_free(arena);
	if (status && flags->log_json)
		vigie_log(VIGIE_LOG_FATAL, NULL, "%s", error.text);
	else if (status)
		fprintf(stderr, "vigie: %s\n", error.text);
	return status ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Serves as the flags say, or does what else they ask for. */
static int serve_with_flags(int argc, char **argv)
{
	struct vigie_error error;
	struct flags flags;

	if (flags_parse(&flags, argc, argv, &error)) {
		fprintf(stderr, "vigie: %s\n%s", error.text, flags_usage);
		return EXIT_USAGE;
	}
	if (flags.help) {
		fputs(flags_usage, stdout);
		return EXIT_SUCCESS;
	}
	if (flags.version) {
		printf("vigie-%s\n", VIGIE_VERSION);
		return EXIT_SUCCESS;
	}
	if (flags.plugins) {
		list_directives();
		return EXIT_SUCCESS;
	}
	return run(&flags);
}

int main(int argc, char **argv)
{
	const struct command *command = argc > 1 ? command_get(argv[1]) : NULL;
	int code;

	/* Else the allocator raises this bound by itself, and tables that are built anew now and then leave
	 * holes in the heap that nothing of their size fits into again. */
	mallopt(M_MMAP_THRESHOLD, LARGE_PIECE);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	vigie_hash_init();
	rcu_register_thread();
	code = command ? command->run(argc - 1, argv + 1) : serve_with_flags(argc, argv);
	rcu_unregister_thread();
	return code;
}
