#include <errno.h>
#include <string.h>

#include "token.h"

#include "vigie/buffer.h"

enum vigie_status vigie_corefile_read_all(struct vigie_corefile *corefile, struct vigie_arena *arena,
					  const char *path, uint16_t default_port,
					  vigie_corefile_report *report, void *argument,
					  struct vigie_error *error)
{
	struct vigie_buffer buffer;
	enum vigie_status status;

	/* One more than the text: for the zero byte behind it. */
	vigie_buffer_init(&buffer, VIGIE_COREFILE_MAX + 1);
	status = vigie_buffer_read_file(&buffer, path);
	if (status == VIGIE_EIO)
		vigie_error_set(error, status, "%s: %s", path, strerror(errno));
	else if (status == VIGIE_ENOSPC)
		status = vigie_error_set(error, VIGIE_EINVAL, "%s: larger than %d bytes", path,
					 VIGIE_COREFILE_MAX);
	else if (status)
		vigie_error_set(error, status, "%s: out of memory", path);
	else
		status = vigie_corefile_parse_all(corefile, arena, path, (const char *)buffer.data,
						  buffer.length, default_port, report, argument, error);
	vigie_buffer_fini(&buffer);
	return status;
}

enum vigie_status vigie_corefile_read(struct vigie_corefile *corefile, struct vigie_arena *arena,
				      const char *path, uint16_t default_port, struct vigie_error *error)
{
	return vigie_corefile_read_all(corefile, arena, path, default_port, NULL, NULL, error);
}
