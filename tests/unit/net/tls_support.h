/* Certificates for the tests of TLS, made when they run; and loops that run
 * until something has happened. */
#ifndef TLS_SUPPORT_H
#define TLS_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include <weir/tls.h>

struct weir_loop;

/* A certificate, its key, and the files that have them as PEM. */
struct credentials {
	X509 *certificate;
	EVP_PKEY *key;
	char certificate_file[256], key_file[256];
};

/* What a certificate is to be; zero is the default of each. */
struct wish {
	const char *name;     /* CN, and the files' */
	const char *san;      /* as OpenSSL's configuration has it; or NULL */
	long from_days, days; /* valid from now on; days 0 is 10 */
	bool rsa;
	const char *pass_phrase; /* of the key's file; or NULL */
};

/* A directory of the test's own, and all in it is gone. */
const char *directory_make(void);
void directory_remove(void);
const char *in_directory(const char *name);
void write_file(const char *path, const void *data, size_t length);
char *read_text(const char *path);

/* Signed by an authority, or by itself where that is NULL. */
void credentials_make(struct credentials *ret,
    const struct credentials *authority, const struct wish *wish);
void credentials_free(struct credentials *credentials);

/* A context, or the test fails with the text of why not. */
struct weir_tls_context *make_context(
    const struct weir_tls_context_options *options);
struct weir_tls_pair pair_of(const struct credentials *credentials);

/* Run the loop until it is so; false when it takes too long. */
bool run_until(struct weir_loop *loop, bool (*so)(void *), void *user);
/* Run it for a while in which nothing is expected. */
void run_a_little(struct weir_loop *loop);

/* Let the kernel hold some 128 KiB in and out of it: then little has to wait as
 * well as much, and valgrind has less to do. */
void keep_little(int fd);

/* A process that plays the other side with a blocking SSL on the descriptor
 * that it connects (port) or accepts (listener). Give its number to
 * peer_wait(), which gives back what play returned. */
typedef int play_fn(SSL *ssl, int fd);
int peer_connect(unsigned short port, SSL_CTX *ssl, play_fn *play);
int peer_accept(int listener, SSL_CTX *ssl, play_fn *play);
int peer_wait(int process);
/* A listening descriptor on 127.0.0.1. */
int make_listener(unsigned short *port);

#endif
