#include "vigie/control.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128 };

struct vigie_control {
	uv_pipe_t pipe;
	vigie_control_handler *handler;
	void *argument;
	struct vigie_control_question *questions; /* whose connections are open */
	size_t connections;
	size_t references; /* the owner, the pipe, each connection */
	bool closed;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* A connection, its question and its answer. */
struct vigie_control_question {
	struct vigie_control_question *next;
	struct vigie_control *control;
	uv_pipe_t pipe;
	uv_timer_t timer;
	uv_write_t write;
	char *reply;
	size_t length; /* bytes of the question so far */
	unsigned handles;
	bool closing;
	bool asked; /* the handler has it: it is freed after its reply */
	char text[VIGIE_CONTROL_QUESTION_MAX];
};

static void release(struct vigie_control *control)
{
	if (--control->references == 0)
		free(control);
}

static void question_free(struct vigie_control_question *question)
{
	struct vigie_control *control = question->control;

	if (question->handles > 0 || question->asked)
		return;
	free(question->reply);
	free(question);
	release(control);
}

static void on_question_closed(uv_handle_t *handle)
{
	struct vigie_control_question *question = handle->data;

	question->handles--;
	question_free(question);
}

static void question_close(struct vigie_control_question *question)
{
	struct vigie_control_question **at = &question->control->questions;

	if (question->closing)
		return;
	question->closing = true;
	while (*at != question)
		at = &(*at)->next;
	*at = question->next;
	question->control->connections--;
	uv_close((uv_handle_t *)&question->pipe, on_question_closed);
	uv_close((uv_handle_t *)&question->timer, on_question_closed);
}

static void on_written(uv_write_t *write, int status)
{
	struct vigie_control_question *question = write->data;

	question_close(question);
}

void vigie_control_reply(struct vigie_control_question *question, json_t *reply)
{
	uv_buf_t parts[2];

	question->asked = false;
	if (question->closing) {
		json_decref(reply);
		question_free(question);
		return;
	}
	question->reply = reply ? json_dumps(reply, JSON_COMPACT) : NULL;
	json_decref(reply);
	if (!question->reply) {
		question_close(question);
		return;
	}
	parts[0] = uv_buf_init(question->reply, (unsigned)strlen(question->reply));
	parts[1] = uv_buf_init((char *)"\n", 1);
	question->write.data = question;
	if (uv_write(&question->write, (uv_stream_t *)&question->pipe, parts, 2, on_written))
		question_close(question);
}

void vigie_control_refuse(struct vigie_control_question *question, const char *reason)
{
	vigie_control_reply(question, json_pack("{s:s}", "error", reason));
}

static void ask(struct vigie_control_question *question)
{
	struct vigie_control *control = question->control;
	const char *words[VIGIE_CONTROL_WORDS_MAX + 1] = {NULL};
	json_t *line = json_loads(question->text, 0, NULL);
	size_t count = json_array_size(line);

	uv_read_stop((uv_stream_t *)&question->pipe);
	question->asked = true;
	for (size_t i = 0; i < count && i < VIGIE_CONTROL_WORDS_MAX; i++)
		words[i] = json_string_value(json_array_get(line, i));
	for (size_t i = 0; i < count; i++) {
		if (i >= VIGIE_CONTROL_WORDS_MAX || !words[i])
			count = 0;
	}
	if (count == 0)
		vigie_control_refuse(question, "the question is no line with a JSON array of words");
	else
		control->handler(control->argument, question, count, words);
	json_decref(line);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
	struct vigie_control_question *question = handle->data;

	*buffer = uv_buf_init(question->text + question->length,
			      (unsigned)(sizeof(question->text) - 1 - question->length));
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
	struct vigie_control_question *question = stream->data;
	char *end;

	if (got < 0) { /* also when there is no room left */
		question_close(question);
		return;
	}
	question->length += (size_t)got;
	question->text[question->length] = 0;
	end = strchr(question->text, '\n');
	if (!end)
		return;
	*end = 0;
	ask(question);
}

static void on_timer(uv_timer_t *timer)
{
	question_close(timer->data);
}

/* Makes room by ending the connection that has been there for longest, but for those whose answer is being
 * found: whoever hangs must not lock others out. */
static void evict(struct vigie_control *control)
{
	struct vigie_control_question *oldest = NULL;

	for (struct vigie_control_question *question = control->questions; question;
	     question = question->next) {
		if (!question->asked)
			oldest = question;
	}
	if (oldest)
		question_close(oldest);
}

static void on_connection(uv_stream_t *stream, int status)
{
	struct vigie_control *control = stream->data;
	struct vigie_control_question *question = status < 0 ? NULL : calloc(1, sizeof(*question));

	if (!question)
		return;
	if (control->connections == VIGIE_CONTROL_CONNECTIONS_MAX)
		evict(control);
	question->control = control;
	uv_pipe_init(stream->loop, &question->pipe, 0);
	uv_timer_init(stream->loop, &question->timer);
	question->pipe.data = question->timer.data = question;
	question->handles = 2;
	question->next = control->questions;
	control->questions = question;
	control->references++;
	control->connections++;
	if (uv_accept(stream, (uv_stream_t *)&question->pipe) ||
	    control->connections > VIGIE_CONTROL_CONNECTIONS_MAX ||
	    uv_read_start((uv_stream_t *)&question->pipe, on_allocate, on_read)) {
		question_close(question);
		return;
	}
	uv_timer_start(&question->timer, on_timer, VIGIE_CONTROL_SECONDS * 1000, 0);
}

/* Whether somebody listens on a socket. */
static bool is_served(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool served = fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
				  errno == EAGAIN);

	if (fd >= 0)
		close(fd);
	return served;
}

/* What errno says, and more of an address in use. */
static const char *why_not_bound(const char *path)
{
	struct stat file;

	if (errno != EADDRINUSE)
		return strerror(errno);
	if (lstat(path, &file) == 0 && !S_ISSOCK(file.st_mode))
		return "there is a file that is no socket";
	return "it is served already";
}

/* Whether a socket stands there that nobody serves any more. */
static bool is_left_behind(const struct sockaddr_un *address)
{
	struct stat file;

	return lstat(address->sun_path, &file) == 0 && S_ISSOCK(file.st_mode) && !is_served(address);
}

static void make_folder(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	strcpy(folder, path);
	slash = strrchr(folder, '/');
	if (!slash || slash == folder)
		return;
	*slash = 0;
	mkdir(folder, 0755); /* that it failed shows when the socket is bound */
}

/* Binds; -1 with errno set. */
static int bind_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int saved;

	strcpy(address.sun_path, path);
	make_folder(path);
	/* The file gets the mode that the socket has: there is no moment in which others may open it. */
	if (fd >= 0 && fchmod(fd, 0600) == 0) {
		if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		if (errno == EADDRINUSE && is_left_behind(&address) && unlink(path) == 0 &&
		    bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
	}
	saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

static void on_closed(uv_handle_t *handle)
{
	release(handle->data);
}

struct vigie_control *vigie_control_open(uv_loop_t *loop, const char *path, vigie_control_handler *handler,
					 void *argument, struct vigie_error *error)
{
	struct vigie_control *control = calloc(1, sizeof(*control));
	int fd = -1;

	if (!control) {
		vigie_error_memory(error);
		return NULL;
	}
	errno = ENAMETOOLONG;
	if (strlen(path) < sizeof(control->path))
		fd = bind_socket(path);
	if (fd < 0) {
		vigie_error_set(error, VIGIE_EIO, "the control socket %s: %s", path, why_not_bound(path));
		free(control);
		return NULL;
	}
	strcpy(control->path, path);
	control->handler = handler;
	control->argument = argument;
	control->references = 2;
	uv_pipe_init(loop, &control->pipe, 0);
	control->pipe.data = control;
	if (uv_pipe_open(&control->pipe, fd) ||
	    uv_listen((uv_stream_t *)&control->pipe, BACKLOG, on_connection)) {
		vigie_error_set(error, VIGIE_EIO, "the control socket %s cannot be served", path);
		vigie_control_close(control);
		return NULL;
	}
	return control;
}

void vigie_control_close(struct vigie_control *control)
{
	if (!control)
		return;
	unlink(control->path);
	while (control->questions)
		question_close(control->questions);
	uv_close((uv_handle_t *)&control->pipe, on_closed);
	release(control);
}
