/* The pieces of the writer's store: keys, namespaces and entries. */
#include "store.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "vigie/hash.h"

static bool is_label_byte(char byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
	       byte == '-';
}

size_t vigie_store_label(uint8_t *wire, const char *text)
{
	size_t length = text ? strnlen(text, VIGIE_LABEL_MAX + 1) : 0;

	if (length == 0 || length > VIGIE_LABEL_MAX || text[0] == '-' || text[length - 1] == '-')
		return 0;
	for (size_t i = 0; i < length; i++)
		if (!is_label_byte(text[i]))
			return 0;
	wire[0] = (uint8_t)length;
	vigie_name_fold(wire + 1, (const uint8_t *)text, length);
	return 1 + length;
}

size_t vigie_store_key(uint8_t key[OBJECT_KEY_MAX], const char *namespace, const char *name)
{
	size_t namespace_length = namespace ? strlen(namespace) : 0;
	size_t name_length = name ? strlen(name) : 0;

	if (namespace_length == 0 || name_length == 0 || namespace_length + 1 + name_length > OBJECT_KEY_MAX)
		return 0;
	memcpy(key, namespace, namespace_length);
	key[namespace_length] = '/';
	memcpy(key + namespace_length + 1, name, name_length);
	return namespace_length + 1 + name_length;
}

/* An unnamed port's name is the root's empty label; one that no label can hold is as good as none. */
static size_t name_length(const struct vigie_port *port)
{
	size_t length = port->name ? strnlen(port->name, VIGIE_LABEL_MAX + 1) : 0;

	return length <= VIGIE_LABEL_MAX ? length : 0;
}

size_t vigie_store_ports_size(const struct vigie_port *ports, size_t count)
{
	size_t size = count == 0 ? PORT_NAME + 1 : 0;

	for (size_t i = 0; i < count; i++)
		size += PORT_NAME + 1 + name_length(&ports[i]);
	return size;
}

static enum protocol read_protocol(const char *text)
{
	if (!text || !*text || strcasecmp(text, "TCP") == 0)
		return PROTOCOL_TCP;
	if (strcasecmp(text, "UDP") == 0)
		return PROTOCOL_UDP;
	return strcasecmp(text, "SCTP") == 0 ? PROTOCOL_SCTP : PROTOCOL_NONE;
}

void vigie_store_pack_ports(uint8_t *out, const struct vigie_port *ports, size_t count)
{
	if (count == 0)
		memset(out, 0, PORT_NAME + 1);
	for (size_t i = 0; i < count; i++) {
		const struct vigie_port *port = &ports[i];

		out[PORT_PROTOCOL] = (uint8_t)read_protocol(port->protocol);
		out[PORT_HAS_NUMBER] = port->has_number;
		out[PORT_NUMBER] = (uint8_t)(port->has_number ? port->number >> 8 : 0);
		out[PORT_NUMBER + 1] = (uint8_t)(port->has_number ? port->number : 0);
		out[PORT_NAME] = (uint8_t)name_length(port);
		if (out[PORT_NAME])
			vigie_name_fold(out + PORT_NAME + 1, (const uint8_t *)port->name, out[PORT_NAME]);
		out += port_size(out);
	}
}

static bool is_configured(const struct vigie_cluster *cluster, const uint8_t *label)
{
	const uint8_t *at = cluster->namespaces;

	for (size_t i = 0; i < cluster->namespace_count; i++, at += 1 + at[0])
		if (at[0] == label[0] && memcmp(at + 1, label + 1, label[0]) == 0)
			return true;
	return cluster->namespace_count == 0;
}

struct space *vigie_store_space(struct vigie_cluster *cluster, const uint8_t *label)
{
	struct space *space = vigie_table_find_space(cluster->records, label);

	if (space)
		return space;
	space = vigie_piece_new(cluster->records, VIGIE_BYTES_NAMESPACES, sizeof(*space) + 1 + label[0]);
	if (!space)
		return NULL;
	memcpy(space->label, label, 1U + label[0]);
	/* Where nobody says which namespaces exist, one that is spoken of does. */
	space->exposed = !cluster->kinds[VIGIE_KIND_NAMESPACE] && is_configured(cluster, label);
	if (vigie_table_add_space(cluster->records, space) != VIGIE_OK) {
		vigie_piece_free(cluster->records, VIGIE_BYTES_NAMESPACES, space);
		return NULL;
	}
	return space;
}

void vigie_store_drop_space(struct vigie_cluster *cluster, struct space *space)
{
	if (space->present || space->users > 0)
		return;
	vigie_table_remove_space(cluster->records, space);
	vigie_piece_retire(cluster->records, VIGIE_BYTES_NAMESPACES, space);
}

enum vigie_status vigie_cluster_put_namespace(struct vigie_cluster *cluster, const char *name)
{
	uint8_t label[1 + VIGIE_LABEL_MAX];
	struct space *space;

	if (vigie_store_label(label, name) == 0)
		return VIGIE_EINVAL;
	space = vigie_store_space(cluster, label);
	if (!space)
		return VIGIE_ENOMEM;
	space->seen = cluster->generation[VIGIE_KIND_NAMESPACE];
	if (!space->present) {
		space->present = true;
		__atomic_store_n(&space->exposed, is_configured(cluster, label), __ATOMIC_RELEASE);
		__atomic_fetch_add(&cluster->records->count.namespaces, 1, __ATOMIC_RELAXED);
		cluster->changed = true;
	}
	return VIGIE_OK;
}

static void drop_namespace(struct vigie_cluster *cluster, struct space *space)
{
	space->present = false;
	__atomic_store_n(&space->exposed, false, __ATOMIC_RELEASE);
	__atomic_fetch_sub(&cluster->records->count.namespaces, 1, __ATOMIC_RELAXED);
	cluster->changed = true;
	vigie_store_drop_space(cluster, space);
}

void vigie_store_delete_namespace(struct vigie_cluster *cluster, const char *name)
{
	uint8_t label[1 + VIGIE_LABEL_MAX];
	struct space *space;

	if (vigie_store_label(label, name) == 0)
		return;
	space = vigie_table_find_space(cluster->records, label);
	if (space && space->present)
		drop_namespace(cluster, space);
}

void vigie_store_sweep_namespaces(struct vigie_cluster *cluster)
{
	struct space *space;

	for (uint32_t at = 0; (space = slots_each(cluster->records->spaces, &at)) != NULL;) {
		if (space->present && space->seen != cluster->generation[VIGIE_KIND_NAMESPACE])
			drop_namespace(cluster, space);
	}
}

struct entry *vigie_store_entry(struct vigie_cluster *cluster, const uint8_t *key, size_t service_length,
				size_t length)
{
	struct entry *entry = vigie_table_find(cluster->records, key, length);
	struct holding *holding;
	struct space *space;

	if (entry && entry->holding)
		return entry;
	holding = vigie_piece_new(cluster->records, VIGIE_BYTES_SERVICES, sizeof(*holding));
	if (!holding)
		return NULL;
	CDS_INIT_LIST_HEAD(&holding->slices);
	if (entry) {
		/* What an earlier cluster published stays until it is replaced. */
		entry->holding = holding;
		holding->entry = entry;
		return entry;
	}
	space = vigie_store_space(cluster, key + service_length);
	if (!space)
		goto fail;
	entry = vigie_piece_new(cluster->records, VIGIE_BYTES_SERVICES, sizeof(*entry) + length);
	if (!entry) {
		vigie_store_drop_space(cluster, space);
		goto fail;
	}
	entry->space = space;
	entry->holding = holding;
	holding->entry = entry;
	entry->key_length = (uint8_t)length;
	memcpy(entry->key, key, length);
	if (vigie_table_add_entry(cluster->records, entry) != VIGIE_OK) {
		vigie_piece_free(cluster->records, VIGIE_BYTES_SERVICES, entry);
		vigie_store_drop_space(cluster, space);
		goto fail;
	}
	space->users++;
	return entry;
fail:
	vigie_piece_free(cluster->records, VIGIE_BYTES_SERVICES, holding);
	return NULL;
}

void vigie_store_touch(struct vigie_cluster *cluster, struct entry *entry)
{
	if (entry->holding->is_dirty)
		return;
	entry->holding->is_dirty = true;
	cds_list_add_tail(&entry->holding->dirty, &cluster->dirty);
}
