/* What `vigie ctl` asks: status, trace, records, cache, reload, log. */
#ifndef VIGIE_SERVER_CONTROL_H
#define VIGIE_SERVER_CONTROL_H

#include "state.h"
#include "vigie/control.h"

/* Opens the socket that the current generation asks for; a default one that cannot be opened is worth a line
 * in the log, one that was asked for is an error. The one that was open and is no more asked for is closed.
 */
enum vigie_status server_control_open(struct vigie_server *server, struct vigie_error *error);
void server_control_close(struct vigie_server *server);

/* Asks the server, by TCP, what way a name takes, and answers the question. */
void control_trace(struct vigie_server *server, struct vigie_control_question *question, const char *name,
		   const char *type);

/* Asks every directive that may know (struct vigie_directive, `control`). */
void control_ask_directives(struct vigie_server *server, struct vigie_control_question *question,
			    size_t count, const char *const *words);

/* Gives a question up that is not answered yet. */
void control_end_asking(struct vigie_server *server);

#endif
