#include "listen.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* All addresses of both families, or of IPv4 alone where the kernel has no IPv6. */
static void any_address(union address *address, uint16_t port)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0) {
		close(fd);
		address_set_wildcard(address, port);
		return;
	}
	address_from_text(address, "0.0.0.0", port);
}

/* The name that CoreDNS gives a listener: without an address when it has all. */
static void set_name(struct listener *listener, size_t number)
{
	char text[ADDRESS_TEXT_MAX];
	const char *shown = address_to_text(&listener->address, text);

	listener->name.number = (unsigned)number;
	snprintf(listener->name.text, sizeof(listener->name.text), "%s://%s", listener->tls ? "tls" : "dns",
		 listener->wildcard ? strrchr(shown, ':') : shown);
}

static struct listener *get_listener(struct listeners *listeners, const union address *address,
				     struct vigie_tls *tls)
{
	const struct vigie_server_name **names;
	struct listener **list;
	struct listener *listener;

	for (size_t i = 0; i < listeners->count; i++) {
		struct listener *known = listeners->list[i];

		if (address_equal(&known->address, address) && !known->tls == !tls)
			return known;
	}
	list = realloc(listeners->list, (listeners->count + 1) * sizeof(struct listener *));
	if (!list)
		return NULL;
	listeners->list = list;
	names = realloc(listeners->names, (listeners->count + 1) * sizeof(const void *));
	if (!names)
		return NULL;
	listeners->names = names;
	listener = calloc(1, sizeof(*listener));
	if (!listener)
		return NULL;
	listener->address = *address;
	listener->tls = tls;
	listener->wildcard = address_is_wildcard(address);
	listener->zones = zone_table_new();
	if (!listener->zones) {
		free(listener);
		return NULL;
	}
	set_name(listener, listeners->count);
	names[listeners->count] = &listener->name;
	list[listeners->count++] = listener;
	return listener;
}

/* Another listener that takes packets for the same address: all addresses and one of them, on one port. */
static const struct vigie_key *find_overlap(const struct listeners *listeners, const struct listener *of,
					    const struct vigie_name *zone)
{
	for (size_t i = 0; i < listeners->count; i++) {
		const struct listener *other = listeners->list[i];
		const struct vigie_key *key;

		if (other == of || other->wildcard == of->wildcard || !other->tls != !of->tls ||
		    other->address.v6.sin6_port != of->address.v6.sin6_port)
			continue;
		key = zone_table_find(other->zones, zone);
		if (key)
			return key;
	}
	return NULL;
}

/* A listener of the other transport that has the same TCP port; NULL when there is none. */
static const struct listener *find_other_transport(const struct listeners *listeners,
						   const struct listener *of)
{
	for (size_t i = 0; i < listeners->count; i++) {
		const struct listener *other = listeners->list[i];

		if (!other->tls != !of->tls && other->address.v6.sin6_port == of->address.v6.sin6_port &&
		    (other->wildcard || of->wildcard || address_equal(&other->address, &of->address)))
			return other;
	}
	return NULL;
}

/* Blocks may share a listener: the first that sets a timeout decides it. */
static void take_timeouts(struct vigie_timeouts *to, const struct vigie_timeouts *from)
{
	to->read_ms = to->read_ms ? to->read_ms : from->read_ms;
	to->write_ms = to->write_ms ? to->write_ms : from->write_ms;
	to->idle_ms = to->idle_ms ? to->idle_ms : from->idle_ms;
	to->queries_max = to->queries_max ? to->queries_max : from->queries_max;
}

static enum vigie_status add_key(struct listeners *listeners, struct block *block,
				 const struct vigie_key *key, const union address *address,
				 struct vigie_error *error)
{
	bool is_tls = key->transport == VIGIE_TRANSPORT_TLS;
	struct listener *listener = get_listener(listeners, address, is_tls ? block->setup.tls : NULL);
	const struct vigie_key *first;
	char text[ADDRESS_TEXT_MAX];

	if (!listener)
		return vigie_error_memory(error);
	if (find_other_transport(listeners, listener))
		return vigie_word_error(
			error, &key->word,
			"'%s': port %u is served both by DNS over TLS and by plain TCP: a key with and one "
			"without tls:// need ports of their own",
			key->word.text, key->port);
	listener->notifiable |= block_is_notifiable(block);
	take_timeouts(&listener->timeouts, &block->setup.timeouts);
	switch (zone_table_add(listener->zones, key, block, &first)) {
	case VIGIE_OK:
		break;
	case VIGIE_EEXIST:
		return vigie_word_error(error, &key->word, "'%s' is served on %s already, by '%s' at %s:%u",
					key->word.text, address_to_text(address, text), first->word.text,
					first->word.file, first->word.line);
	default:
		return vigie_error_memory(error);
	}
	listener->only = zone_table_only(listener->zones);
	block->setup.places[block->setup.place_count++] =
		(struct vigie_place){.server = &listener->name, .key = key};
	block->setup.server = block->setup.places[0].server->text;
	first = find_overlap(listeners, listener, &key->zone);
	if (first)
		return vigie_word_error(
			error, &key->word,
			"'%s' on %s overlaps with '%s' at %s:%u: one of them listens on all addresses",
			key->word.text, address_to_text(address, text), first->word.text, first->word.file,
			first->word.line);
	return VIGIE_OK;
}

enum vigie_status listeners_add(struct listeners *listeners, struct block *block, struct vigie_error *error)
{
	struct vigie_block *setup = &block->setup;
	size_t addresses = setup->address_count > 0 ? setup->address_count : 1;
	enum vigie_status status = VIGIE_OK;

	setup->places = vigie_arena_alloc(setup->arena,
					  setup->source->key_count * addresses * sizeof(*setup->places));
	if (!setup->places)
		return vigie_error_memory(error);

	for (size_t k = 0; k < setup->source->key_count && !status; k++) {
		const struct vigie_key *key = &setup->source->keys[k];
		union address address;

		if (key->transport == VIGIE_TRANSPORT_TLS && !setup->tls)
			return vigie_word_error(error, &key->word,
						"'%s' needs a certificate: add 'tls CERT KEY' to its block",
						key->word.text);
		if (setup->address_count == 0) {
			any_address(&address, key->port);
			status = add_key(listeners, block, key, &address, error);
		}
		for (size_t a = 0; a < setup->address_count && !status; a++) {
			status = address_from_text(&address, setup->addresses[a], key->port);
			if (status)
				return vigie_word_error(error, &key->word,
							"'%s' is bound to '%s', which is no address",
							key->word.text, setup->addresses[a]);
			status = add_key(listeners, block, key, &address, error);
		}
	}
	return status;
}

/* Binds without SO_REUSEPORT for a moment. */
static enum vigie_status check(const union address *address, bool wildcard, int type, const char *protocol,
			       struct vigie_error *error)
{
	int fd = socket(address->any.sa_family, type | SOCK_CLOEXEC, 0);
	enum vigie_status status = VIGIE_OK;
	char text[ADDRESS_TEXT_MAX];
	int only_v6 = !wildcard;
	int yes = 1;

	/* SO_REUSEADDR for TCP alone: it steps over connections that linger, but for UDP it would share the
	 * port. */
	if (fd < 0 || (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes))) ||
	    (address->any.sa_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof(only_v6))) ||
	    bind(fd, &address->any, address_length(address)))
		status = vigie_error_set(error, VIGIE_EIO, "cannot listen on %s by %s: %s",
					 address_to_text(address, text), protocol, strerror(errno));
	if (fd >= 0)
		close(fd);
	return status;
}

bool listener_same(const struct listener *a, const struct listener *b)
{
	return address_equal(&a->address, &b->address) && !a->tls == !b->tls;
}

enum vigie_status listener_check(const struct listener *listener, struct vigie_error *error)
{
	enum vigie_status status =
		listener->tls ? VIGIE_OK
			      : check(&listener->address, listener->wildcard, SOCK_DGRAM, "UDP", error);

	return status ? status : check(&listener->address, listener->wildcard, SOCK_STREAM, "TCP", error);
}

enum vigie_status listeners_check(const struct listeners *listeners, struct vigie_error *error)
{
	enum vigie_status status = VIGIE_OK;

	for (size_t i = 0; i < listeners->count && !status; i++)
		status = listener_check(listeners->list[i], error);
	return status;
}

void listeners_fini(struct listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++) {
		zone_table_free(listeners->list[i]->zones);
		free(listeners->list[i]);
	}
	free(listeners->list);
	free(listeners->names);
}
