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
static uint16_t kernel_first;
static uint16_t kernel_last;
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

bool ports_range_has_node_ports(uint16_t first, uint16_t last)
{
	return first <= NODE_PORT_FIRST && last >= NODE_PORT_LAST;
}

bool ports_range_read(const char *text, uint16_t *first, uint16_t *last)
{
	unsigned from;
	unsigned to;

	if (sscanf(text, "%5u %5u", &from, &to) != 2 || from < FIRST || to >= PORTS || from > to ||
	    (from <= NODE_PORT_LAST && to >= NODE_PORT_FIRST &&
	     !ports_range_has_node_ports((uint16_t)from, (uint16_t)to)))
		return false;
	*first = (uint16_t)from;
	*last = (uint16_t)to;
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

	/* Else no port is the kernel's: 0 is never drawn. */
	ports_range_read(read_setting(&file, "/proc/sys/net/ipv4/ip_local_port_range"), &kernel_first,
			 &kernel_last);
	vigie_buffer_fini(&file);
	pool_count =
		ports_from_reserved(pool, read_setting(&file, "/proc/sys/net/ipv4/ip_local_reserved_ports"),
				    ports_range_has_node_ports(kernel_first, kernel_last));
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
	return port >= kernel_first && port <= kernel_last;
}
