#include "file.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vigie/new_file.h"

enum vigie_status acme_make_folder(const char *path, struct vigie_error *error)
{
	char *copy = strdup(path);
	struct stat folder;

	if (!copy)
		return vigie_error_memory(error);
	for (char *at = copy + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		mkdir(copy, 0700); /* that it failed shows in the end */
		*at = '/';
	}
	free(copy);
	if (mkdir(path, 0700) && (errno != EEXIST || stat(path, &folder) || !S_ISDIR(folder.st_mode)))
		return vigie_error_set(error, VIGIE_EIO, "cannot make the folder '%.256s': %s", path,
				       strerror(errno));
	return VIGIE_OK;
}

EVP_PKEY *acme_read_key(const char *path)
{
	FILE *file = fopen(path, "re");
	EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;

	if (file)
		fclose(file);
	return key;
}

X509 *acme_read_certificate(const char *path)
{
	FILE *file = fopen(path, "re");
	X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

	if (file)
		fclose(file);
	return certificate;
}

bool acme_has_certificates(const char *path)
{
	X509 *certificate = acme_read_certificate(path);

	X509_free(certificate);
	ERR_clear_error();
	return certificate != NULL;
}

enum vigie_status acme_write(const char *path, EVP_PKEY *key, const char *chain, struct vigie_error *error)
{
	BIO *memory = BIO_new(BIO_s_mem()); /* emptied of the key when it is freed */
	struct vigie_new_file file;
	char *pem;
	long length;

	vigie_new_file_begin(&file, "key file", path);
	if (memory && PEM_write_bio_PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL) == 1 &&
	    (length = BIO_get_mem_data(memory, &pem)) > 0)
		vigie_new_file_write(&file, pem, (size_t)length);
	else if (!file.error)
		file.error = ENOMEM;
	if (chain)
		vigie_new_file_write(&file, chain, strlen(chain));
	BIO_free(memory);
	return vigie_new_file_commit(&file, error);
}

bool acme_covers(X509 *certificate, const char *const *domains, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		/* A wildcard is looked for by a name that it holds. */
		const char *domain = domains[i];
		char name[300];

		snprintf(name, sizeof(name), "%s%s", domain[0] == '*' ? "x" : "",
			 domain[0] == '*' ? domain + 1 : domain);
		if (X509_check_host(certificate, name, 0, 0, NULL) != 1)
			return false;
	}
	return true;
}

bool acme_fits(const char *chain, EVP_PKEY *key, const char *const *domains, size_t count)
{
	BIO *memory = BIO_new_mem_buf(chain, -1);
	X509 *certificate = memory ? PEM_read_bio_X509(memory, NULL, NULL, NULL) : NULL;
	bool fits = certificate && X509_check_private_key(certificate, key) == 1 &&
		    acme_covers(certificate, domains, count);

	X509_free(certificate);
	BIO_free(memory);
	return fits;
}
