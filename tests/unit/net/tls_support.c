#include "config.h"

#include "tls_support.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <check.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <weir/loop.h>

/* ---- files ---- */

static char directory[200];

const char *
directory_make(void)
{
	const char *where = getenv("TMPDIR");

	(void)snprintf(directory, sizeof(directory), "%.150s/weir-tls-XXXXXX",
	    where != NULL ? where : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	return directory;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

void
directory_remove(void)
{
	(void)nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *
in_directory(const char *name)
{
	static char path[4][256];
	static unsigned turn;
	char *now = path[turn++ % 4];

	(void)snprintf(now, 256, "%s/%.50s", directory, name);
	return now;
}

void
write_file(const char *path, const void *data, size_t length)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(data, 1, length, file), length);
	ck_assert_int_eq(fclose(file), 0);
}

char *
read_text(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 65536);

	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_gt(fread(text, 1, 65535, file), 0);
	(void)fclose(file);
	return text;
}

/* ---- certificates ---- */

static void
add_extension(X509 *certificate, const X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(
	    &context, (X509 *)(uintptr_t)issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	ck_assert_ptr_nonnull(extension);
	ck_assert_int_eq(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static void
write_pem(struct credentials *c, const struct wish *wish)
{
	FILE *file;

	(void)snprintf(c->certificate_file, sizeof(c->certificate_file),
	    "%s/%.40s.crt", directory, wish->name);
	(void)snprintf(c->key_file, sizeof(c->key_file), "%s/%.40s.key",
	    directory, wish->name);
	file = fopen(c->certificate_file, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(PEM_write_X509(file, c->certificate), 1);
	ck_assert_int_eq(fclose(file), 0);
	file = fopen(c->key_file, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(
	    PEM_write_PKCS8PrivateKey(file, c->key,
		wish->pass_phrase != NULL ? EVP_aes_128_cbc() : NULL,
		wish->pass_phrase,
		wish->pass_phrase != NULL ? (int)strlen(wish->pass_phrase) : 0,
		NULL, NULL),
	    1);
	ck_assert_int_eq(fclose(file), 0);
}

/* Of three primes: two of twice the length take valgrind half a minute. */
static EVP_PKEY *
make_rsa(void)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
	EVP_PKEY *key = NULL;

	ck_assert_ptr_nonnull(context);
	ck_assert_int_eq(EVP_PKEY_keygen_init(context), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048), 1);
	ck_assert_int_eq(EVP_PKEY_CTX_set_rsa_keygen_primes(context, 3), 1);
	ck_assert_int_eq(EVP_PKEY_generate(context, &key), 1);
	EVP_PKEY_CTX_free(context);
	return key;
}

void
credentials_make(struct credentials *ret, const struct credentials *authority,
    const struct wish *wish)
{
	static long serial = 1000;
	X509 *x = X509_new();
	const X509 *issuer = authority != NULL ? authority->certificate : x;
	X509_NAME *name = X509_NAME_new();

	memset(ret, 0, sizeof(*ret));
	ret->key = wish->rsa ? make_rsa() : EVP_EC_gen("P-256");
	ret->certificate = x;
	ck_assert_ptr_nonnull(ret->key);
	(void)X509_set_version(x, 2);
	(void)ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	(void)X509_gmtime_adj(
	    X509_getm_notBefore(x), wish->from_days * 86400 - 60);
	(void)X509_gmtime_adj(X509_getm_notAfter(x),
	    (wish->from_days + (wish->days != 0 ? wish->days : 10)) * 86400);
	(void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
	    (const unsigned char *)wish->name, -1, -1, 0);
	(void)X509_set_subject_name(x, name);
	X509_NAME_free(name);
	(void)X509_set_issuer_name(x, X509_get_subject_name(issuer));
	(void)X509_set_pubkey(x, ret->key);
	if (authority == NULL)
		add_extension(x, issuer, NID_basic_constraints, "CA:TRUE");
	if (wish->san != NULL)
		add_extension(x, issuer, NID_subject_alt_name, wish->san);
	ck_assert_int_gt(
	    X509_sign(
		x, authority != NULL ? authority->key : ret->key, EVP_sha256()),
	    0);
	write_pem(ret, wish);
}

void
credentials_free(struct credentials *c)
{
	X509_free(c->certificate);
	EVP_PKEY_free(c->key);
	memset(c, 0, sizeof(*c));
}

struct weir_tls_context *
make_context(const struct weir_tls_context_options *options)
{
	struct weir_tls_context *context = NULL;
	char text[512] = "";
	int err = weir_tls_context_new(&context, options, text, sizeof(text));

	ck_assert_msg(err == 0, "%d: %s", err, text);
	return context;
}

struct weir_tls_pair
pair_of(const struct credentials *c)
{
	return (struct weir_tls_pair){
	    .certificate_file = c->certificate_file, .key_file = c->key_file};
}

/* ---- the loop ---- */

static double
scale(void)
{
	const char *text = getenv("WEIR_TIME_SCALE");
	double by = text != NULL ? atof(text) : 1;

	return by > 0 ? by : 1;
}

static void
on_tick(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	(void)user;
}

static bool
run(struct weir_loop *loop, bool (*so)(void *), void *user, double ms)
{
	static const struct timeval often = {.tv_usec = 20000};
	struct event *tick =
	    event_new(weir_loop_base(loop), -1, EV_PERSIST, on_tick, NULL);
	uint64_t start = weir_loop_now_ms(loop);
	bool is;

	ck_assert_ptr_nonnull(tick);
	ck_assert_int_eq(event_add(tick, &often), 0);
	while (
	    !(is = so(user)) && (double)(weir_loop_now_ms(loop) - start) < ms)
		(void)event_base_loop(weir_loop_base(loop), EVLOOP_ONCE);
	event_free(tick);
	return is;
}

bool
run_until(struct weir_loop *loop, bool (*so)(void *), void *user)
{
	return run(loop, so, user, 20000 * scale());
}

static bool
never(void *user)
{
	(void)user;
	return false;
}

void
run_a_little(struct weir_loop *loop)
{
	(void)run(loop, never, NULL, 60);
}

/* ---- the other side ---- */

int
make_listener(unsigned short *port)
{
	struct sockaddr_in at = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ck_assert_int_eq(listen(fd, 16), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	*port = ntohs(at.sin_port);
	return fd;
}

void
keep_little(int fd)
{
	const int little = 64 * 1024;

	ck_assert_int_eq(
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)), 0);
	ck_assert_int_eq(
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)), 0);
}

static int
play_on(int fd, SSL_CTX *context, play_fn *play, bool accept_side)
{
	SSL *ssl = SSL_new(context);
	int result;

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1)
		return 100;
	if (accept_side)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	result = play(ssl, fd);
	SSL_free(ssl);
	(void)close(fd);
	return result;
}

int
peer_connect(unsigned short port, SSL_CTX *ssl, play_fn *play)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons(port)};
	pid_t child = fork();
	int fd;

	ck_assert_int_ge(child, 0);
	if (child > 0)
		return child;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd == -1 || connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1)
		_exit(101);
	_exit(play_on(fd, ssl, play, false));
}

int
peer_accept(int listener, SSL_CTX *ssl, play_fn *play)
{
	pid_t child = fork();
	int fd;

	ck_assert_int_ge(child, 0);
	if (child > 0)
		return child;
	fd = accept(listener, NULL, NULL);
	if (fd == -1)
		_exit(101);
	_exit(play_on(fd, ssl, play, true));
}

int
peer_wait(int process)
{
	int status;

	while (waitpid(process, &status, 0) == -1)
		ck_assert_int_eq(errno, EINTR);
	ck_assert_msg(WIFEXITED(status), "the peer died: %d", status);
	return WEXITSTATUS(status);
}
