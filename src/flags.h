/* The command line: CoreDNS' flags, as Go's flag package reads them: -x v, -x=v, one or two dashes. */
#ifndef VIGIE_FLAGS_H
#define VIGIE_FLAGS_H

#include <stdbool.h>
#include <stdint.h>

#include "vigie/status.h"

struct flags {
	const char *conf; /* NULL: ./Corefile, then /etc/vigie/Corefile */
	const char *pidfile;
	uint16_t port;
	bool quiet;
	bool version;
	bool plugins;
	bool help;
};

/* VIGIE_EINVAL: `error` names the argument. */
enum vigie_status flags_parse(struct flags *flags, int count, char *const *arguments,
			      struct vigie_error *error);

/* What -h prints. */
extern const char flags_usage[];

#endif
