/* Questions of `vigie ctl` that directives answer, each as many turns of the loop as it needs. */
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "control.h"
#include "vigie/clock.h"
#include "vigie/control.h"

enum { TURN_US = 2000 /* for which directives are asked on, before others have their turn */ };

struct asking {
	struct vigie_server *server;
	struct vigie_control_question *question;
	const struct generation
		*generation; /* that was current when it began; not touched unless it still is */
	size_t block;
	size_t link;
	size_t turn; /* of that link's directive */
	bool known;
	json_t *reply;
	char *words[VIGIE_CONTROL_WORDS_MAX + 1];
	uv_timer_t timer;
};

static void on_closed(uv_handle_t *handle)
{
	struct asking *asking = handle->data;

	for (size_t i = 0; asking->words[i]; i++)
		free(asking->words[i]);
	json_decref(asking->reply);
	free(asking);
}

static void end(struct asking *asking, const char *reason)
{
	if (reason)
		vigie_control_refuse(asking->question, reason);
	else
		vigie_control_reply(asking->question, json_incref(asking->reply));
	asking->server->asking = NULL;
	uv_close((uv_handle_t *)&asking->timer, on_closed);
}

/* Asks on until a directive wants another turn; false when all have been asked. */
static bool ask(struct asking *asking)
{
	for (; asking->block < asking->generation->block_count; asking->block++, asking->link = 0) {
		const struct block *block = asking->generation->blocks[asking->block];

		for (; asking->link < block->link_count; asking->link++) {
			const struct vigie_directive *directive = block->links[asking->link].directive;

			if (!directive->control)
				continue;
			asking->known |= directive->control(block->links[asking->link].instance,
							    (const char *const *)asking->words, asking->reply,
							    &asking->turn);
			if (asking->turn > 0)
				return true;
		}
	}
	return false;
}

static void on_turn(uv_timer_t *timer)
{
	struct asking *asking = timer->data;
	uint64_t began_us = vigie_clock_us();
	bool more;

	if (asking->server->current != asking->generation) {
		end(asking, "the configuration has changed meanwhile: ask again");
		return;
	}
	rcu_thread_online();
	do {
		more = ask(asking);
	} while (more && vigie_clock_us() - began_us < TURN_US);
	rcu_thread_offline();
	if (more)
		uv_timer_start(&asking->timer, on_turn, 1, 0);
	else
		end(asking, asking->known
				    ? NULL
				    : "no such command, or no directive of the Corefile that it is for: "
				      "see vigie ctl -h");
}

void control_ask_directives(struct vigie_server *server, struct vigie_control_question *question,
			    size_t count, const char *const *words)
{
	struct asking *asking;

	if (server->asking) {
		vigie_control_refuse(question, "another question is being answered: ask again");
		return;
	}
	asking = calloc(1, sizeof(*asking));
	if (!asking) {
		vigie_control_reply(question, NULL);
		return;
	}
	asking->server = server;
	asking->question = question;
	asking->generation = server->current;
	asking->reply = json_object();
	asking->timer.data = asking;
	server->asking = asking;
	uv_timer_init(server->process.loop, &asking->timer);
	for (size_t i = 0; i < count && i < VIGIE_CONTROL_WORDS_MAX; i++) {
		asking->words[i] = strdup(words[i]);
		if (!asking->words[i]) {
			end(asking, vigie_status_text(VIGIE_ENOMEM));
			return;
		}
	}
	on_turn(&asking->timer);
}

void control_end_asking(struct vigie_server *server)
{
	if (server->asking)
		end(server->asking, "vigie ends");
}
