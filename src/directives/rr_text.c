#include "rr_text.h"

#include <ldns/ldns.h>
#include <string.h>

enum { TTL_DEFAULT = 3600 };

static enum vigie_status read_rdata(struct rr_text *rr, const ldns_rr *parsed)
{
	size_t length = 0;

	for (size_t i = 0; i < ldns_rr_rd_count(parsed); i++) {
		const ldns_rdf *field = ldns_rr_rdf(parsed, i);
		size_t size = ldns_rdf_size(field);

		if (size > RR_TEXT_RDATA_MAX - length)
			return VIGIE_EINVAL;
		memcpy(rr->rdata + length, ldns_rdf_data(field), size);
		length += size;
	}
	rr->rdlength = (uint16_t)length;
	return VIGIE_OK;
}

enum vigie_status rr_text_read(struct rr_text *rr, const char *text, struct vigie_error *error)
{
	ldns_rdf *root = ldns_dname_new_frm_str(".");
	ldns_rr *parsed = NULL;
	enum vigie_status status = VIGIE_EINVAL;
	const ldns_rdf *owner;
	ldns_status found;

	if (!root)
		return vigie_error_memory(error);
	found = ldns_rr_new_frm_str(&parsed, text, TTL_DEFAULT, root, NULL);
	ldns_rdf_deep_free(root);
	if (found != LDNS_STATUS_OK) {
		vigie_error_set(error, VIGIE_EINVAL, "%s", ldns_get_errorstr_by_id(found));
		return VIGIE_EINVAL;
	}
	owner = ldns_rr_owner(parsed);
	rr->type = (uint16_t)ldns_rr_get_type(parsed);
	rr->class = (uint16_t)ldns_rr_get_class(parsed);
	rr->ttl = ldns_rr_ttl(parsed);
	if (vigie_name_from_wire(&rr->owner, ldns_rdf_data(owner), ldns_rdf_size(owner)) == VIGIE_OK)
		status = read_rdata(rr, parsed);
	if (status)
		vigie_error_set(error, VIGIE_EINVAL, "the record is too long");
	ldns_rr_free(parsed);
	return status;
}

bool rr_text_write(const struct rr_text *rr, struct vigie_answer *answer, enum vigie_section section)
{
	bool own = vigie_name_equal(rr->owner.bytes, answer->query->name.bytes);
	uint8_t *rdata =
		own ? vigie_answer_rr(answer, section, VIGIE_OWNER_QUESTION, rr->type, rr->ttl, rr->rdlength)
		    : vigie_answer_rr_named(answer, section, rr->owner.bytes, rr->type, rr->ttl,
					    rr->rdlength);

	if (!rdata)
		return false;
	vigie_answer_set_class(rdata, rr->class);
	memcpy(rdata, rr->rdata, rr->rdlength);
	return true;
}
