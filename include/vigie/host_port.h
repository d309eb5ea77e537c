/* Addresses with a port, as people write them. */
#ifndef VIGIE_HOST_PORT_H
#define VIGIE_HOST_PORT_H

#include <stdbool.h>
#include <stddef.h>

/* Cuts "HOST", "HOST:PORT", "[HOST]" or "[HOST]:PORT" apart: with a port an IPv6 address stands in brackets,
 * and more than one colon without brackets is an address. HOST may be anything, also nothing. `host` holds
 * `size` bytes, its terminator included. `*port` is from 0 to 65535, or -1 when the text has none. False when
 * it has none of these forms, or HOST does not fit. */
bool vigie_host_port_split(const char *text, char *host, size_t size, int *port);

#endif
