/* A worker without sockets, and blocks whose directives do what a test tells them: what flight.c needs to run
 * queries. Answers that it sends, and everything that the directives hear, is noted.
 *
 * Linked with --wrap for udp_send, tcp_send and tcp_connection_suspended. */
#ifndef VIGIE_TEST_SCENE_H
#define VIGIE_TEST_SCENE_H

#include "flight.h"

enum {
	PARTS_MAX = 8,   /* directives of a scene */
	BLOCKS_MAX = 12, /* blocks of a scene */
	CLIENT_PORT = 40000,
	PART_MEMORY = 'g', /* these two letters in a chain are directives with these roles */
	PART_HOLDER = 'h'
};

struct part;
typedef enum vigie_verdict act(struct part *part, struct vigie_request *request);

/* A directive of a scene. */
struct part {
	char name;                     /* noted as "a" when it serves, "<a" when it hears of an answer */
	act *act;                      /* NULL: VIGIE_NEXT */
	struct vigie_name target;      /* what look_up looks up */
	act *done;                     /* what becomes of a look-up behind what look_up does; may be NULL */
	struct vigie_pending *pending; /* what put_off suspended */
	bool edns;                     /* of the last query seen */
	uint16_t flags;
	unsigned depth;
	enum vigie_channel channel;
};

extern struct part parts[PARTS_MAX];
extern struct worker *worker;

/* For every test: a worker in this thread, no blocks. */
int scene_setup(void **state);
int scene_teardown(void **state);

/* A block for `zone` whose chain is named by letters: 'a' is parts[0]. A capital letter hears of answers but
 * does not serve, a digit ('1' is parts[0]) serves but does not hear. */
struct block *scene_block(const char *zone, const char *chain);

/* Asks for a name, type A; `options` is a subset of "edns tcp". True: `sent` is the answer, as by the caller
 * of flight_run. The packet is gone and the flight overwritten afterwards. */
bool scene_ask(const char *name, const char *options);

/* Goes on with what a part suspended, as `act` says. */
void scene_resume(struct part *part, act *how);

/* All that was noted since the last call: parts, "udp" and "tcp" for answers sent to clients. */
const char *scene_notes(void);
void scene_note(const char *text);

/* The last answer that left: its bytes, and what they say. */
extern uint8_t sent[VIGIE_MESSAGE_MAX];
extern size_t sent_length;
unsigned sent_rcode(void);
/* The last byte of each record's RDATA in the answer section, and "T" when TC is set. */
const char *sent_marks(void);

/* Suspended queries that flight.c told the connection of: any pointer serves as one. */
extern int connection_pending;
struct connection *scene_connection(void);

/* Acts. */
act answer_mark; /* one A record whose address ends in the part's name */
act answer_next;
act answer_drop;
act put_off;   /* suspends; SERVFAIL when that fails */
act take_back; /* suspends, takes it back, answers */
act look_up;   /* adds a CNAME record, marked by the part's name; looks `target` up */

#endif
