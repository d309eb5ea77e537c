/* The source ports of queries by UDP: one pool for the whole process, so that no worker's share tells
 * anything of another's. */
#ifndef VIGIE_FORWARD_PORTS_H
#define VIGIE_FORWARD_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A random port of 1024 to 65535 without what net.ipv4.ip_local_reserved_ports names, and without the node
 * ports of Kubernetes (30000 to 32767) unless the kernel may give them, too: as where a pod's own range is
 * set. */
uint16_t ports_draw(void);

/* Whether a port is of those that the kernel gives to a socket that asks for any
 * (net.ipv4.ip_local_port_range): it draws as evenly, and from the same ones of them. */
bool ports_are_kernels(uint16_t port);

/* How many there are. */
size_t ports_count(void);

/* Fills `ports` (65536 of them) from the text of ip_local_reserved_ports, "8080,10000-11000"; returns the
 * count. */
size_t ports_from_reserved(uint16_t *ports, const char *reserved, bool node_ports);

/* Ports that the kernel gives by itself. */
struct ports_range {
	uint16_t first;
	uint16_t last;
	bool node_ports; /* the node ports of Kubernetes are among them */
};

/* Reads the text of ip_local_port_range, "32768\t60999\n". False, and `range` stays as it is, when it is
 * none, or when not all of it could be in the pool, reserved ports aside. */
bool ports_range_read(struct ports_range *range, const char *text);

#endif
