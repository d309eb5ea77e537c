#include "vigie/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vigie/host_port.h"

enum {
	BACKLOG = 4096, /* a probe stands behind whoever else comes in one turn of the loop */
	CONNECTIONS_MAX = 2 * VIGIE_HTTP_CONNECTIONS_MAX, /* those that are being closed among them */
	ADDRESS_MAX = 128                                 /* bytes of "HOST:PORT" with its terminator */
};

struct route {
	struct route *next;
	unsigned epoch; /* the configuration that it belongs to */
	char *path;
	vigie_http_handler *handler;
	void *argument;
};

/* A client's connection. */
struct connection {
	struct connection *older;
	struct connection *newer;
	int fd;
	bool evicted; /* and in no list any more */
};

/* One address, its daemon and its paths. */
struct site {
	struct site *next;
	struct vigie_http *http;
	struct MHD_Daemon *daemon;
	struct route *routes;
	struct connection *oldest; /* of the list of those that stay */
	struct connection *newest;
	size_t connections; /* in the list */
	uv_poll_t poll;
	uv_timer_t timer; /* the daemon's time-outs */
	unsigned handles;
	char address[ADDRESS_MAX];
};

struct vigie_http {
	uv_loop_t *loop;
	unsigned epoch; /* the latest configuration */
	unsigned shown; /* the one that answers */
	struct site *sites;
};

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned status,
			       const struct vigie_http_response *answer)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		answer->body.length, answer->body.data, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* The newest are in front; those of a configuration that is being made are hidden. */
static const struct route *route_get(const struct site *site, const char *path)
{
	const struct route *route = site->routes;

	while (route && (route->epoch > site->http->shown || strcmp(route->path, path) != 0))
		route = route->next;
	return route;
}

static enum MHD_Result on_request(void *argument, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload,
				  size_t *upload_size, void **state)
{
	const struct site *site = argument;
	unsigned status = MHD_HTTP_NOT_FOUND;
	struct vigie_http_response answer = {.type = "text/plain; charset=utf-8"};
	enum MHD_Result result;

	vigie_buffer_init(&answer.body, VIGIE_HTTP_BODY_MAX);
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		status = MHD_HTTP_METHOD_NOT_ALLOWED;
	} else {
		const struct route *route = route_get(site, url);

		if (route)
			status = route->handler(route->argument, &answer);
	}
	result = respond(connection, status, &answer);
	vigie_buffer_fini(&answer.body);
	return result;
}

static void list_add(struct site *site, struct connection *connection)
{
	connection->older = site->newest;
	*(site->newest ? &site->newest->newer : &site->oldest) = connection;
	site->newest = connection;
	site->connections++;
}

static void list_remove(struct site *site, struct connection *connection)
{
	*(connection->newer ? &connection->newer->older : &site->newest) = connection->older;
	*(connection->older ? &connection->older->newer : &site->oldest) = connection->newer;
	site->connections--;
}

/* Ends the connection that has been there for longest: clients that hold connections and say nothing must not
 * turn a probe away, for which the pod would be restarted. */
static void evict(struct site *site)
{
	struct connection *oldest = site->oldest;

	list_remove(site, oldest);
	oldest->evicted = true;
	shutdown(oldest->fd, SHUT_RDWR); /* the daemon closes it when it sees the end */
}

static void add_connection(struct site *site, struct MHD_Connection *client, void **context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(client, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct connection *connection = info ? calloc(1, sizeof(*connection)) : NULL;

	*context = connection;
	if (!connection)
		return;
	connection->fd = info->connect_fd;
	if (site->connections == VIGIE_HTTP_CONNECTIONS_MAX)
		evict(site);
	list_add(site, connection);
}

static void remove_connection(struct site *site, struct connection *connection)
{
	if (connection && !connection->evicted)
		list_remove(site, connection);
	free(connection);
}

static void on_connection(void *argument, struct MHD_Connection *client, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		add_connection(argument, client, context);
	else
		remove_connection(argument, *context);
}

static void run(struct site *site);

static void on_poll(uv_poll_t *poll, int status, int events)
{
	run(poll->data);
}

static void on_timer(uv_timer_t *timer)
{
	run(timer->data);
}

static void run(struct site *site)
{
	MHD_UNSIGNED_LONG_LONG timeout;

	MHD_run(site->daemon);
	if (MHD_get_timeout(site->daemon, &timeout) == MHD_YES)
		uv_timer_start(&site->timer, on_timer, timeout, 0);
	else
		uv_timer_stop(&site->timer);
}

/* Reads "HOST:PORT", ":PORT" or "[v6]:PORT". */
static bool read_address(const char *text, struct sockaddr_storage *address, socklen_t *length)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	char host[INET6_ADDRSTRLEN];
	int port;

	if (!vigie_host_port_split(text, host, sizeof(host), &port) || port < 0)
		return false;
	if (strcmp(host, "localhost") == 0)
		strcpy(host, "127.0.0.1"); /* no resolver is asked: this is one */
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		*length = sizeof(*v4);
		return true;
	}
	v6->sin6_family = AF_INET6; /* without a host: all addresses of both families */
	v6->sin6_port = htons((uint16_t)port);
	*length = sizeof(*v6);
	return host[0] == 0 || inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
}

bool vigie_http_is_address(const char *address)
{
	struct sockaddr_storage storage;
	socklen_t length;

	return strlen(address) < ADDRESS_MAX && read_address(address, &storage, &length);
}

/* Listens; -1 with errno set. Without IPv6 in the kernel, ":PORT" is all IPv4 addresses. */
static int open_socket(struct sockaddr_storage *address, socklen_t length)
{
	int yes = 1;
	int no = 0;
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 && errno == EAFNOSUPPORT && address->ss_family == AF_INET6) {
		in_port_t port = ((struct sockaddr_in6 *)address)->sin6_port;
		struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = port};

		memcpy(address, &v4, sizeof(v4));
		length = sizeof(v4);
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	}
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
	    (address->ss_family == AF_INET ||
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) == 0) &&
	    bind(fd, (struct sockaddr *)address, length) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	{
		int saved = errno;

		close(fd);
		errno = saved;
	}
	return -1;
}

static void on_site_closed(uv_handle_t *handle)
{
	struct site *site = handle->data;

	if (--site->handles == 0)
		free(site);
}

static void site_close(struct site *site)
{
	struct site **at = &site->http->sites;

	while (*at != site)
		at = &(*at)->next;
	*at = site->next;
	while (site->routes) {
		struct route *next = site->routes->next;

		free(site->routes->path);
		free(site->routes);
		site->routes = next;
	}
	uv_close((uv_handle_t *)&site->poll, on_site_closed);
	uv_close((uv_handle_t *)&site->timer, on_site_closed);
	MHD_stop_daemon(site->daemon);
}

static struct site *site_open(struct vigie_http *http, const char *address, struct vigie_error *error)
{
	struct site *site = calloc(1, sizeof(*site));
	const union MHD_DaemonInfo *info;
	struct sockaddr_storage storage;
	socklen_t length;
	int fd = -1;

	if (!site) {
		vigie_error_memory(error);
		return NULL;
	}
	if (strlen(address) >= sizeof(site->address) || !read_address(address, &storage, &length)) {
		vigie_error_set(error, VIGIE_EINVAL, "'%s' is no HOST:PORT", address);
		goto fail;
	}
	fd = open_socket(&storage, length);
	if (fd < 0) {
		vigie_error_set(error, VIGIE_EIO, "cannot listen on %s by HTTP: %s", address,
				strerror(errno));
		goto fail;
	}
	site->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_NO_FLAG, 0, NULL, NULL, on_request, site,
					MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
					(unsigned)CONNECTIONS_MAX, MHD_OPTION_NOTIFY_CONNECTION,
					on_connection, site, MHD_OPTION_CONNECTION_TIMEOUT,
					(unsigned)VIGIE_HTTP_IDLE_SECONDS, MHD_OPTION_END);
	if (!site->daemon) {
		vigie_error_set(error, VIGIE_EIO, "cannot serve HTTP on %s", address);
		goto fail;
	}
	info = MHD_get_daemon_info(site->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || uv_poll_init(http->loop, &site->poll, info->epoll_fd)) {
		MHD_stop_daemon(site->daemon);
		fd = -1; /* the daemon closed it */
		vigie_error_set(error, VIGIE_EIO, "cannot serve HTTP on %s", address);
		goto fail;
	}
	uv_timer_init(http->loop, &site->timer);
	site->handles = 2;
	site->poll.data = site->timer.data = site;
	site->http = http;
	strcpy(site->address, address);
	uv_poll_start(&site->poll, UV_READABLE, on_poll);
	site->next = http->sites;
	http->sites = site;
	return site;

fail:
	if (fd >= 0)
		close(fd);
	free(site);
	return NULL;
}

static struct site *site_get(struct vigie_http *http, const char *address)
{
	struct site *site = http->sites;

	while (site && strcmp(site->address, address) != 0)
		site = site->next;
	return site;
}

enum vigie_status vigie_http_serve(struct vigie_http *http, const char *address, const char *path,
				   vigie_http_handler *handler, void *argument, struct vigie_error *error)
{
	struct site *site = site_get(http, address);
	struct route *route = calloc(1, sizeof(*route));

	if (route)
		route->path = strdup(path);
	if (!route || !route->path) {
		free(route);
		return vigie_error_memory(error);
	}
	for (const struct route *r = site ? site->routes : NULL; r; r = r->next) {
		if (r->epoch == http->epoch && strcmp(r->path, path) == 0) {
			free(route->path);
			free(route);
			return vigie_error_set(error, VIGIE_EEXIST, "%s is served on %s already", path,
					       address);
		}
	}
	if (!site)
		site = site_open(http, address, error);
	if (!site) {
		free(route->path);
		free(route);
		return VIGIE_EIO;
	}
	route->epoch = http->epoch;
	route->handler = handler;
	route->argument = argument;
	route->next = site->routes;
	site->routes = route;
	return VIGIE_OK;
}

void vigie_http_begin(struct vigie_http *http)
{
	http->epoch++;
}

void vigie_http_show(struct vigie_http *http)
{
	http->shown = http->epoch;
}

void vigie_http_stop(struct vigie_http *http, const char *address, const char *path, const void *argument)
{
	struct site *site = site_get(http, address);

	for (struct route **at = site ? &site->routes : NULL; at && *at; at = &(*at)->next) {
		struct route *route = *at;

		if (route->argument != argument || strcmp(route->path, path) != 0)
			continue;
		*at = route->next;
		free(route->path);
		free(route);
		break;
	}
	if (site && !site->routes)
		site_close(site);
}

struct vigie_http *vigie_http_new(uv_loop_t *loop)
{
	struct vigie_http *http = calloc(1, sizeof(*http));

	if (http)
		http->loop = loop;
	return http;
}

void vigie_http_close(struct vigie_http *http)
{
	while (http->sites)
		site_close(http->sites);
	free(http);
}
