/* Addresses of other servers as directives name them: "10.0.0.1", "10.0.0.1:5300", "fd00::1",
 * "[fd00::1]:5300". */
#ifndef VIGIE_DIRECTIVES_HOST_PORT_H
#define VIGIE_DIRECTIVES_HOST_PORT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "vigie/corefile.h"

union host_port {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

enum {
	HOST_PORT_TEXT_MAX = 56 /* bytes of "[v6]:port" with its terminator */
};

/* Reads a word; port 53 where it names none. VIGIE_EINVAL otherwise. */
enum vigie_status host_port_from_word(union host_port *address, const struct vigie_word *word,
				      struct vigie_error *error);

socklen_t host_port_length(const union host_port *address);
char *host_port_to_text(const union host_port *address, char *text);

/* Whether a client has this address, whatever the port; a v4-mapped client is the v4 one. */
bool host_port_is_host(const union host_port *address, const struct sockaddr *client);

/* The client's address without its port, for logs. `text` holds HOST_PORT_TEXT_MAX bytes. */
const char *host_text(const struct sockaddr *client, char *text);

#endif
