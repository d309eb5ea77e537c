/* `bind ADDRESS|INTERFACE… { except ADDRESS|INTERFACE… }`: where a block listens. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "directives.h"

enum {
	ADDRESSES_MAX = 1024 /* of one block */
};

struct list {
	struct vigie_arena *arena;
	const char **addresses;
	size_t count;
};

static bool is_address(const char *text)
{
	char host[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	size_t length = strcspn(text, "%");

	if (inet_pton(AF_INET, text, bytes) == 1)
		return true;
	if (length >= sizeof(host))
		return false;
	memcpy(host, text, length);
	host[length] = 0;
	return inet_pton(AF_INET6, host, bytes) == 1 &&
	       (!text[length] || if_nametoindex(text + length + 1) != 0);
}

static enum vigie_status add(struct list *list, const struct vigie_word *word, const char *address,
			     struct vigie_error *error)
{
	if (list->count == ADDRESSES_MAX)
		return vigie_word_error(error, word, "'%s' makes more than %d addresses", word->text,
					ADDRESSES_MAX);
	list->addresses[list->count] = vigie_arena_strdup(list->arena, address);
	if (!list->addresses[list->count])
		return vigie_error_memory(error);
	list->count++;
	return VIGIE_OK;
}

/* An interface's address as text, a link-local one with its scope; NULL when it is of another family. */
static const char *interface_address(const struct ifaddrs *interface, char *text, size_t size)
{
	char host[INET6_ADDRSTRLEN];

	if (!interface->ifa_addr)
		return NULL;
	if (interface->ifa_addr->sa_family == AF_INET)
		return inet_ntop(AF_INET, &((const struct sockaddr_in *)interface->ifa_addr)->sin_addr, text,
				 (socklen_t)size);
	if (interface->ifa_addr->sa_family != AF_INET6)
		return NULL;
	{
		const struct in6_addr *v6 = &((const struct sockaddr_in6 *)interface->ifa_addr)->sin6_addr;

		inet_ntop(AF_INET6, v6, host, sizeof(host));
		snprintf(text, size, IN6_IS_ADDR_LINKLOCAL(v6) ? "%s%%%s" : "%s", host, interface->ifa_name);
	}
	return text;
}

/* Adds what a word stands for: an address, or all addresses of an interface. */
static enum vigie_status add_word(struct list *list, const struct vigie_word *word,
				  const struct ifaddrs *interfaces, struct vigie_error *error)
{
	bool found = false;

	if (is_address(word->text))
		return add(list, word, word->text, error);
	for (const struct ifaddrs *i = interfaces; i; i = i->ifa_next) {
		char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
		enum vigie_status status;

		if (strcmp(i->ifa_name, word->text) != 0)
			continue;
		found = true;
		if (!interface_address(i, text, sizeof(text)))
			continue;
		status = add(list, word, text, error);
		if (status)
			return status;
	}
	if (found)
		return VIGIE_OK;
	return vigie_word_error(error, word, "'%s' is neither an IP address nor an interface of this machine",
				word->text);
}

static bool contains(const struct list *list, const char *address)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->addresses[i], address) == 0)
			return true;
	}
	return false;
}

static enum vigie_status read_statement(const struct vigie_statement *statement,
					const struct ifaddrs *interfaces, struct list *wanted,
					struct list *except, struct vigie_error *error)
{
	enum vigie_status status = vigie_statement_args(statement, 1, SIZE_MAX, error);

	for (size_t i = 0; i < statement->arg_count && !status; i++)
		status = add_word(wanted, &statement->args[i], interfaces, error);
	for (size_t i = 0; i < statement->body_count && !status; i++) {
		const struct vigie_statement *option = &statement->body[i];

		if (strcmp(option->name.text, "except") != 0)
			return vigie_option_unknown(statement, option, error);
		status = vigie_statement_args(option, 1, SIZE_MAX, error);
		for (size_t a = 0; a < option->arg_count && !status; a++)
			status = add_word(except, &option->args[a], interfaces, error);
	}
	return status;
}

static enum vigie_status setup(struct vigie_block *block, const struct vigie_statement *const *statements,
			       size_t count, void **instance, struct vigie_error *error)
{
	struct list wanted = {.arena = block->arena};
	struct list except = {.arena = block->arena};
	struct ifaddrs *interfaces = NULL;
	enum vigie_status status = VIGIE_OK;

	block->addresses = vigie_arena_alloc(block->arena, ADDRESSES_MAX * sizeof(char *));
	wanted.addresses = vigie_arena_alloc(block->arena, ADDRESSES_MAX * sizeof(char *));
	except.addresses = vigie_arena_alloc(block->arena, ADDRESSES_MAX * sizeof(char *));
	if (!block->addresses || !wanted.addresses || !except.addresses)
		return vigie_error_memory(error);
	if (getifaddrs(&interfaces))
		interfaces = NULL; /* addresses can be bound to all the same */
	for (size_t i = 0; i < count && !status; i++)
		status = read_statement(statements[i], interfaces, &wanted, &except, error);
	freeifaddrs(interfaces);
	for (size_t i = 0; i < wanted.count && !status; i++) {
		struct list taken = {.addresses = block->addresses, .count = block->address_count};

		if (!contains(&except, wanted.addresses[i]) && !contains(&taken, wanted.addresses[i]))
			block->addresses[block->address_count++] = wanted.addresses[i];
	}
	if (!status && block->address_count == 0)
		status = vigie_word_error(error, &statements[0]->name,
					  "'bind' leaves no address to listen on");
	return status;
}

const struct vigie_directive vigie_directive_bind = {
	.name = "bind",
	.setup = setup,
};
