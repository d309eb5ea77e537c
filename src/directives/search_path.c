#include "search_path.h"

#include <string.h>

#include "vigie/buffer.h"

enum {
	FILE_MAX = 1 << 16 /* bytes of a resolv.conf */
};

void search_path_add(struct search_path *path, const struct vigie_name *domain)
{
	if (path->count < SEARCH_PATH_MAX)
		path->domains[path->count++] = *domain;
}

static void read_line(struct search_path *path, char *line)
{
	char *rest = line;
	char *word = strsep(&rest, " \t\r");

	if (strcmp(word, "search") != 0 && strcmp(word, "domain") != 0)
		return;
	path->count = 0;
	while ((word = strsep(&rest, " \t\r")) != NULL) {
		struct vigie_name domain;

		if (vigie_name_from_text(&domain, word) == VIGIE_OK)
			search_path_add(path, &domain);
	}
}

enum vigie_status search_path_read(struct search_path *path, const char *file)
{
	struct vigie_buffer text;
	enum vigie_status status;
	char *rest;

	path->count = 0;
	vigie_buffer_init(&text, FILE_MAX);
	status = vigie_buffer_read_file(&text, file);
	rest = status ? NULL : (char *)text.data;
	while (rest)
		read_line(path, strsep(&rest, "\n"));
	vigie_buffer_fini(&text);
	return status;
}
