#include "ports.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vigie/buffer.h"
#include "vigie/random.h"

enum {
	PORTS = 65536,
	FIRST = 1024,
	NODE_PORT_FIRST = 30000, /* kube-apiserver's --service-node-port-range */
	NODE_PORT_LAST = 32767,
	FILE_MAX = 1 << 20
};

static uint16_t pool[PORTS];
static size_t pool_count;
static struct ports_range kernel; /* none: 0 is never drawn */
static pthread_once_t once = PTHREAD_ONCE_INIT;

size_t ports_from_reserved(uint16_t *ports, const char *reserved, bool node_ports)
{
	static const char digits[] = "0123456789";
	bool taken[PORTS] = {false};
	size_t count = 0;

	while (*reserved) {
		char *end;
		unsigned long first;
		unsigned long last;

		reserved += strcspn(reserved, digits);
		if (!*reserved)
			break;
		first = last = strtoul(reserved, &end, 10);
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (unsigned long port = first; port <= last && port < PORTS; port++)
			taken[port] = true;
		reserved = end;
	}
	for (unsigned port = FIRST; port < PORTS; port++) {
		if (!taken[port] && (node_ports || port < NODE_PORT_FIRST || port > NODE_PORT_LAST))
			ports[count++] = (uint16_t)port;
	}
	return count;
}

bool ports_range_read(struct ports_range *range, const char *text)
{
	unsigned first;
	unsigned last;
	bool some;
	bool all;

	if (sscanf(text, "%5u %5u", &first, &last) != 2 || first < FIRST || last >= PORTS || first > last)
		return false;
	some = first <= NODE_PORT_LAST && last >= NODE_PORT_FIRST;
	all = first <= NODE_PORT_FIRST && last >= NODE_PORT_LAST;
	if (some && !all)
		return false;
	*range = (struct ports_range){(uint16_t)first, (uint16_t)last, all};
	return true;
}

/* Text of a file below /proc/sys/net/ipv4; "" when it cannot be read. */
static const char *read_setting(struct vigie_buffer *file, const char *path)
{
	vigie_buffer_init(file, FILE_MAX);
	return vigie_buffer_read_file(file, path) == VIGIE_OK ? (const char *)file->data : "";
}

static void fill(void)
{
	struct vigie_buffer file;

	ports_range_read(&kernel, read_setting(&file, "/proc/sys/net/ipv4/ip_local_port_range"));
	vigie_buffer_fini(&file);
	pool_count = ports_from_reserved(
		pool, read_setting(&file, "/proc/sys/net/ipv4/ip_local_reserved_ports"), kernel.node_ports);
	vigie_buffer_fini(&file);
}

size_t ports_count(void)
{
	pthread_once(&once, fill);
	return pool_count;
}

uint16_t ports_draw(void)
{
	size_t count = ports_count();

	return count > 0 ? pool[vigie_random_below((uint32_t)count)] : 0;
}

bool ports_are_kernels(uint16_t port)
{
	return port >= kernel.first && port <= kernel.last;
}
