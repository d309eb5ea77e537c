#include "token.h"

#include <stdlib.h>
#include <string.h>

#include "vigie/buffer.h"

/* Where the reference that begins at `text` ends, and the name between its marks; NULL when none begins
 * there. */
static const char *reference_end(const char *text, const char **name, size_t *length)
{
	const char *mark = text[1] == '$' ? "}" : "%}";
	const char *end;

	if (text[0] != '{' || (text[1] != '$' && text[1] != '%'))
		return NULL;
	*name = text + 2;
	end = strstr(*name, mark);
	if (!end || end == *name)
		return NULL;
	*length = (size_t)(end - *name);
	return end + strlen(mark);
}

enum vigie_status vigie_environment_fill(struct vigie_arena *arena, const char **word)
{
	const char *text = *word;
	struct vigie_buffer filled;
	enum vigie_status status = VIGIE_OK;

	if (!strstr(text, "{$") && !strstr(text, "{%"))
		return VIGIE_OK;
	vigie_buffer_init(&filled, VIGIE_COREFILE_MAX + 1);
	while (*text && !status) {
		const char *name;
		size_t length;
		const char *end = reference_end(text, &name, &length);

		if (end) {
			char *key = vigie_arena_strndup(arena, name, length);
			const char *value = key ? getenv(key) : NULL;

			status = key ? VIGIE_OK : VIGIE_ENOMEM;
			if (value)
				status = vigie_buffer_append(&filled, value, strlen(value));
			text = end;
		} else {
			status = vigie_buffer_append(&filled, text++, 1);
		}
	}
	if (!status)
		status = vigie_buffer_append(&filled, "", 1);
	if (!status) {
		text = vigie_arena_strndup(arena, (const char *)filled.data, filled.length);
		status = text ? VIGIE_OK : VIGIE_ENOMEM;
	}
	if (!status)
		*word = text;
	vigie_buffer_fini(&filled);
	return status;
}
