#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "address.h"
#include "vigie/buffer.h"
#include "vigie/forward.h"
#include "vigie/host_port.h"

enum {
	PORT_DNS = 53,
	PORT_TLS = 853,         /* RFC 7858 section 3.1 */
	PORT_HTTPS = 443,       /* RFC 8484 */
	RESOLV_CONF_MAX = 65536 /* bytes of a resolv.conf */
};

static bool read_scheme(struct vigie_target *target, const char **text, int *port)
{
	static const struct {
		const char *scheme;
		enum vigie_protocol protocol;
		int port;
	} schemes[] = {
		{"dns://", VIGIE_PROTOCOL_UDP, PORT_DNS},
		{"tls://", VIGIE_PROTOCOL_TLS, PORT_TLS},
		{"https://", VIGIE_PROTOCOL_HTTPS, PORT_HTTPS},
	};

	*port = PORT_DNS;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
		size_t length = strlen(schemes[i].scheme);

		if (strncmp(*text, schemes[i].scheme, length) == 0) {
			*text += length;
			target->protocol = schemes[i].protocol;
			*port = schemes[i].port;
			return true;
		}
	}
	return strstr(*text, "://") == NULL;
}

/* Cuts the port off, be it the protocol's own, which `port` is at first. */
static bool split(const char *text, char *host, size_t size, int *port)
{
	int given;

	if (!vigie_host_port_split(text, host, size, &given))
		return false;
	if (given >= 0)
		*port = given;
	return *port > 0;
}

/* Takes "%NAME" out of "ADDRESS%NAME[:PORT]"; what is left goes to `plain`. Plain DNS has no such name: there
 * it is an interface. */
static bool take_server_name(struct vigie_target *target, const char *text, char *plain, size_t size)
{
	const char *percent = target->protocol == VIGIE_PROTOCOL_UDP ? NULL : strrchr(text, '%');
	size_t name;

	if (strlen(text) >= size)
		return false;
	strcpy(plain, text);
	if (!percent)
		return true;
	name = strcspn(percent + 1, ":]");
	if (name == 0)
		return false;
	memcpy(target->server_name, percent + 1, name);
	target->server_name[name] = 0;
	strcpy(plain + (percent - text), percent + 1 + name);
	return true;
}

enum vigie_status vigie_target_from_text(struct vigie_target *target, const char *text)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&target->address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&target->address;
	char host[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
	char plain[sizeof(target->server_name)];
	char *scope;
	int port;

	memset(target, 0, sizeof(*target));
	if (!read_scheme(target, &text, &port) || !take_server_name(target, text, plain, sizeof(plain)) ||
	    !split(plain, host, sizeof(host), &port))
		return VIGIE_EINVAL;
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		snprintf(target->text, sizeof(target->text), "%s:%d", host, port);
		return VIGIE_OK;
	}
	scope = strchr(host, '%');
	if (scope)
		*scope++ = 0;
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
		return VIGIE_EINVAL;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	v6->sin6_scope_id = scope ? if_nametoindex(scope) : 0;
	if (scope && v6->sin6_scope_id == 0)
		return VIGIE_EINVAL;
	snprintf(target->text, sizeof(target->text), "[%s]:%d", host, port);
	return VIGIE_OK;
}

/* Letters, digits, hyphens and dots, and not a misspelt address: the last label has a letter. */
static bool is_host_name(const char *host)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char others[] = "0123456789-._";
	struct vigie_name name;
	size_t last = 0;

	if (vigie_name_from_text(&name, host) || name.labels == 0)
		return false;
	for (size_t i = 0; host[i]; i++) {
		if (!strchr(letters, host[i]) && !strchr(others, host[i]))
			return false;
		if (host[i] == '.' && host[i + 1])
			last = i + 1;
	}
	return strpbrk(host + last, letters) != NULL;
}

enum vigie_status vigie_target_from_host(struct vigie_target *target, char host[VIGIE_HOST_MAX],
					 const char *text)
{
	char plain[sizeof(target->server_name)];
	int port;

	memset(target, 0, sizeof(*target));
	if (!read_scheme(target, &text, &port) || !take_server_name(target, text, plain, sizeof(plain)) ||
	    !split(plain, host, VIGIE_HOST_MAX, &port) || !is_host_name(host))
		return VIGIE_EINVAL;
	target->address.ss_family = AF_INET;
	address_set_port((struct sockaddr *)&target->address, (uint16_t)port);
	return VIGIE_OK;
}

void vigie_target_set_address(struct vigie_target *target, const struct vigie_target *host,
			      const uint8_t *address, size_t size)
{
	in_port_t port = ((const struct sockaddr_in *)&host->address)->sin_port;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&target->address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&target->address;
	char text[INET6_ADDRSTRLEN];

	*target = *host;
	memset(&target->address, 0, sizeof(target->address));
	if (size == sizeof(v4->sin_addr)) {
		v4->sin_family = AF_INET;
		v4->sin_port = port;
		memcpy(&v4->sin_addr, address, size);
		inet_ntop(AF_INET, address, text, sizeof(text));
		snprintf(target->text, sizeof(target->text), "%s:%u", text, ntohs(port));
	} else {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = port;
		memcpy(&v6->sin6_addr, address, sizeof(v6->sin6_addr));
		inet_ntop(AF_INET6, address, text, sizeof(text));
		snprintf(target->text, sizeof(target->text), "[%s]:%u", text, ntohs(port));
	}
}

enum vigie_status vigie_targets_from_resolv_conf(struct vigie_target *targets, size_t *count,
						 const char *path)
{
	struct vigie_buffer file;
	enum vigie_status status;
	size_t before = *count;
	char *place = NULL;

	vigie_buffer_init(&file, RESOLV_CONF_MAX);
	status = vigie_buffer_read_file(&file, path);
	for (char *line = status ? NULL : strtok_r((char *)file.data, "\n", &place); line;
	     line = strtok_r(NULL, "\n", &place)) {
		char address[64];

		if (*count < VIGIE_UPSTREAMS_MAX && sscanf(line, " nameserver %63s", address) == 1 &&
		    vigie_target_from_text(&targets[*count], address) == VIGIE_OK)
			(*count)++;
	}
	vigie_buffer_fini(&file);
	if (status)
		return status;
	return *count > before ? VIGIE_OK : VIGIE_ENOENT;
}
