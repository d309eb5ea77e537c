/* Compiling records into a zone: sorted once, then written into as much memory as they need. */
#include <stdlib.h>
#include <string.h>

#include "vigie/buffer.h"
#include "vigie/bytes.h"
#include "zone.h"

/* A record as it was added; its bytes stand in the pool: key, name, RDATA. */
struct item {
	uint32_t key;
	uint32_t name;
	uint32_t rdata;
	uint32_t ttl;
	uint16_t key_length;
	uint16_t rdlength;
	uint16_t type; /* of the set that it belongs to: what a signature covers */
	bool sig;
	uint8_t depth;
};

struct vigie_zone_builder {
	struct vigie_name origin;
	struct vigie_buffer pool;
	struct item *items;
	size_t count;
	size_t capacity;
};

struct vigie_zone_builder *vigie_zone_builder_new(const struct vigie_name *origin)
{
	struct vigie_zone_builder *builder = calloc(1, sizeof(*builder));

	if (!builder)
		return NULL;
	builder->origin = *origin;
	vigie_buffer_init(&builder->pool, VIGIE_ZONE_BYTES_MAX);
	return builder;
}

void vigie_zone_builder_free(struct vigie_zone_builder *builder)
{
	if (!builder)
		return;
	vigie_buffer_fini(&builder->pool);
	free(builder->items);
	free(builder);
}

/* Bytes of the wire name at the start of `rdata`; 0 when it is malformed or cut. */
static size_t name_bytes(const uint8_t *rdata, size_t length)
{
	struct vigie_name name;

	return vigie_name_from_wire(&name, rdata, length) ? 0 : name.length;
}

/* Whether the RDATA of a type whose parts the answers read is whole. */
static bool rdata_is_whole(uint16_t type, const uint8_t *rdata, size_t length)
{
	size_t first;

	switch (type) {
	case VIGIE_TYPE_A:
		return length == 4;
	case VIGIE_TYPE_AAAA:
		return length == 16;
	case VIGIE_TYPE_NS:
	case VIGIE_TYPE_CNAME:
	case VIGIE_TYPE_PTR:
	case VIGIE_TYPE_DNAME:
		return length > 0 && name_bytes(rdata, length) == length;
	case VIGIE_TYPE_MX:
		return length > 2 && name_bytes(rdata + 2, length - 2) == length - 2;
	case VIGIE_TYPE_SRV:
		return length > 6 && name_bytes(rdata + 6, length - 6) == length - 6;
	case VIGIE_TYPE_SVCB:
	case VIGIE_TYPE_HTTPS:
		return length > 2 && name_bytes(rdata + 2, length - 2) > 0;
	case VIGIE_TYPE_SOA:
		first = name_bytes(rdata, length);
		return first > 0 && length > first + 20 &&
		       name_bytes(rdata + first, length - first) + 20 == length - first;
	case VIGIE_TYPE_RRSIG:
		return length > 18;
	default:
		return true;
	}
}

/* OPT, and the types that only questions have (RFC 6895 section 3.1). */
static bool is_meta(uint16_t type)
{
	return type == 0 || type == VIGIE_TYPE_OPT || (type >= 128 && type <= 255);
}

static enum vigie_status grow(struct vigie_zone_builder *builder)
{
	size_t capacity = builder->capacity ? builder->capacity * 2 : 64;
	struct item *items;

	if (builder->count < builder->capacity)
		return VIGIE_OK;
	items = reallocarray(builder->items, capacity, sizeof(*items));
	if (!items)
		return VIGIE_ENOMEM;
	builder->items = items;
	builder->capacity = capacity;
	return VIGIE_OK;
}

enum vigie_status vigie_zone_builder_add(struct vigie_zone_builder *builder, const uint8_t *owner,
					 uint16_t type, uint32_t ttl, const uint8_t *rdata, size_t rdlength)
{
	struct vigie_buffer *pool = &builder->pool;
	struct vigie_name name;
	uint8_t key[KEY_MAX];
	enum vigie_status status;
	struct item item;

	if (vigie_name_from_wire(&name, owner, VIGIE_NAME_MAX) || is_meta(type) ||
	    rdlength > VIGIE_ZONE_RDATA_MAX || !rdata_is_whole(type, rdata, rdlength))
		return VIGIE_EINVAL;
	if (!vigie_name_is_below(&name, &builder->origin))
		return VIGIE_ENOENT;
	item = (struct item){
		.key = (uint32_t)pool->length,
		.key_length = (uint16_t)key_make(&name, builder->origin.labels, key),
		.rdlength = (uint16_t)rdlength,
		.ttl = ttl > INT32_MAX ? 0 : ttl, /* RFC 2181 section 8 */
		.type = type,
		.sig = type == VIGIE_TYPE_RRSIG,
		.depth = (uint8_t)(name.labels - builder->origin.labels),
	};
	item.name = item.key + item.key_length;
	item.rdata = item.name + name.length;
	if (item.sig)
		item.type = read_u16(rdata);
	status = grow(builder);
	if (!status)
		status = vigie_buffer_reserve(pool, (size_t)item.key_length + name.length + rdlength);
	if (status)
		return status;
	vigie_buffer_append(pool, key, item.key_length);
	vigie_buffer_append(pool, name.bytes, name.length);
	vigie_buffer_append(pool, rdata, rdlength);
	builder->items[builder->count++] = item;
	return VIGIE_OK;
}

/* The SOA stands first at its node, so that a walk begins with it. */
static unsigned type_rank(uint16_t type)
{
	return type == VIGIE_TYPE_SOA ? 0 : type + 1U;
}

static int compare_sets(const struct item *a, const struct item *b, const uint8_t *pool)
{
	int order = key_compare(pool + a->key, a->key_length, pool + b->key, b->key_length);

	if (order)
		return order;
	return (type_rank(a->type) > type_rank(b->type)) - (type_rank(a->type) < type_rank(b->type));
}

/* By owner, type, records before signatures, RDATA. */
static int compare(const void *left, const void *right, void *argument)
{
	const struct item *a = left;
	const struct item *b = right;
	const uint8_t *pool = argument;
	int order = compare_sets(a, b, pool);

	if (order)
		return order;
	if (a->sig != b->sig)
		return a->sig ? 1 : -1;
	return key_compare(pool + a->rdata, a->rdlength, pool + b->rdata, b->rdlength);
}

/* What is being compiled. */
struct compiler {
	struct vigie_zone_builder *builder;
	struct vigie_zone *zone;
	uint32_t node_capacity;
	uint32_t pool_length;
	uint32_t path[VIGIE_LABELS_MAX + 1]; /* the nodes from the apex to the last one, by depth */
};

static uint32_t put(struct compiler *compiler, const void *bytes, size_t length)
{
	uint32_t at = compiler->pool_length;

	memcpy(compiler->zone->pool + at, bytes, length);
	compiler->pool_length += (uint32_t)length;
	return at;
}

/* Adds the node of the ancestor-or-self of `item` at `depth`; its key is the beginning of the item's, its
 * name the end. */
static bool add_node(struct compiler *compiler, const struct item *item, unsigned depth)
{
	const uint8_t *pool = compiler->builder->pool.data;
	struct vigie_zone *zone = compiler->zone;
	const uint8_t *name = pool + item->name;
	size_t key_length = 0;
	struct node *node;

	if (zone->node_count == compiler->node_capacity) {
		uint32_t capacity = compiler->node_capacity ? compiler->node_capacity * 2 : 64;
		struct node *nodes = reallocarray(zone->nodes, capacity, sizeof(*nodes));

		if (!nodes)
			return false;
		zone->nodes = nodes;
		compiler->node_capacity = capacity;
	}
	for (unsigned labels = 0; labels < depth; key_length++)
		labels += pool[item->key + key_length] == 0;
	for (unsigned above = item->depth; above > depth; above--)
		name += 1 + *name;
	node = &zone->nodes[zone->node_count];
	*node = (struct node){
		.key = put(compiler, pool + item->key, key_length),
		.key_length = (uint16_t)key_length,
		.name = put(compiler, name, vigie_name_length(name)),
		.sets = zone->set_count,
		.parent = depth > 0 ? compiler->path[depth - 1] : NODE_NONE,
		.wildcard = NODE_NONE,
		.cut = NODE_NONE,
		.depth = (uint8_t)depth,
	};
	if (depth > 0 && name[0] == 1 && name[1] == '*')
		zone->nodes[node->parent].wildcard = zone->node_count;
	compiler->path[depth] = zone->node_count++;
	return true;
}

/* Adds the nodes that lead to an owner, those without records included. */
static bool add_owner(struct compiler *compiler, const struct item *item, const struct item *previous)
{
	const uint8_t *pool = compiler->builder->pool.data;
	size_t depth = 0;

	if (previous)
		depth = key_common(pool + previous->key, previous->key_length, pool + item->key,
				   item->key_length) +
			1;
	for (; depth <= item->depth; depth++) {
		if (!add_node(compiler, item, (unsigned)depth))
			return false;
	}
	return true;
}

/* Adds a set of records and signatures, each once: `count` items of one owner and type, sorted. */
static void add_set(struct compiler *compiler, const struct item *items, size_t count)
{
	const uint8_t *pool = compiler->builder->pool.data;
	struct vigie_zone *zone = compiler->zone;
	struct set *set = &zone->sets[zone->set_count++];

	*set = (struct set){.type = items->type, .data = compiler->pool_length};
	zone->nodes[zone->node_count - 1].set_count++;
	set->sig_data = compiler->pool_length;
	for (size_t i = 0; i < count; i++) {
		const struct item *item = &items[i];
		uint8_t length[2] = {(uint8_t)item->rdlength, (uint8_t)(item->rdlength >> 8)};
		uint32_t *ttl = item->sig ? &set->sig_ttl : &set->ttl;
		uint16_t *number = item->sig ? &set->sig_count : &set->count;

		if (i > 0 && compare(item - 1, item, compiler->builder->pool.data) == 0)
			continue;
		if (*number == UINT16_MAX)
			continue; /* no answer could hold them */
		if (*number == 0 || item->ttl < *ttl)
			*ttl = item->ttl;
		if (item->sig && *number == 0)
			set->sig_data = compiler->pool_length;
		put(compiler, length, sizeof(length));
		put(compiler, pool + item->rdata, item->rdlength);
		++*number;
	}
}

/* Which names are not the zone's own: those at and below a delegation, and below a DNAME. And where the
 * proofs that a name does not exist are. */
static void find_cuts(struct vigie_zone *zone)
{
	for (uint32_t i = 1; i < zone->node_count; i++) {
		struct node *node = &zone->nodes[i];
		const struct node *parent = &zone->nodes[node->parent];

		node->nsec = zone_get_set(zone, i, VIGIE_TYPE_NSEC) ? i : zone->nodes[i - 1].nsec;
		if (parent->cut != NODE_NONE)
			node->cut = parent->cut;
		else if (zone_get_set(zone, node->parent, VIGIE_TYPE_DNAME))
			node->cut = node->parent;
		else if (zone_get_set(zone, i, VIGIE_TYPE_NS))
			node->cut = i;
	}
}

/* The pool holds each owner once, with all above it; the sum over all records is an upper bound. */
static bool make_room(struct compiler *compiler)
{
	const struct vigie_zone_builder *builder = compiler->builder;
	size_t bytes = 0;

	for (size_t i = 0; i < builder->count; i++) {
		const struct item *item = &builder->items[i];
		const struct item *before = i > 0 ? item - 1 : NULL;
		size_t names = 1U + item->depth;

		if (before && key_compare(builder->pool.data + before->key, before->key_length,
					  builder->pool.data + item->key, item->key_length) == 0)
			names = 0;
		else if (before)
			names -= 1 + key_common(builder->pool.data + before->key, before->key_length,
						builder->pool.data + item->key, item->key_length);
		bytes += 2U + item->rdlength + names * ((size_t)item->key_length + VIGIE_NAME_MAX);
	}
	if (bytes > UINT32_MAX)
		return false;
	compiler->zone->pool = malloc(bytes);
	compiler->zone->sets = calloc(builder->count + 1, sizeof(struct set));
	return compiler->zone->pool && compiler->zone->sets;
}

static bool compile(struct compiler *compiler)
{
	const struct vigie_zone_builder *builder = compiler->builder;
	const uint8_t *pool = builder->pool.data;
	const struct item *items = builder->items;
	struct vigie_zone *zone = compiler->zone;
	void *smaller;

	if (!make_room(compiler))
		return false;
	for (size_t i = 0; i < builder->count;) {
		size_t end = i + 1;

		while (end < builder->count && compare_sets(&items[i], &items[end], pool) == 0)
			end++;
		if (i == 0 || key_compare(pool + items[i - 1].key, items[i - 1].key_length,
					  pool + items[i].key, items[i].key_length) != 0) {
			if (!add_owner(compiler, &items[i], i > 0 ? &items[i - 1] : NULL))
				return false;
		}
		add_set(compiler, &items[i], end - i);
		i = end;
	}
	/* Give back what the bounds were too high by; that it fails does no harm. */
	smaller = realloc(zone->pool, compiler->pool_length);
	zone->pool = smaller ? smaller : zone->pool;
	smaller = reallocarray(zone->sets, zone->set_count, sizeof(struct set));
	zone->sets = smaller ? smaller : zone->sets;
	smaller = reallocarray(zone->nodes, zone->node_count, sizeof(struct node));
	zone->nodes = smaller ? smaller : zone->nodes;
	find_cuts(zone);
	return true;
}

/* What makes a zone one. */
static enum vigie_status check(const struct vigie_zone *zone, struct vigie_error *error)
{
	const struct set *soa = zone->node_count > 0 ? zone_get_set(zone, NODE_APEX, VIGIE_TYPE_SOA) : NULL;
	char text[VIGIE_NAME_TEXT_MAX];

	vigie_name_to_text(zone->origin.bytes, text);
	if (!soa)
		return vigie_error_set(error, VIGIE_EINVAL, "zone '%.256s' has no SOA record", text);
	if (soa->count > 1)
		return vigie_error_set(error, VIGIE_EINVAL, "zone '%.256s' has more than one SOA record",
				       text);
	for (uint32_t i = 0; i < zone->set_count; i++) {
		if (zone->sets[i].type == VIGIE_TYPE_NSEC3 || zone->sets[i].type == TYPE_NSEC3PARAM)
			return vigie_error_set(
				error, VIGIE_EINVAL,
				"zone '%.256s' is signed with NSEC3, which is not supported: use NSEC", text);
		if (zone->sets[i].type == VIGIE_TYPE_SOA && i != zone->nodes[NODE_APEX].sets)
			return vigie_error_set(error, VIGIE_EINVAL,
					       "zone '%.256s' has a SOA record below its origin", text);
	}
	return VIGIE_OK;
}

struct vigie_zone *vigie_zone_builder_finish(struct vigie_zone_builder *builder, struct vigie_error *error)
{
	struct compiler compiler = {.builder = builder, .zone = calloc(1, sizeof(struct vigie_zone))};

	if (!compiler.zone)
		goto memory;
	compiler.zone->references = 1;
	compiler.zone->origin = builder->origin;
	if (builder->count > 0) {
		qsort_r(builder->items, builder->count, sizeof(struct item), compare, builder->pool.data);
		if (!compile(&compiler))
			goto memory;
	}
	if (check(compiler.zone, error))
		goto fail;
	vigie_zone_builder_free(builder);
	return compiler.zone;

memory:
	vigie_error_memory(error);
fail:
	vigie_zone_unref(compiler.zone);
	vigie_zone_builder_free(builder);
	return NULL;
}
