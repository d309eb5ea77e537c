/* The control socket: `vigie ctl` asks one question on a connection, as a line with a JSON array of words,
 * and gets one JSON object. A Unix socket that only this process' user may open (mode 0600), served by the
 * main loop; a client that hangs costs DNS nothing. */
#ifndef VIGIE_CONTROL_H
#define VIGIE_CONTROL_H

#include <jansson.h>
#include <stddef.h>
#include <uv.h>

#include "vigie/status.h"

enum {
	VIGIE_CONTROL_CONNECTIONS_MAX = 16, /* a further one ends the oldest that waits for no answer */
	VIGIE_CONTROL_QUESTION_MAX = 4096,  /* bytes of the line */
	VIGIE_CONTROL_WORDS_MAX = 8,
	VIGIE_CONTROL_SECONDS = 30 /* for the question to come, the answer to be found, and to be read */
};

#define VIGIE_CONTROL_PATH "/run/vigie/control.sock"
/* Where the folder of the first can be neither made nor written to: the root of a container is read-only as a
 * rule, and this is memory of its own. */
#define VIGIE_CONTROL_PATH_SHM "/dev/shm/vigie/control.sock"

struct vigie_control;
struct vigie_control_question;

/* Answers a question by vigie_control_reply, now or later: exactly once. `words` ends with NULL and is valid
 * during the call. In the main thread. */
typedef void vigie_control_handler(void *argument, struct vigie_control_question *question, size_t count,
				   const char *const *words);

/* Opens the socket, in the place of one that nobody serves any more; the last folder of the path is made when
 * it is missing. NULL and `error` set on failure. */
struct vigie_control *vigie_control_open(uv_loop_t *loop, const char *path, vigie_control_handler *handler,
					 void *argument, struct vigie_error *error);

/* The answer; takes the reference. NULL stands for memory that is out. */
void vigie_control_reply(struct vigie_control_question *question, json_t *reply);

/* {"error": "…"}. */
void vigie_control_refuse(struct vigie_control_question *question, const char *reason);

/* Closes and removes the socket. Questions whose answers are still being found may be answered later: nobody
 * hears of it. */
void vigie_control_close(struct vigie_control *control);

#endif
