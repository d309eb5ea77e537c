/* The domains that a resolver tries behind a short name, one after another (resolv.conf(5)). */
#ifndef VIGIE_DIRECTIVES_SEARCH_PATH_H
#define VIGIE_DIRECTIVES_SEARCH_PATH_H

#include "vigie/name.h"
#include "vigie/status.h"

enum {
	SEARCH_PATH_MAX = 16 /* domains; further ones are left out */
};

struct search_path {
	struct vigie_name domains[SEARCH_PATH_MAX];
	size_t count;
};

/* Reads the last `search` or `domain` line of a file; without one the path is empty. VIGIE_EIO when it cannot
 * be read: errno is set. Words that are no domain are left out. */
enum vigie_status search_path_read(struct search_path *path, const char *file);

/* Appends a domain; nothing when the path is full. */
void search_path_add(struct search_path *path, const struct vigie_name *domain);

#endif
