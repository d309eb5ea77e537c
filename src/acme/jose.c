#include "jose.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { COORDINATE = 32 /* bytes of a number of P-256 */ };

char *jose_base64(const void *bytes, size_t length)
{
	size_t size = sodium_base64_encoded_len(length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	char *text = malloc(size);

	if (text)
		sodium_bin2base64(text, size, bytes, length, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return text;
}

EVP_PKEY *jose_key_new(void)
{
	return EVP_EC_gen("P-256");
}

static char *coordinate(EVP_PKEY *key, const char *which)
{
	uint8_t bytes[COORDINATE];
	BIGNUM *number = NULL;
	char *text = NULL;

	if (EVP_PKEY_get_bn_param(key, which, &number) == 1 &&
	    BN_bn2binpad(number, bytes, sizeof(bytes)) == COORDINATE)
		text = jose_base64(bytes, sizeof(bytes));
	BN_free(number);
	return text;
}

json_t *jose_jwk(EVP_PKEY *key)
{
	char *x = coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X);
	char *y = coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y);
	json_t *jwk =
		x && y ? json_pack("{s:s,s:s,s:s,s:s}", "crv", "P-256", "kty", "EC", "x", x, "y", y) : NULL;

	free(x);
	free(y);
	return jwk;
}

char *jose_digest(const char *text)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];

	SHA256((const uint8_t *)text, strlen(text), digest);
	return jose_base64(digest, sizeof(digest));
}

char *jose_thumbprint(EVP_PKEY *key)
{
	json_t *jwk = jose_jwk(key);
	char *text = jwk ? json_dumps(jwk, JSON_COMPACT | JSON_SORT_KEYS) : NULL; /* RFC 7638 section 3 */
	char *thumbprint = text ? jose_digest(text) : NULL;

	json_decref(jwk);
	free(text);
	return thumbprint;
}

/* The signature as two numbers one behind the other (RFC 7518 section 3.4). */
static char *sign(EVP_PKEY *key, const char *text)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t der[128];
	size_t length = sizeof(der);
	const uint8_t *at = der;
	uint8_t numbers[2 * COORDINATE];
	ECDSA_SIG *signature = NULL;
	char *encoded = NULL;

	if (context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
	    EVP_DigestSign(context, der, &length, (const uint8_t *)text, strlen(text)) == 1)
		signature = d2i_ECDSA_SIG(NULL, &at, (long)length);
	if (signature && BN_bn2binpad(ECDSA_SIG_get0_r(signature), numbers, COORDINATE) == COORDINATE &&
	    BN_bn2binpad(ECDSA_SIG_get0_s(signature), numbers + COORDINATE, COORDINATE) == COORDINATE)
		encoded = jose_base64(numbers, sizeof(numbers));
	ECDSA_SIG_free(signature);
	EVP_MD_CTX_free(context);
	return encoded;
}

char *jose_sign(EVP_PKEY *key, json_t *header, const char *payload)
{
	char *protected = NULL;
	char *body = jose_base64(payload, strlen(payload));
	char *signature = NULL;
	char *input = NULL;
	char *text;
	json_t *jws = NULL;
	char *result = NULL;

	json_object_set_new(header, "alg", json_string("ES256"));
	text = json_dumps(header, JSON_COMPACT);
	if (text)
	protected = jose_base64(text, strlen(text));
	if (protected && body && asprintf(&input, "%s.%s", protected, body) >= 0)
		signature = sign(key, input);
	if (signature)
		jws = json_pack("{s:s,s:s,s:s}", "protected", protected, "payload", body, "signature",
				signature);
	if (jws)
		result = json_dumps(jws, JSON_COMPACT);
	json_decref(jws);
	free(text);
	free(protected);
	free(body);
	free(signature);
	free(input);
	return result;
}

static bool add_names(X509_REQ *request, const char *const *domains, size_t count)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	STACK_OF(X509_EXTENSION) *extensions = NULL;
	bool good = names != NULL;

	for (size_t i = 0; i < count && good; i++) {
		GENERAL_NAME *name = GENERAL_NAME_new();
		ASN1_IA5STRING *text = ASN1_IA5STRING_new();

		good = name && text && ASN1_STRING_set(text, domains[i], -1) == 1;
		if (good) {
			GENERAL_NAME_set0_value(name, GEN_DNS, text);
			text = NULL;
			good = sk_GENERAL_NAME_push(names, name) > 0;
		}
		if (!good) {
			GENERAL_NAME_free(name);
			ASN1_STRING_free(text);
		}
	}
	good = good && X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, 0, 0) == 1 &&
	       X509_REQ_add_extensions(request, extensions) == 1;
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	GENERAL_NAMES_free(names);
	return good;
}

char *jose_request(EVP_PKEY *key, const char *const *domains, size_t count)
{
	X509_REQ *request = X509_REQ_new();
	uint8_t *der = NULL;
	char *text = NULL;
	int length;

	if (request && X509_REQ_set_pubkey(request, key) == 1 && add_names(request, domains, count) &&
	    X509_REQ_sign(request, key, EVP_sha256()) > 0) {
		length = i2d_X509_REQ(request, &der);
		if (length > 0)
			text = jose_base64(der, (size_t)length);
	}
	OPENSSL_free(der);
	X509_REQ_free(request);
	return text;
}
