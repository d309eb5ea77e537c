/* `rewrite`: its rules, read (rewrite_read.c), applied to a query (rewrite.c, rewrite_edns.c) and to the
 * answer on its way back (rewrite_answer.c). */
#ifndef VIGIE_DIRECTIVES_REWRITE_H
#define VIGIE_DIRECTIVES_REWRITE_H

#include "name_match.h"
#include "vigie/directive.h"

enum {
	REWRITE_RENAMES_MAX = 8,  /* rules that change the name of one query; further ones do not apply */
	REWRITE_APPLIED_MAX = 64, /* rules that apply to one query; further ones do not */
	/* Of a query's EDNS options: a rule that needs more does not apply, and a client's own are left out
	 * when they are more. */
	REWRITE_OPTIONS_MAX = VIGIE_OPTIONS_FORWARD_MAX,
	REWRITE_PACKET_MAX = VIGIE_HEADER_SIZE + VIGIE_NAME_MAX + 4 + 11 + REWRITE_OPTIONS_MAX
};

enum rewrite_field {
	REWRITE_NAME,
	REWRITE_TYPE,
	REWRITE_CLASS,
	REWRITE_EDNS0,
	REWRITE_TTL,
	REWRITE_CNAME,
	REWRITE_RCODE,
	REWRITE_FIELDS
};

enum rewrite_action { REWRITE_REPLACE, REWRITE_APPEND, REWRITE_SET, REWRITE_UNSET, REWRITE_ACTIONS };

/* What an EDNS option is given as its data. */
enum rewrite_data {
	REWRITE_DATA_FIXED,
	REWRITE_DATA_SUBNET,
	REWRITE_DATA_QNAME,
	REWRITE_DATA_QTYPE,
	REWRITE_DATA_CLIENT_IP,
	REWRITE_DATA_CLIENT_PORT,
	REWRITE_DATA_PROTOCOL,
	REWRITE_DATA_SERVER_IP,
	REWRITE_DATA_SERVER_PORT,
	REWRITE_DATA_METADATA
};

struct rewrite_option {
	enum rewrite_action action;
	uint16_t code;
	enum rewrite_data kind;
	const uint8_t *data; /* REWRITE_DATA_FIXED */
	size_t length;
	const char *label;        /* REWRITE_DATA_METADATA */
	uint8_t v4_bits, v6_bits; /* REWRITE_DATA_SUBNET */
};

/* How names in the answer are changed: owners, or names among the RDATA, or both. */
struct rewrite_back {
	bool owners;
	bool values;
	struct name_match match;
	const char *to;
};

struct rewrite_rule {
	enum rewrite_field field;
	bool goes_on;            /* `continue` */
	struct name_match match; /* REWRITE_NAME, TTL, CNAME, RCODE */
	const char *to;          /* REWRITE_NAME, CNAME */
	bool automatic;          /* the new name becomes the old one in the answer */
	struct rewrite_back *backs;
	size_t back_count;
	uint16_t number_from, number_to; /* REWRITE_TYPE, CLASS, RCODE */
	uint32_t ttl_least, ttl_most;
	struct rewrite_option option; /* REWRITE_EDNS0 */
};

struct rewrite {
	struct rewrite_rule *rules;
	size_t count;
};

/* What the rules make of one query. */
struct rewrite_work {
	char names[REWRITE_RENAMES_MAX + 1]
		  [VIGIE_NAME_TEXT_MAX]; /* the query's, then one for each renaming */
	size_t renames;
	uint16_t type;
	uint16_t class;
	bool edns; /* there is, or will be, an OPT record */
	bool options_changed;
	uint8_t options[REWRITE_OPTIONS_MAX];
	size_t options_length;
	struct {
		const struct rewrite_rule *rule;
		size_t name; /* REWRITE_NAME: names[name] became names[name + 1] */
	} applied[REWRITE_APPLIED_MAX];
	size_t applied_count;
};

enum vigie_status rewrite_read_rule(struct vigie_block *block, const struct vigie_statement *statement,
				    struct rewrite_rule *rule, struct vigie_error *error);

/* Reads the part behind `edns0` of a rule; `words` are what stands there. */
enum vigie_status rewrite_read_option(struct vigie_block *block, const struct vigie_statement *statement,
				      const struct vigie_word *const *words, size_t count,
				      struct rewrite_option *option, struct vigie_error *error);

/* The query's own EDNS options. */
void rewrite_begin_options(struct rewrite_work *work, const struct vigie_query *query);

/* Changes work->options; false when the rule does not apply. */
bool rewrite_apply_option(const struct rewrite_option *option, struct vigie_request *request,
			  struct rewrite_work *work);

/* Behind the last rule: when one changed an option, those that no rule set are left out. A client's own are
 * not for upstreams. */
void rewrite_end_options(struct rewrite_work *work);

/* Writes the reply to the rewritten query as the answer to the original one. When a rule rewrites the target
 * of a CNAME, the records end there, and `target` is where to go on; else its length is 0. VIGIE_EINVAL when
 * the reply is malformed. */
enum vigie_status rewrite_answer(const struct rewrite_work *work, const uint8_t *reply, size_t length,
				 struct vigie_answer *answer, struct vigie_name *target);

#endif
