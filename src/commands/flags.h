/* The command line: CoreDNS' flags and -log-format, as Go's flag package reads them: -x v, -x=v, one or two
 * dashes. */
#ifndef VIGIE_COMMANDS_FLAGS_H
#define VIGIE_COMMANDS_FLAGS_H

#include <stdbool.h>
#include <stdint.h>

#include "vigie/status.h"

struct flags {
	const char *conf; /* NULL: ./Corefile, then /etc/vigie/Corefile */
	const char *pidfile;
	uint16_t port;
	bool quiet;
	bool log_json; /* log lines are JSON objects */
	bool version;
	bool plugins;
	bool help;
};

/* VIGIE_EINVAL: `error` names the argument. */
enum vigie_status flags_parse(struct flags *flags, int count, char *const *arguments,
			      struct vigie_error *error);

/* The Corefile to read: what -conf says, ./Corefile or /etc/vigie/Corefile. */
const char *flags_corefile(const struct flags *flags);

/* What -h prints. */
extern const char flags_usage[];

#endif
