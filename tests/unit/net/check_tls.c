/*
 * TLS between two sockets of one loop: handshakes good and bad, what is told
 * and in which order, ends of all kinds, sessions, pipes. What other
 * implementations make of it is check_tls_peer.c's.
 */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>
#include <event2/event.h>

#include <weir/weir.h>

#include "tls_support.h"

#define ANSWER (1024 * 1024) /* more than sockets hold (keep_little) */

static struct credentials authority, stranger, org, wild, late, rsa, customer,
    impostor;
static struct weir_loop *loop;

/* ---- one side of a connection ---- */

struct side {
	struct weir_socket *socket;
	char told[256];	     /* the handlers that were called */
	const char *free_in; /* free the socket in that handler */
	size_t got;
	unsigned sum;  /* of what came */
	char text[64]; /* the beginning of it */
	int error, close_error;
	bool closed, secure, ended, echo;
	size_t answer; /* bytes to send once the other side has ended */
	struct weir_tls_session *session;
	char why[128];
};

static struct side client, accepted;
static struct weir_server *server;
static struct weir_address where;
static char server_told[256];
static int client_errors;
static const char *server_frees_in;

static void
tell(struct side *side, const char *what)
{
	size_t n = strlen(side->told);

	if (n > 0 && strcmp(what, "data") == 0 &&
	    strcmp(side->told + n - 4, "data") == 0)
		return;
	(void)snprintf(side->told + n, sizeof(side->told) - n, "%s%s",
	    n > 0 ? " " : "", what);
}

/* True when the test wants it freed here. */
static bool
told(struct side *side, const char *what)
{
	tell(side, what);
	if (side->free_in == NULL || strcmp(side->free_in, what) != 0)
		return false;
	weir_socket_free(side->socket);
	side->socket = NULL;
	side->closed = true;
	return true;
}

static void
on_ready(struct weir_socket *socket, void *user)
{
	keep_little(weir_socket_fd(socket));
	(void)told(user, "ready");
}

static void
on_secure(struct weir_socket *socket, void *user)
{
	struct side *side = user;

	(void)socket;
	side->secure = true;
	(void)told(side, "secure");
}

static void
on_session(struct weir_socket *socket, void *user)
{
	struct side *side = user;

	weir_tls_session_free(side->session);
	side->session = NULL;
	ck_assert_int_eq(weir_socket_tls_session(socket, &side->session), 0);
}

static unsigned
add_up(unsigned sum, const unsigned char *data, size_t length)
{
	while (length-- > 0)
		sum = sum * 31 + *data++;
	return sum;
}

static void
on_data(struct weir_socket *socket, const void *data, size_t length, void *user)
{
	struct side *side = user;
	size_t room = sizeof(side->text) - 1;
	int err;

	if (side->got < room)
		memcpy(side->text + side->got, data,
		    length < room - side->got ? length : room - side->got);
	side->got += length;
	side->sum = add_up(side->sum, data, length);
	if (told(side, "data"))
		return;
	/* An end that came with the data may have closed it. */
	if (side->echo && (err = weir_socket_write(socket, data, length)) < 0)
		ck_assert_int_eq(err, WEIR_E_SOCKET_CLOSED);
}

static unsigned char *
make_answer(size_t length)
{
	unsigned char *answer = malloc(length);
	size_t i;

	ck_assert_ptr_nonnull(answer);
	for (i = 0; i < length; i++)
		answer[i] = (unsigned char)(i * 7 + i / 4093);
	return answer;
}

static void
on_end(struct weir_socket *socket, void *user)
{
	struct side *side = user;
	unsigned char *answer;

	side->ended = true;
	if (told(side, "end") || side->answer == 0)
		return;
	answer = make_answer(side->answer);
	ck_assert_int_ge(weir_socket_write(socket, answer, side->answer), 0);
	free(answer);
	/* Who has asked for the end is told of no drain. */
	if (side->free_in == NULL || strcmp(side->free_in, "drain") != 0)
		ck_assert_int_eq(weir_socket_end(socket), 0);
}

static void
on_drain(struct weir_socket *socket, void *user)
{
	(void)socket;
	(void)told(user, "drain");
}

static void
on_error(struct weir_socket *socket, int err, void *user)
{
	struct side *side = user;
	const char *why = weir_socket_tls_error(socket);

	side->error = err;
	(void)snprintf(
	    side->why, sizeof(side->why), "%s", why != NULL ? why : "");
	(void)told(side, "error");
}

static void
on_close(struct weir_socket *socket, int err, void *user)
{
	struct side *side = user;

	(void)socket;
	side->closed = true;
	side->close_error = err;
	(void)told(side, "close");
}

static const struct weir_socket_handlers handlers = {
    .on_ready = on_ready,
    .on_data = on_data,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_error = on_error,
    .on_close = on_close,
    .on_secure = on_secure,
    .on_session = on_session,
};

/* ---- the server ---- */

static void
on_connection(struct weir_server *s, struct weir_socket *socket, void *user)
{
	(void)s;
	(void)user;
	ck_assert_ptr_null(accepted.socket);
	accepted.socket = socket;
	keep_little(weir_socket_fd(socket));
	weir_socket_set_handlers(socket, &handlers, &accepted);
	(void)told(&accepted, "connection");
}

static void
free_in_server(const char *what)
{
	size_t n = strlen(server_told);

	(void)snprintf(server_told + n, sizeof(server_told) - n, "%s%s",
	    n > 0 ? " " : "", what);
	if (server_frees_in == NULL || strcmp(server_frees_in, what) != 0)
		return;
	weir_socket_free(accepted.socket);
	accepted.socket = NULL;
	accepted.closed = true;
	weir_server_free(server);
	server = NULL;
}

static void
on_secure_connection(
    struct weir_server *s, struct weir_socket *socket, void *user)
{
	(void)s;
	(void)user;
	ck_assert_ptr_eq(socket, accepted.socket);
	free_in_server("secure");
}

static void
on_tls_client_error(
    struct weir_server *s, struct weir_socket *socket, int err, void *user)
{
	(void)s;
	(void)user;
	ck_assert_ptr_eq(socket, accepted.socket);
	ck_assert_int_lt(err, 0);
	ck_assert_ptr_nonnull(weir_socket_tls_error(socket));
	client_errors++;
	free_in_server("error");
}

static const struct weir_server_handlers server_handlers = {
    .on_connection = on_connection,
    .on_secure_connection = on_secure_connection,
    .on_tls_client_error = on_tls_client_error,
};

static bool
is_listening(void *user)
{
	(void)user;
	return weir_server_listening(server);
}

static void
listen_at(const struct weir_address *address, struct weir_tls_context *context,
    const struct weir_secure_options *options)
{
	const struct weir_server_options half_open = {.allow_half_open = true};

	ck_assert_int_eq(
	    weir_server_new(&server, loop, &half_open, &server_handlers, NULL),
	    0);
	ck_assert_int_eq(weir_server_set_tls(server, context, options), 0);
	ck_assert_int_eq(weir_server_listen(server, address, NULL), 0);
	ck_assert(run_until(loop, is_listening, NULL));
	ck_assert_int_eq(weir_server_address(server, &where), 0);
}

static void
listen_tls(struct weir_tls_context *context)
{
	struct weir_address address;

	ck_assert_int_eq(weir_address_set_ip(&address, "127.0.0.1", 0), 0);
	listen_at(&address, context, NULL);
}

/* ---- a connection ---- */

static void
forget_sides(void)
{
	weir_socket_free(client.socket);
	weir_socket_free(accepted.socket);
	weir_tls_session_free(client.session);
	weir_tls_session_free(accepted.session);
	memset(&client, 0, sizeof(client));
	memset(&accepted, 0, sizeof(accepted));
	server_told[0] = '\0';
}

static void
connect_plain(void)
{
	const struct weir_socket_options half_open = {.allow_half_open = true};

	ck_assert_int_eq(weir_socket_new(&client.socket, loop, &half_open,
			     &handlers, &client),
	    0);
	ck_assert_int_eq(weir_socket_connect(client.socket, &where, NULL), 0);
}

static void
connect_with(
    struct weir_tls_context *context, const struct weir_secure_options *options)
{
	connect_plain();
	ck_assert_int_eq(
	    weir_socket_set_secure(client.socket, context, options), 0);
	ck_assert_str_eq(client.told, ""); /* not from inside the call */
}

static const struct weir_secure_options to_org = {.server_name = "example.org"};

static bool
both_secure(void *user)
{
	(void)user;
	return client.secure && accepted.secure;
}

static bool
both_closed(void *user)
{
	(void)user;
	return client.closed && accepted.closed;
}

static bool
client_closed(void *user)
{
	(void)user;
	return client.closed;
}

static bool
accepted_closed(void *user)
{
	(void)user;
	return accepted.closed;
}

static bool
has_session(void *user)
{
	(void)user;
	return client.session != NULL;
}

/* ---- contexts ---- */

static struct weir_tls_context *
serve_with(
    const struct credentials *with, const struct weir_tls_context_options *base)
{
	const struct weir_tls_pair pair = pair_of(with);
	struct weir_tls_context_options options =
	    base != NULL ? *base : (struct weir_tls_context_options){0};

	options.server = true;
	options.pairs = &pair;
	options.pair_count = 1;
	return make_context(&options);
}

static struct weir_tls_context *
trusting(const struct weir_tls_context_options *base)
{
	struct weir_tls_context_options options =
	    base != NULL ? *base : (struct weir_tls_context_options){0};

	options.ca_file = authority.certificate_file;
	return make_context(&options);
}

static struct weir_tls_context *at_server, *at_client;

static void
usual(void)
{
	at_server = serve_with(&org, NULL);
	at_client = trusting(NULL);
}

/* ---- fixtures ---- */

static void
make_credentials(void)
{
	(void)directory_make();
	credentials_make(&authority, NULL, &(struct wish){.name = "ca"});
	credentials_make(&stranger, NULL, &(struct wish){.name = "stranger"});
	credentials_make(&org, &authority,
	    &(struct wish){.name = "org",
		.san = "DNS:example.org,IP:127.0.0.1,DNS:Www.Example.Org"});
	credentials_make(&wild, &authority,
	    &(struct wish){.name = "wild", .san = "DNS:*.example.org"});
	credentials_make(&late, &authority,
	    &(struct wish){.name = "late",
		.san = "DNS:example.org",
		.from_days = -9,
		.days = 3});
	credentials_make(&rsa, &authority,
	    &(struct wish){
		.name = "rsa", .san = "DNS:example.org", .rsa = true});
	credentials_make(
	    &customer, &authority, &(struct wish){.name = "customer"});
	credentials_make(
	    &impostor, &stranger, &(struct wish){.name = "impostor"});
}

static void
free_credentials(void)
{
	credentials_free(&authority);
	credentials_free(&stranger);
	credentials_free(&org);
	credentials_free(&wild);
	credentials_free(&late);
	credentials_free(&rsa);
	credentials_free(&customer);
	credentials_free(&impostor);
	directory_remove();
}

static void
set_up(void)
{
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	client_errors = 0;
	server_frees_in = NULL;
}

static void
tear_down(void)
{
	forget_sides();
	weir_server_free(server);
	server = NULL;
	weir_tls_context_unref(at_server);
	weir_tls_context_unref(at_client);
	at_server = at_client = NULL;
	weir_loop_free(loop);
}

/* ---- handshakes ---- */

START_TEST(a_handshake_makes_both_sides_secure)
{
	struct weir_tls_info info;

	usual();
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	ck_assert(weir_socket_is_tls(client.socket));
	ck_assert(!weir_socket_is_secure(client.socket));
	ck_assert_int_eq(
	    weir_socket_tls_info(client.socket, &info), WEIR_E_NOT_SECURE);
	ck_assert_int_eq(
	    weir_socket_verify_peer(client.socket, NULL), WEIR_E_NOT_SECURE);
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert(weir_socket_is_secure(client.socket));
	ck_assert_str_eq(client.told, "ready secure");
	ck_assert_str_eq(accepted.told, "connection secure");
	ck_assert_str_eq(server_told, "secure");
	ck_assert_int_eq(weir_socket_tls_info(client.socket, &info), 0);
	ck_assert_str_eq(info.protocol, "TLSv1.3");
	ck_assert_ptr_nonnull(info.cipher);
	ck_assert_str_eq(info.sni, "example.org");
	ck_assert_ptr_null(info.alpn);
	ck_assert(!info.resumed);
	ck_assert_int_eq(weir_socket_tls_info(accepted.socket, &info), 0);
	ck_assert_str_eq(info.sni, "example.org");
	ck_assert_int_eq(weir_socket_verify_peer(client.socket, NULL), 0);
	ck_assert_int_eq(weir_socket_verify_peer(accepted.socket, NULL),
	    WEIR_E_TLS_NO_CERTIFICATE);
	ck_assert_ptr_null(weir_socket_tls_error(client.socket));
}
END_TEST

START_TEST(a_unix_socket_can_be_secured)
{
	struct weir_address address;

	usual();
	ck_assert_int_eq(
	    weir_address_set_unix(&address, in_directory("socket"), false), 0);
	listen_at(&address, at_server, NULL);
	connect_with(at_client, &to_org);
	accepted.echo = true;
	ck_assert_int_eq(
	    weir_socket_write(client.socket, "hello", 5), WEIR_WAIT);
	ck_assert_int_eq(weir_socket_end(client.socket), 0);
	accepted.answer = 1;
	ck_assert(run_until(loop, both_closed, NULL));
	ck_assert_int_eq(client.got, 6);
	ck_assert_int_eq(client.error, 0);
	ck_assert_int_eq(accepted.error, 0);
}
END_TEST

START_TEST(what_is_written_before_is_sent_in_order)
{
	usual();
	listen_tls(at_server);
	connect_plain();
	ck_assert_int_eq(weir_socket_write(client.socket, "one ", 4), 1);
	ck_assert_int_eq(
	    weir_socket_set_secure(client.socket, at_client, &to_org), 0);
	ck_assert_int_eq(weir_socket_write(client.socket, "two ", 4), 1);
	ck_assert_uint_eq(weir_socket_buffered(client.socket), 8);
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_ge(weir_socket_write(client.socket, "three", 5), 0);
	ck_assert_int_eq(weir_socket_end(client.socket), 0);
	accepted.answer = 3;
	ck_assert(run_until(loop, both_closed, NULL));
	ck_assert_str_eq(accepted.text, "one two three");
	ck_assert_str_eq(client.told, "ready secure drain data end close");
	ck_assert_str_eq(accepted.told, "connection secure data end close");
	ck_assert_uint_eq(weir_socket_bytes_written(client.socket), 13);
	ck_assert_uint_eq(weir_socket_bytes_delivered(client.socket), 13);
	ck_assert_uint_eq(weir_socket_bytes_read(client.socket), 3);
}
END_TEST

START_TEST(secured_by_hand_after_words_in_plain)
{
	/* STARTTLS: the server answers in plain, then both begin. */
	usual();
	listen_tls(NULL);
	connect_plain();
	ck_assert_int_ge(weir_socket_write(client.socket, "STARTTLS", 8), 0);
	while (accepted.got < 8)
		run_a_little(loop);
	ck_assert_int_ge(weir_socket_write(accepted.socket, "go on", 5), 0);
	ck_assert_int_eq(
	    weir_socket_set_secure(accepted.socket, at_server, NULL), 0);
	while (client.got < 5)
		run_a_little(loop);
	ck_assert_str_eq(client.text, "go on");
	ck_assert_int_eq(
	    weir_socket_set_secure(client.socket, at_client, &to_org), 0);
	ck_assert_int_eq(
	    weir_socket_set_secure(client.socket, at_client, &to_org),
	    WEIR_E_ALREADY_SECURE);
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_str_eq(client.told, "ready drain data secure");
	ck_assert_str_eq(server_told, ""); /* it is not the server's */
	ck_assert_int_ge(weir_socket_write(client.socket, " secret", 7), 0);
	ck_assert_int_eq(weir_socket_end(client.socket), 0);
	ck_assert_int_eq(weir_socket_end(accepted.socket), 0);
	ck_assert(run_until(loop, both_closed, NULL));
	ck_assert_str_eq(accepted.text, "STARTTLS secret");
}
END_TEST

static char early[4096];
static size_t early_length;
static bool early_preface; /* "open" stands before the hello */

static void
on_early_data(
    struct weir_socket *socket, const void *data, size_t length, void *user)
{
	struct weir_secure_options options = {.received = early};

	(void)user;
	if (early_preface) {
		ck_assert_uint_ge(length, 4);
		ck_assert_mem_eq(data, "open", 4);
		ck_assert_int_eq(weir_socket_unshift(socket,
				     (const char *)data + 4, length - 4),
		    0);
		length = 0;
	}
	ck_assert_uint_le(length, sizeof(early));
	memcpy(early, data, length);
	options.received_length = early_length = length;
	weir_socket_set_handlers(socket, &handlers, &accepted);
	ck_assert_int_eq(
	    weir_socket_set_secure(socket, at_server, &options), 0);
}

static const struct weir_socket_handlers early_handlers = {
    .on_data = on_early_data,
};

static void
on_early_connection(
    struct weir_server *s, struct weir_socket *socket, void *user)
{
	(void)s;
	(void)user;
	accepted.socket = socket;
	weir_socket_set_handlers(socket, &early_handlers, NULL);
}

static const struct weir_server_handlers early_server_handlers = {
    .on_connection = on_early_connection,
};

static void
listen_early(void)
{
	struct weir_address address;

	early_length = 0;
	usual();
	ck_assert_int_eq(
	    weir_server_new(&server, loop, NULL, &early_server_handlers, NULL),
	    0);
	ck_assert_int_eq(weir_address_set_ip(&address, "127.0.0.1", 0), 0);
	ck_assert_int_eq(weir_server_listen(server, &address, NULL), 0);
	ck_assert(run_until(loop, is_listening, NULL));
	ck_assert_int_eq(weir_server_address(server, &where), 0);
}

START_TEST(what_a_handler_has_read_can_be_given_back)
{
	early_preface = false;
	listen_early();
	connect_with(at_client, &to_org);
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_uint_gt(early_length, 0);
}
END_TEST

START_TEST(a_preface_goes_before_the_hello_as_it_is)
{
	struct weir_secure_options options = to_org;

	early_preface = true;
	listen_early();
	options.preface_length = 4;
	connect_plain();
	ck_assert_int_eq(
	    weir_socket_set_secure(client.socket, at_client, &options),
	    -EINVAL);
	options.preface = "open";
	ck_assert_int_eq(
	    weir_socket_set_secure(client.socket, at_client, &options), 0);
	ck_assert(run_until(loop, both_secure, NULL));
}
END_TEST

START_TEST(what_a_paused_socket_has_read_is_tls)
{
	/* The hello waits in the kernel, or in a buffer, of a paused one. */
	usual();
	listen_tls(NULL);
	connect_with(at_client, &to_org);
	while (accepted.socket == NULL)
		run_a_little(loop);
	weir_socket_pause(accepted.socket);
	run_a_little(loop);
	if (accepted.got == 0) {
		ck_assert_int_eq(
		    weir_socket_set_secure(accepted.socket, at_server, NULL),
		    0);
		ck_assert(run_until(loop, both_secure, NULL));
	}
}
END_TEST

START_TEST(wrong_uses_are_refused_and_change_nothing)
{
	struct weir_socket *idle;
	int pair[2];

	usual();
	ck_assert_int_eq(weir_socket_new(&idle, loop, NULL, NULL, NULL), 0);
	ck_assert_int_eq(weir_socket_set_secure(idle, at_client, &to_org),
	    WEIR_E_SOCKET_CLOSED);
	ck_assert_int_eq(
	    weir_socket_set_secure(NULL, at_client, &to_org), -EINVAL);
	ck_assert_int_eq(pipe(pair), 0);
	ck_assert_int_eq(weir_socket_open_fd(idle, pair[0], true, false), 0);
	ck_assert_int_lt(weir_socket_set_secure(idle, at_client, &to_org), 0);
	weir_socket_free(idle);
	(void)close(pair[1]);
	listen_tls(NULL);
	ck_assert_int_eq(weir_server_set_tls(server, at_client, NULL), -EINVAL);
	connect_plain();
	/* A client that verifies has to say whom. */
	ck_assert_int_eq(
	    weir_socket_set_secure(client.socket, at_client, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_socket_set_secure(client.socket, NULL, &to_org), -EINVAL);
	ck_assert_int_eq(weir_socket_set_secure(client.socket, at_client,
			     &(struct weir_secure_options){
				 .server_name = "example.org", .alpn = ","}),
	    -EINVAL);
	ck_assert(!weir_socket_is_tls(client.socket));
	ck_assert_int_eq(
	    weir_socket_tls_session(client.socket, &client.session),
	    WEIR_E_NOT_SECURE);
	ck_assert_int_ge(weir_socket_write(client.socket, "plain", 5), 0);
	while (accepted.got < 5)
		run_a_little(loop);
	ck_assert_int_eq(weir_socket_end(client.socket), 0);
	ck_assert_int_eq(
	    weir_socket_set_secure(client.socket, at_client, &to_org),
	    WEIR_E_SOCKET_CLOSED);
}
END_TEST

/* ---- ends ---- */

/* One side ends; the other answers long after, with much. */
static void
half_close(struct side *ends, struct side *answers)
{
	unsigned char *answer = make_answer(ANSWER);

	ck_assert(run_until(loop, both_secure, NULL));
	answers->answer = ANSWER;
	ck_assert_int_ge(weir_socket_write(ends->socket, "ask", 3), 0);
	ck_assert_int_eq(weir_socket_end(ends->socket), 0);
	ck_assert_int_eq(
	    weir_socket_write(ends->socket, "x", 1), WEIR_E_WRITE_AFTER_END);
	ck_assert(run_until(loop, both_closed, NULL));
	ck_assert_str_eq(answers->text, "ask");
	ck_assert_uint_eq(ends->got, ANSWER);
	ck_assert_uint_eq(ends->sum, add_up(0, answer, ANSWER));
	ck_assert_int_eq(ends->error, 0);
	ck_assert_int_eq(answers->error, 0);
	ck_assert_ptr_nonnull(strstr(ends->told, "data end close"));
	ck_assert_ptr_nonnull(strstr(answers->told, "data end"));
	free(answer);
}

static const enum weir_tls_version versions[] = {WEIR_TLS_1_2, WEIR_TLS_1_3};

static void
with_version(enum weir_tls_version version)
{
	const struct weir_tls_context_options options = {
	    .max_version = version};

	at_server = serve_with(&org, NULL);
	at_client = trusting(&options);
}

START_TEST(a_client_that_ends_gets_the_whole_answer)
{
	with_version(versions[_i]);
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	half_close(&client, &accepted);
}
END_TEST

START_TEST(a_server_that_ends_gets_the_whole_answer)
{
	with_version(versions[_i]);
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	half_close(&accepted, &client);
}
END_TEST

START_TEST(an_end_before_the_handshake_comes_after_it)
{
	usual();
	listen_tls(at_server);
	accepted.answer = 10;
	connect_with(at_client, &to_org);
	ck_assert_int_eq(weir_socket_end(client.socket), 0);
	ck_assert(run_until(loop, both_closed, NULL));
	ck_assert_str_eq(client.told, "ready secure data end close");
	ck_assert_str_eq(accepted.told, "connection secure end close");
}
END_TEST

START_TEST(destroy_soon_sends_all_and_closes_tls)
{
	unsigned char *much = make_answer(ANSWER);

	usual();
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_eq(
	    weir_socket_write(accepted.socket, much, ANSWER), WEIR_WAIT);
	weir_socket_destroy_soon(accepted.socket);
	ck_assert(run_until(loop, accepted_closed, NULL));
	while (!client.ended && !client.closed)
		run_a_little(loop);
	ck_assert_uint_eq(client.got, ANSWER);
	ck_assert_int_eq(client.error, 0);
	ck_assert_int_eq(weir_socket_end(client.socket), 0);
	ck_assert(run_until(loop, client_closed, NULL));
	ck_assert_int_eq(client.error, 0);
	free(much);
}
END_TEST

START_TEST(an_end_without_closing_tls_is_told_apart)
{
	usual();
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_ge(weir_socket_write(accepted.socket, "half a w", 8), 0);
	/* A FIN past TLS. */
	ck_assert_int_eq(shutdown(weir_socket_fd(accepted.socket), SHUT_WR), 0);
	ck_assert(run_until(loop, client_closed, NULL));
	ck_assert_str_eq(client.text, "half a w");
	ck_assert_str_eq(client.told, "ready secure data error close");
	ck_assert_int_eq(client.error, WEIR_E_TLS_TRUNCATED);
	ck_assert_int_eq(client.close_error, WEIR_E_TLS_TRUNCATED);
	ck_assert_ptr_nonnull(strstr(client.why, "without closing TLS"));
}
END_TEST

START_TEST(a_truncation_can_be_allowed)
{
	usual();
	listen_tls(at_server);
	connect_with(at_client,
	    &(struct weir_secure_options){
		.server_name = "example.org", .allow_truncation = true});
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_ge(weir_socket_write(accepted.socket, "half", 4), 0);
	ck_assert_int_eq(shutdown(weir_socket_fd(accepted.socket), SHUT_WR), 0);
	client.answer = 100000;
	ck_assert(run_until(loop, client_closed, NULL));
	ck_assert_ptr_nonnull(strstr(client.told, "ready secure data end"));
	ck_assert_int_eq(client.error, 0);
	while (accepted.got < 100000)
		run_a_little(loop);
}
END_TEST

START_TEST(a_reset_is_a_reset)
{
	usual();
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	ck_assert(run_until(loop, both_secure, NULL));
	run_a_little(loop);
	weir_socket_reset_and_destroy(accepted.socket);
	ck_assert(run_until(loop, both_closed, NULL));
	ck_assert_str_eq(client.told, "ready secure error close");
	ck_assert_int_eq(client.error, -ECONNRESET);
}
END_TEST

START_TEST(a_reset_of_a_paused_one_is_noticed)
{
	usual();
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	ck_assert(run_until(loop, both_secure, NULL));
	weir_socket_pause(client.socket);
	run_a_little(loop);
	weir_socket_reset_and_destroy(accepted.socket);
	ck_assert(run_until(loop, client_closed, NULL));
	ck_assert_int_eq(client.error, -ECONNRESET);
}
END_TEST

/* ---- handshakes that fail ---- */

/* A plain client that says this to a server with TLS. */
static void
say(const char *words, size_t length)
{
	listen_tls(at_server);
	connect_plain();
	if (length > 0)
		ck_assert_int_ge(
		    weir_socket_write(client.socket, words, length), 0);
}

START_TEST(garbage_instead_of_a_hello_is_one_error)
{
	static const char *const words[] = {"GET / HTTP/1.1\r\n\r\n",
	    "SSH-2.0-OpenSSH_9.2\r\n", "\x16\x03\x01\xff\xff too long",
	    "\x16\x03\x01\x00\x05hello"};

	usual();
	say(words[_i], _i < 2 ? strlen(words[_i]) : _i == 2 ? 14 : 10);
	ck_assert(run_until(loop, accepted_closed, NULL));
	ck_assert_str_eq(accepted.told, "connection error close");
	ck_assert_int_eq(accepted.error, WEIR_E_TLS_HANDSHAKE);
	ck_assert_str_ne(accepted.why, "");
	ck_assert(!weir_socket_tls_no_hello(accepted.socket));
	ck_assert_str_eq(server_told, "error");
	ck_assert_int_eq(client_errors, 1);
	/* The server goes on. */
	forget_sides();
	connect_with(at_client, &to_org);
	ck_assert(run_until(loop, both_secure, NULL));
}
END_TEST

START_TEST(an_end_instead_of_a_hello_is_one_error)
{
	usual();
	say("\x16\x03\x01", 3);
	ck_assert_int_eq(weir_socket_end(client.socket), 0);
	ck_assert(run_until(loop, accepted_closed, NULL));
	ck_assert_str_eq(accepted.told, "connection error close");
	ck_assert_int_eq(accepted.error, WEIR_E_TLS_HANDSHAKE);
	ck_assert_ptr_nonnull(strstr(accepted.why, "before its hello"));
	ck_assert(weir_socket_tls_no_hello(accepted.socket));
}
END_TEST

START_TEST(a_reset_instead_of_a_hello_is_one_error)
{
	usual();
	say("\x16\x03\x01", 3);
	while (accepted.socket == NULL)
		run_a_little(loop);
	weir_socket_reset_and_destroy(client.socket);
	ck_assert(run_until(loop, accepted_closed, NULL));
	ck_assert_str_eq(accepted.told, "connection error close");
	ck_assert_int_eq(accepted.error, -ECONNRESET);
}
END_TEST

START_TEST(a_handshake_that_stalls_ends_in_time)
{
	struct weir_address address;

	usual();
	ck_assert_int_eq(weir_address_set_ip(&address, "127.0.0.1", 0), 0);
	listen_at(&address, at_server,
	    &(struct weir_secure_options){.handshake_timeout_ms = 50});
	connect_plain();
	ck_assert_int_ge(weir_socket_write(client.socket, "\x16", 1), 0);
	ck_assert(run_until(loop, accepted_closed, NULL));
	ck_assert_str_eq(accepted.told, "connection error close");
	ck_assert_int_eq(accepted.error, WEIR_E_TLS_TIMEOUT);
	ck_assert_ptr_nonnull(strstr(accepted.why, "50 ms"));
}
END_TEST

START_TEST(a_server_that_stalls_ends_in_time)
{
	usual();
	listen_tls(NULL);
	connect_with(at_client,
	    &(struct weir_secure_options){
		.server_name = "example.org", .handshake_timeout_ms = 50});
	ck_assert(run_until(loop, client_closed, NULL));
	ck_assert_str_eq(client.told, "ready error close");
	ck_assert_int_eq(client.error, WEIR_E_TLS_TIMEOUT);
}
END_TEST

START_TEST(a_secured_connection_outlives_the_timeout)
{
	struct weir_address address;

	usual();
	ck_assert_int_eq(weir_address_set_ip(&address, "127.0.0.1", 0), 0);
	listen_at(&address, at_server,
	    &(struct weir_secure_options){.handshake_timeout_ms = 2000});
	connect_with(at_client, &to_org);
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_eq(accepted.error, 0);
}
END_TEST

/* ---- certificates ---- */

/* The client refuses the server, and says why. */
static void
refuses(const char *why)
{
	ck_assert(run_until(loop, both_closed, NULL));
	ck_assert_str_eq(client.told, "ready error close");
	ck_assert_int_eq(client.error, WEIR_E_TLS_CERTIFICATE);
	ck_assert_msg(strstr(client.why, why) != NULL, "%s", client.why);
	ck_assert_int_eq(weir_socket_verify_peer(client.socket, NULL),
	    WEIR_E_TLS_CERTIFICATE);
	ck_assert_int_eq(accepted.error, WEIR_E_TLS_ALERT);
	ck_assert_ptr_nonnull(strstr(accepted.why, "alert"));
}

START_TEST(a_wrong_host_name_is_refused)
{
	static const char *const names[] = {
	    "example.com", "example.org.evil.example", "127.0.0.2", "::1"};

	usual();
	listen_tls(at_server);
	connect_with(
	    at_client, &(struct weir_secure_options){.server_name = names[_i]});
	refuses(_i < 2 ? "hostname mismatch" : "IP address mismatch");
}
END_TEST

START_TEST(names_and_addresses_of_the_certificate_are_good)
{
	static const char *const names[] = {"example.org", "EXAMPLE.org",
	    "example.org.", "www.example.org", "127.0.0.1"};

	usual();
	listen_tls(at_server);
	connect_with(
	    at_client, &(struct weir_secure_options){.server_name = names[_i]});
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_eq(weir_socket_verify_peer(client.socket, NULL), 0);
}
END_TEST

START_TEST(an_expired_certificate_is_refused)
{
	at_server = serve_with(&late, NULL);
	at_client = trusting(NULL);
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	refuses("expired");
}
END_TEST

START_TEST(an_unknown_authority_is_refused)
{
	const struct weir_tls_context_options options = {
	    .ca_file = stranger.certificate_file};

	at_server = serve_with(&org, NULL);
	at_client = make_context(&options);
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	refuses("unable to get local issuer certificate");
}
END_TEST

START_TEST(the_systems_authorities_do_not_know_ours)
{
	at_server = serve_with(&org, NULL);
	at_client = make_context(NULL);
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	refuses("unable to get local issuer certificate");
}
END_TEST

START_TEST(a_client_that_does_not_verify_is_told)
{
	const struct weir_tls_context_options options = {
	    .ca_file = stranger.certificate_file,
	    .verify = WEIR_TLS_VERIFY_NONE};
	const char *text;

	at_server = serve_with(&org, NULL);
	at_client = make_context(&options);
	listen_tls(at_server);
	connect_with(at_client, NULL);
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_eq(weir_socket_verify_peer(client.socket, &text),
	    WEIR_E_TLS_CERTIFICATE);
	ck_assert_msg(strstr(text, "certificate") != NULL, "%s", text);
}
END_TEST

START_TEST(any_name_will_do_where_it_is_said)
{
	usual();
	listen_tls(at_server);
	connect_with(
	    at_client, &(struct weir_secure_options){.any_name = true});
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_eq(weir_socket_verify_peer(client.socket, NULL), 0);
}
END_TEST

START_TEST(no_sni_is_sent_where_none_is_wanted)
{
	struct weir_tls_info info;

	usual();
	listen_tls(at_server);
	connect_with(
	    at_client, &(struct weir_secure_options){
			   .server_name = "example.org", .no_sni = true});
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_eq(weir_socket_tls_info(accepted.socket, &info), 0);
	ck_assert_ptr_null(info.sni);
}
END_TEST

START_TEST(the_peers_certificate_is_described)
{
	struct weir_tls_certificate *c;

	usual();
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	ck_assert_int_eq(
	    weir_socket_peer_certificate(client.socket, &c), WEIR_E_NOT_SECURE);
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_eq(weir_socket_peer_certificate(client.socket, &c), 0);
	ck_assert_str_eq(c->subject, "CN=org");
	ck_assert_str_eq(c->issuer, "CN=ca");
	ck_assert_ptr_nonnull(strstr(c->valid_from, " GMT"));
	ck_assert_ptr_nonnull(strstr(c->valid_to, " GMT"));
	ck_assert_uint_eq(strlen(c->fingerprint256), 95);
	ck_assert_uint_ge(strlen(c->serial_number), 3);
	ck_assert_str_eq(c->subject_alt_name,
	    "DNS:example.org, IP Address:127.0.0.1, DNS:Www.Example.Org");
	ck_assert_str_eq(c->common_name, "org");
	weir_tls_certificate_free(c);
	weir_tls_certificate_free(NULL);
	ck_assert_int_eq(weir_socket_peer_certificate(accepted.socket, &c),
	    WEIR_E_TLS_NO_CERTIFICATE);
}
END_TEST

/* ---- clients' certificates ---- */

/* A server that asks, and a client that shows this one, or none. */
static void
ask(enum weir_tls_verify verify, const struct credentials *shows)
{
	const struct weir_tls_context_options base = {
	    .ca_file = authority.certificate_file, .verify = verify};
	struct weir_tls_context_options options = {0};
	struct weir_tls_pair pair;

	at_server = serve_with(&org, &base);
	if (shows != NULL) {
		pair = pair_of(shows);
		options.pairs = &pair;
		options.pair_count = 1;
	}
	options.max_version = versions[0];
	at_client = trusting(&options);
	listen_tls(at_server);
	connect_with(at_client, &to_org);
}

START_TEST(a_required_certificate_that_is_good_is_taken)
{
	struct weir_tls_certificate *c;

	ask(WEIR_TLS_VERIFY_REQUIRED, &customer);
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_eq(weir_socket_verify_peer(accepted.socket, NULL), 0);
	ck_assert_int_eq(weir_socket_peer_certificate(accepted.socket, &c), 0);
	ck_assert_str_eq(c->subject, "CN=customer");
	weir_tls_certificate_free(c);
}
END_TEST

START_TEST(a_required_certificate_that_is_missing_is_an_error)
{
	ask(WEIR_TLS_VERIFY_REQUIRED, NULL);
	ck_assert(run_until(loop, both_closed, NULL));
	ck_assert_int_eq(accepted.error, WEIR_E_TLS_NO_CERTIFICATE);
	ck_assert_int_eq(client.error, WEIR_E_TLS_ALERT);
	ck_assert_str_eq(server_told, "error");
}
END_TEST

START_TEST(a_certificate_of_a_stranger_is_an_error)
{
	static const enum weir_tls_verify each[] = {WEIR_TLS_VERIFY_REQUIRED,
	    WEIR_TLS_VERIFY_OPTIONAL, WEIR_TLS_VERIFY_DEFAULT};

	ask(each[_i], &impostor);
	ck_assert(run_until(loop, both_closed, NULL));
	ck_assert_int_eq(accepted.error, WEIR_E_TLS_CERTIFICATE);
	ck_assert_int_eq(client.error, WEIR_E_TLS_ALERT);
}
END_TEST

START_TEST(an_optional_certificate_may_be_missing)
{
	static const enum weir_tls_verify each[] = {
	    WEIR_TLS_VERIFY_OPTIONAL, WEIR_TLS_VERIFY_DEFAULT};

	ask(each[_i], NULL);
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_eq(weir_socket_verify_peer(accepted.socket, NULL),
	    WEIR_E_TLS_NO_CERTIFICATE);
}
END_TEST

START_TEST(a_server_may_ask_and_judge_by_itself)
{
	ask(WEIR_TLS_VERIFY_ASK, &impostor);
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_eq(weir_socket_verify_peer(accepted.socket, NULL),
	    WEIR_E_TLS_CERTIFICATE);
}
END_TEST

START_TEST(a_certificate_that_nobody_asked_for_is_not_shown)
{
	ask(WEIR_TLS_VERIFY_NONE, &customer);
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_eq(weir_socket_verify_peer(accepted.socket, NULL),
	    WEIR_E_TLS_NO_CERTIFICATE);
}
END_TEST

START_TEST(with_tls_1_3_a_refusal_comes_after_the_handshake)
{
	const struct weir_tls_context_options base = {
	    .ca_file = authority.certificate_file,
	    .verify = WEIR_TLS_VERIFY_REQUIRED};

	at_server = serve_with(&org, &base);
	at_client = trusting(NULL);
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	ck_assert(run_until(loop, both_closed, NULL));
	ck_assert_int_eq(accepted.error, WEIR_E_TLS_NO_CERTIFICATE);
	ck_assert_str_eq(client.told, "ready secure error close");
	ck_assert_int_eq(client.error, WEIR_E_TLS_ALERT);
	ck_assert_ptr_nonnull(strstr(client.why, "certificate required"));
}
END_TEST

/* ---- several certificates ---- */

static void
expect_subject(const char *name, const char *subject)
{
	struct weir_tls_certificate *c;

	connect_with(at_client, &(struct weir_secure_options){
				    .server_name = name, .any_name = true});
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_eq(weir_socket_peer_certificate(client.socket, &c), 0);
	ck_assert_msg(strcmp(c->subject, subject) == 0, "%s for %s: %s",
	    subject, name, c->subject);
	weir_tls_certificate_free(c);
	forget_sides();
}

START_TEST(the_certificate_is_chosen_by_the_clients_name)
{
	const struct weir_tls_pair pairs[] = {
	    pair_of(&customer), pair_of(&wild), pair_of(&org)};
	const struct weir_tls_context_options options = {
	    .server = true, .pairs = pairs, .pair_count = 3};

	at_server = make_context(&options);
	at_client = trusting(NULL);
	listen_tls(at_server);
	expect_subject("example.org", "CN=org");
	expect_subject("WWW.example.org", "CN=org"); /* exact is first */
	expect_subject("a.example.org", "CN=wild");
	expect_subject("a.b.example.org", "CN=customer"); /* one label only */
	expect_subject("example.com", "CN=customer");
	expect_subject("customer", "CN=customer");
	expect_subject("127.0.0.1", "CN=customer"); /* sends no name */
}
END_TEST

START_TEST(two_kinds_of_key_serve_two_kinds_of_client)
{
	const struct weir_tls_pair pairs[] = {
	    pair_of(&wild), pair_of(&org), pair_of(&rsa)};
	const struct weir_tls_context_options options = {
	    .server = true, .pairs = pairs, .pair_count = 3};
	const struct weir_tls_context_options old = {
	    .max_version = WEIR_TLS_1_2,
	    .ciphers = _i == 0 ? "ECDHE-RSA-AES128-GCM-SHA256"
			       : "ECDHE-ECDSA-AES128-GCM-SHA256"};

	at_server = make_context(&options);
	at_client = trusting(&old);
	listen_tls(at_server);
	expect_subject("example.org", _i == 0 ? "CN=rsa" : "CN=org");
}
END_TEST

START_TEST(a_context_can_be_exchanged_while_connections_live)
{
	struct weir_socket *first_client, *first_accepted;
	struct weir_tls_context *new;
	struct weir_tls_certificate *c;

	usual();
	listen_tls(at_server);
	weir_tls_context_unref(at_server); /* the server has it still */
	at_server = NULL;
	connect_with(at_client, &to_org);
	ck_assert(run_until(loop, both_secure, NULL));
	first_client = client.socket;
	first_accepted = accepted.socket;
	new = serve_with(&wild, NULL);
	ck_assert_int_eq(weir_server_set_tls(server, new, NULL), 0);
	weir_tls_context_unref(new);
	client.socket = accepted.socket = NULL;
	client.secure = accepted.secure = false;
	client.told[0] = accepted.told[0] = '\0';
	connect_with(at_client,
	    &(struct weir_secure_options){.server_name = "a.example.org"});
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_eq(weir_socket_peer_certificate(client.socket, &c), 0);
	ck_assert_str_eq(c->subject, "CN=wild");
	weir_tls_certificate_free(c);
	/* The first one speaks on. */
	accepted.got = 0;
	ck_assert_int_ge(weir_socket_write(first_client, "still", 5), 0);
	while (accepted.got < 5)
		run_a_little(loop);
	ck_assert_int_eq(weir_socket_peer_certificate(first_client, &c), 0);
	ck_assert_str_eq(c->subject, "CN=org");
	weir_tls_certificate_free(c);
	weir_socket_free(first_client);
	weir_socket_free(first_accepted);
	/* And without one there is no TLS. */
	forget_sides();
	ck_assert_int_eq(weir_server_set_tls(server, NULL, NULL), 0);
	connect_plain();
	ck_assert_int_ge(weir_socket_write(client.socket, "plain", 5), 0);
	while (accepted.got < 5)
		run_a_little(loop);
	ck_assert_str_eq(accepted.text, "plain");
}
END_TEST

/* ---- protocols, versions ---- */

static void
offer(const char *serves, const char *offers)
{
	const struct weir_tls_context_options base = {.alpn = serves};

	at_server = serve_with(&org, &base);
	at_client = trusting(NULL);
	listen_tls(at_server);
	connect_with(
	    at_client, &(struct weir_secure_options){
			   .server_name = "example.org", .alpn = offers});
}

static void
expect_protocol(const char *protocol)
{
	struct weir_tls_info at_one, at_other;

	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_eq(weir_socket_tls_info(client.socket, &at_one), 0);
	ck_assert_int_eq(weir_socket_tls_info(accepted.socket, &at_other), 0);
	ck_assert_pstr_eq(at_one.alpn, protocol);
	ck_assert_pstr_eq(at_other.alpn, protocol);
}

START_TEST(the_servers_dearest_protocol_is_chosen)
{
	offer("h2,http/1.1", "http/1.0,http/1.1,h2");
	expect_protocol("h2");
}
END_TEST

START_TEST(a_client_that_offers_no_protocol_is_let_in)
{
	offer("h2", NULL);
	expect_protocol(NULL);
}
END_TEST

START_TEST(a_server_without_protocols_chooses_none)
{
	offer(NULL, "h2");
	expect_protocol(NULL);
}
END_TEST

START_TEST(a_client_that_offers_none_of_ours_is_refused)
{
	offer("h2,http/1.1", "smtp,http/1");
	ck_assert(run_until(loop, both_closed, NULL));
	ck_assert_int_eq(accepted.error, WEIR_E_TLS_HANDSHAKE);
	ck_assert_ptr_nonnull(strstr(accepted.why, "protocol"));
	ck_assert_int_eq(client.error, WEIR_E_TLS_ALERT);
	ck_assert_ptr_nonnull(strstr(client.why, "no application protocol"));
}
END_TEST

START_TEST(a_client_below_the_lowest_version_is_refused)
{
	const struct weir_tls_context_options high = {
	    .min_version = WEIR_TLS_1_3};
	const struct weir_tls_context_options low = {
	    .max_version = WEIR_TLS_1_2};

	at_server = serve_with(&org, &high);
	at_client = trusting(&low);
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	ck_assert(run_until(loop, both_closed, NULL));
	ck_assert_int_eq(accepted.error, WEIR_E_TLS_HANDSHAKE);
	ck_assert_ptr_nonnull(strstr(accepted.why, "protocol"));
	ck_assert_int_eq(client.error, WEIR_E_TLS_ALERT);
	ck_assert_ptr_nonnull(strstr(client.why, "version"));
}
END_TEST

/* ---- resumption ---- */

static struct weir_tls_session *
take_session(void)
{
	struct weir_tls_session *session;

	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert(run_until(loop, has_session, NULL));
	session = client.session;
	client.session = NULL;
	forget_sides();
	return session;
}

static void
expect_resumed(
    const struct weir_tls_session *session, const char *name, bool resumed)
{
	struct weir_tls_info info;

	connect_with(at_client,
	    &(struct weir_secure_options){
		.server_name = name, .any_name = true, .session = session});
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert_int_eq(weir_socket_tls_info(client.socket, &info), 0);
	ck_assert_msg(info.resumed == resumed, "%s", name);
	ck_assert_int_eq(weir_socket_tls_info(accepted.socket, &info), 0);
	ck_assert(info.resumed == resumed);
	ck_assert_int_eq(weir_socket_verify_peer(client.socket, NULL), 0);
	forget_sides();
}

START_TEST(a_session_is_resumed)
{
	/* By version, then by ticket and from memory. */
	const struct weir_tls_context_options base = {.no_tickets = _i >= 2};
	const struct weir_tls_context_options low = {
	    .max_version = versions[_i % 2]};
	struct weir_tls_session *session;

	at_server = serve_with(&org, &base);
	at_client = trusting(&low);
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	session = take_session();
	expect_resumed(session, "example.org", true);
	weir_tls_session_free(session);
	weir_tls_session_free(NULL);
}
END_TEST

START_TEST(a_session_is_not_offered_to_another_name)
{
	struct weir_tls_session *session;
	struct weir_tls_context *another;

	with_version(versions[_i]);
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	session = take_session();
	expect_resumed(session, "www.example.org", false);
	/* Nor by another context, which may trust others. */
	another = at_client;
	at_client = trusting(NULL);
	weir_tls_context_unref(another);
	expect_resumed(session, "example.org", false);
	weir_tls_session_free(session);
}
END_TEST

START_TEST(a_server_that_keeps_none_resumes_none)
{
	const struct weir_tls_context_options base = {
	    .no_tickets = true, .session_cache = -1};
	const struct weir_tls_context_options low = {
	    .max_version = versions[_i]};

	at_server = serve_with(&org, &base);
	at_client = trusting(&low);
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	ck_assert(run_until(loop, both_secure, NULL));
	run_a_little(loop);
	ck_assert_int_eq(
	    weir_socket_tls_session(client.socket, &client.session), -ENODATA);
}
END_TEST

START_TEST(contexts_that_share_a_key_read_each_others_tickets)
{
	unsigned char key[80];
	const struct weir_tls_context_options base = {
	    .ticket_key = key, .ticket_key_length = sizeof(key)};
	struct weir_tls_session *session;
	struct weir_tls_context *next;

	memset(key, 7, sizeof(key));
	at_server = serve_with(&org, &base);
	at_client = trusting(NULL);
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	session = take_session();
	next = serve_with(&org, &base);
	ck_assert_int_eq(weir_server_set_tls(server, next, NULL), 0);
	weir_tls_context_unref(next);
	expect_resumed(session, "example.org", true);
	/* But not for another certificate. */
	next = serve_with(&wild, &base);
	ck_assert_int_eq(weir_server_set_tls(server, next, NULL), 0);
	weir_tls_context_unref(next);
	expect_resumed(session, "example.org", false);
	weir_tls_session_free(session);
}
END_TEST

START_TEST(contexts_that_share_a_cache_resume_each_others_sessions)
{
	struct weir_tls_cache *cache;
	struct weir_tls_context_options base = {.no_tickets = true};
	const struct weir_tls_context_options low = {
	    .max_version = versions[_i]};
	struct weir_tls_session *session;
	struct weir_tls_context *next;

	ck_assert_int_eq(weir_tls_cache_new(&cache, 100), 0);
	base.cache = cache;
	at_server = serve_with(&org, &base);
	at_client = trusting(&low);
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	session = take_session();
	next = serve_with(&org, &base);
	weir_tls_cache_unref(cache);
	ck_assert_int_eq(weir_server_set_tls(server, next, NULL), 0);
	weir_tls_context_unref(next);
	expect_resumed(session, "example.org", true);
	/* But not for another certificate, other ciphers, */
	next = serve_with(&wild, &base);
	ck_assert_int_eq(weir_server_set_tls(server, next, NULL), 0);
	weir_tls_context_unref(next);
	expect_resumed(session, "example.org", false);
	base.ciphers = "ECDHE+AESGCM";
	next = serve_with(&org, &base);
	ck_assert_int_eq(weir_server_set_tls(server, next, NULL), 0);
	weir_tls_context_unref(next);
	expect_resumed(session, "example.org", false);
	/* nor where none are to be kept. */
	base.ciphers = NULL;
	base.session_cache = -1;
	next = serve_with(&org, &base);
	ck_assert_int_eq(weir_server_set_tls(server, next, NULL), 0);
	weir_tls_context_unref(next);
	expect_resumed(session, "example.org", false);
	weir_tls_session_free(session);
}
END_TEST

/* ---- freeing ---- */

static const char *const moments[] = {
    "ready", "secure", "data", "drain", "end", "close"};

START_TEST(a_client_may_be_freed_in_any_handler)
{
	usual();
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	client.free_in = moments[_i];
	accepted.echo = true;
	accepted.answer = 100;
	ck_assert_int_ge(weir_socket_write(client.socket, "hello", 5), 0);
	if (strcmp(client.free_in, "drain") != 0)
		ck_assert_int_eq(weir_socket_end(client.socket), 0);
	ck_assert(run_until(loop, client_closed, NULL));
	ck_assert_ptr_null(client.socket);
	run_a_little(loop);
}
END_TEST

START_TEST(a_servers_socket_may_be_freed_in_any_handler)
{
	usual();
	listen_tls(at_server);
	accepted.free_in = _i == 0 ? "connection" : moments[_i];
	accepted.answer = ANSWER;
	connect_with(at_client, &to_org);
	ck_assert_int_ge(weir_socket_write(client.socket, "hello", 5), 0);
	ck_assert_int_eq(weir_socket_end(client.socket), 0);
	ck_assert(run_until(loop, accepted_closed, NULL));
	ck_assert_ptr_null(accepted.socket);
	run_a_little(loop);
}
END_TEST

START_TEST(a_socket_may_be_freed_in_its_error)
{
	usual();
	say("nonsense", 8);
	accepted.free_in = "error";
	ck_assert(run_until(loop, accepted_closed, NULL));
	ck_assert_ptr_null(accepted.socket);
	run_a_little(loop);
}
END_TEST

START_TEST(server_and_socket_may_be_freed_in_the_servers_handlers)
{
	usual();
	server_frees_in = _i == 0 ? "secure" : "error";
	if (_i == 0) {
		listen_tls(at_server);
		connect_with(at_client, &to_org);
	} else {
		say("nonsense", 8);
	}
	ck_assert(run_until(loop, accepted_closed, NULL));
	ck_assert_ptr_null(server);
	run_a_little(loop);
}
END_TEST

START_TEST(a_socket_can_connect_again_with_or_without_tls)
{
	usual();
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	ck_assert(run_until(loop, both_secure, NULL));
	ck_assert(run_until(loop, has_session, NULL)); /* all is read */
	run_a_little(loop);
	weir_socket_destroy(client.socket, 0);
	ck_assert(run_until(loop, both_closed, NULL));
	ck_assert_int_eq(accepted.error, WEIR_E_TLS_TRUNCATED);
	weir_socket_free(accepted.socket);
	memset(&accepted, 0, sizeof(accepted));
	client.closed = client.secure = false;
	ck_assert_int_eq(weir_socket_connect(client.socket, &where, NULL), 0);
	ck_assert(!weir_socket_is_tls(client.socket));
	ck_assert_int_eq(
	    weir_socket_set_secure(client.socket, at_client, &to_org), 0);
	ck_assert(run_until(loop, both_secure, NULL));
}
END_TEST

START_TEST(a_connection_that_is_refused_never_speaks_tls)
{
	usual();
	listen_tls(at_server);
	weir_server_free(server);
	server = NULL;
	connect_with(at_client, &to_org);
	ck_assert(run_until(loop, client_closed, NULL));
	ck_assert_str_eq(client.told, "error close");
	ck_assert_int_eq(client.error, -ECONNREFUSED);
	ck_assert_ptr_null(weir_socket_tls_error(client.socket));
}
END_TEST

static char written[64];

static void
on_written(struct weir_socket *socket, int err, void *user)
{
	size_t n = strlen(written);

	(void)socket;
	ck_assert_int_eq(err, 0);
	(void)snprintf(
	    written + n, sizeof(written) - n, "%s", (const char *)user);
}

static char first[] = "first ", second[] = "second ", fin[] = "fin";

START_TEST(writes_tell_when_they_are_out)
{
	unsigned char *much = make_answer(ANSWER);

	usual();
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	ck_assert_int_ge(
	    weir_socket_write_cb(client.socket, "x", 1, on_written, first), 0);
	ck_assert_int_ge(weir_socket_write_cb(
			     client.socket, much, ANSWER, on_written, second),
	    0);
	ck_assert_int_eq(
	    weir_socket_end_data(client.socket, "y", 1, on_written, fin), 0);
	ck_assert_str_eq(written, "");
	while (!accepted.ended)
		run_a_little(loop);
	ck_assert_uint_eq(accepted.got, ANSWER + 2);
	ck_assert_str_eq(written, "first second fin");
	written[0] = '\0';
	free(much);
}
END_TEST

/* So many, and fewer where all is slow, as under valgrind. */
static int
rounds(int count)
{
	const char *scale = getenv("WEIR_TIME_SCALE");

	return scale != NULL && atoi(scale) >= 10 ? count / 5 : count;
}

/* ---- whatever happens ---- */

static unsigned dice;

static unsigned
roll(unsigned sides)
{
	dice = dice * 1103515245u + 12345u;
	return (dice >> 16) % sides;
}

/* What owners do, in any order and at any time. */
static void
do_something(struct side *side)
{
	static unsigned char data[40000];

	if (side->socket == NULL)
		return;
	switch (roll(12)) {
	case 0:
		weir_socket_pause(side->socket);
		break;
	case 1:
	case 2:
		weir_socket_resume(side->socket);
		break;
	case 3:
		if (roll(4) == 0)
			(void)weir_socket_end(side->socket);
		break;
	case 4:
		if (roll(10) == 0)
			weir_socket_destroy_soon(side->socket);
		break;
	case 5:
		if (roll(20) == 0)
			weir_socket_destroy(side->socket, 0);
		break;
	case 6:
		if (roll(20) == 0)
			weir_socket_reset_and_destroy(side->socket);
		break;
	case 7:
		if (side->closed || roll(40) == 0) {
			weir_socket_free(side->socket);
			side->socket = NULL;
		}
		break;
	case 8:
		(void)weir_socket_unpipe(side->socket);
		break;
	case 9:
		if (roll(4) == 0) /* an echo */
			(void)weir_socket_pipe(
			    side->socket, side->socket, NULL);
		break;
	default:
		(void)weir_socket_write(
		    side->socket, data, roll(2) ? roll(100) : roll(40000));
		break;
	}
}

START_TEST(whatever_owners_do_close_comes_once)
{
	int step, round;

	with_version(versions[_i % 2]);
	listen_tls(at_server);
	dice = (unsigned)_i;
	for (round = 0; round < rounds(40); round++) {
		connect_with(at_client, &to_org);
		for (step = 0; step < 300; step++) {
			do_something(roll(2) ? &client : &accepted);
			(void)event_base_loop(weir_loop_base(loop),
			    EVLOOP_ONCE | EVLOOP_NONBLOCK);
			ck_assert_ptr_eq(
			    strstr(client.told, "close close"), NULL);
			ck_assert_ptr_eq(
			    strstr(accepted.told, "close close"), NULL);
		}
		while (accepted.told[0] == '\0' && client.socket != NULL &&
		       !client.closed)
			run_a_little(loop);
		forget_sides();
		/* One that still waits to be accepted belongs to no round. */
		for (step = 0; step < 5; step++)
			(void)event_base_loop(weir_loop_base(loop),
			    EVLOOP_ONCE | EVLOOP_NONBLOCK);
		forget_sides();
	}
}
END_TEST

/* ---- much ---- */

START_TEST(much_in_both_directions_arrives)
{
	unsigned char *much = make_answer(ANSWER);

	with_version(versions[_i]);
	listen_tls(at_server);
	accepted.echo = true;
	connect_with(at_client, &to_org);
	ck_assert_int_eq(
	    weir_socket_write(client.socket, much, ANSWER), WEIR_WAIT);
	while (client.got < ANSWER && !client.closed)
		run_a_little(loop);
	ck_assert_uint_eq(client.got, ANSWER);
	ck_assert_uint_eq(client.sum, add_up(0, much, ANSWER));
	ck_assert_uint_eq(weir_socket_bytes_delivered(client.socket), ANSWER);
	free(much);
}
END_TEST

START_TEST(many_small_writes_arrive_in_order)
{
	char line[32];
	unsigned sum = 0;
	size_t total = 0;
	int i, n;

	usual();
	listen_tls(at_server);
	connect_with(at_client, &to_org);
	for (i = 0; i < rounds(20000); i++) {
		n = snprintf(line, sizeof(line), "line %d\n", i);
		sum = add_up(sum, (unsigned char *)line, (size_t)n);
		total += (size_t)n;
		ck_assert_int_ge(
		    weir_socket_write(client.socket, line, (size_t)n), 0);
		if (i % 1000 == 0)
			(void)run_until(loop, both_secure, NULL);
	}
	while (accepted.got < total)
		run_a_little(loop);
	ck_assert_uint_eq(accepted.sum, sum);
}
END_TEST

/* ---- the suite ---- */

static Suite *
tls_suite(void)
{
	Suite *suite = suite_create("tls");
	TCase *tc = tcase_create("tls");

	tcase_add_unchecked_fixture(tc, make_credentials, free_credentials);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, a_handshake_makes_both_sides_secure);
	tcase_add_test(tc, a_unix_socket_can_be_secured);
	tcase_add_test(tc, what_is_written_before_is_sent_in_order);
	tcase_add_test(tc, secured_by_hand_after_words_in_plain);
	tcase_add_test(tc, what_a_handler_has_read_can_be_given_back);
	tcase_add_test(tc, a_preface_goes_before_the_hello_as_it_is);
	tcase_add_test(tc, what_a_paused_socket_has_read_is_tls);
	tcase_add_test(tc, wrong_uses_are_refused_and_change_nothing);
	tcase_add_loop_test(tc, a_client_that_ends_gets_the_whole_answer, 0, 2);
	tcase_add_loop_test(tc, a_server_that_ends_gets_the_whole_answer, 0, 2);
	tcase_add_test(tc, an_end_before_the_handshake_comes_after_it);
	tcase_add_test(tc, destroy_soon_sends_all_and_closes_tls);
	tcase_add_test(tc, an_end_without_closing_tls_is_told_apart);
	tcase_add_test(tc, a_truncation_can_be_allowed);
	tcase_add_test(tc, a_reset_is_a_reset);
	tcase_add_test(tc, a_reset_of_a_paused_one_is_noticed);
	tcase_add_loop_test(tc, garbage_instead_of_a_hello_is_one_error, 0, 4);
	tcase_add_test(tc, an_end_instead_of_a_hello_is_one_error);
	tcase_add_test(tc, a_reset_instead_of_a_hello_is_one_error);
	tcase_add_test(tc, a_handshake_that_stalls_ends_in_time);
	tcase_add_test(tc, a_server_that_stalls_ends_in_time);
	tcase_add_test(tc, a_secured_connection_outlives_the_timeout);
	tcase_add_loop_test(tc, a_wrong_host_name_is_refused, 0, 4);
	tcase_add_loop_test(
	    tc, names_and_addresses_of_the_certificate_are_good, 0, 5);
	tcase_add_test(tc, an_expired_certificate_is_refused);
	tcase_add_test(tc, an_unknown_authority_is_refused);
	tcase_add_test(tc, the_systems_authorities_do_not_know_ours);
	tcase_add_test(tc, a_client_that_does_not_verify_is_told);
	tcase_add_test(tc, any_name_will_do_where_it_is_said);
	tcase_add_test(tc, no_sni_is_sent_where_none_is_wanted);
	tcase_add_test(tc, the_peers_certificate_is_described);
	tcase_add_test(tc, a_required_certificate_that_is_good_is_taken);
	tcase_add_test(tc, a_required_certificate_that_is_missing_is_an_error);
	tcase_add_loop_test(tc, a_certificate_of_a_stranger_is_an_error, 0, 3);
	tcase_add_loop_test(tc, an_optional_certificate_may_be_missing, 0, 2);
	tcase_add_test(tc, a_server_may_ask_and_judge_by_itself);
	tcase_add_test(tc, a_certificate_that_nobody_asked_for_is_not_shown);
	tcase_add_test(tc, with_tls_1_3_a_refusal_comes_after_the_handshake);
	tcase_add_test(tc, the_certificate_is_chosen_by_the_clients_name);
	tcase_add_loop_test(
	    tc, two_kinds_of_key_serve_two_kinds_of_client, 0, 2);
	tcase_add_test(tc, a_context_can_be_exchanged_while_connections_live);
	tcase_add_test(tc, the_servers_dearest_protocol_is_chosen);
	tcase_add_test(tc, a_client_that_offers_no_protocol_is_let_in);
	tcase_add_test(tc, a_server_without_protocols_chooses_none);
	tcase_add_test(tc, a_client_that_offers_none_of_ours_is_refused);
	tcase_add_test(tc, a_client_below_the_lowest_version_is_refused);
	tcase_add_loop_test(tc, a_session_is_resumed, 0, 4);
	tcase_add_loop_test(tc, a_session_is_not_offered_to_another_name, 0, 2);
	tcase_add_loop_test(tc, a_server_that_keeps_none_resumes_none, 0, 2);
	tcase_add_test(tc, contexts_that_share_a_key_read_each_others_tickets);
	tcase_add_loop_test(
	    tc, contexts_that_share_a_cache_resume_each_others_sessions, 0, 2);
	tcase_add_loop_test(tc, a_client_may_be_freed_in_any_handler, 0, 6);
	tcase_add_loop_test(
	    tc, a_servers_socket_may_be_freed_in_any_handler, 0, 6);
	tcase_add_test(tc, a_socket_may_be_freed_in_its_error);
	tcase_add_loop_test(
	    tc, server_and_socket_may_be_freed_in_the_servers_handlers, 0, 2);
	tcase_add_test(tc, a_socket_can_connect_again_with_or_without_tls);
	tcase_add_test(tc, a_connection_that_is_refused_never_speaks_tls);
	tcase_add_test(tc, writes_tell_when_they_are_out);
	tcase_add_loop_test(tc, whatever_owners_do_close_comes_once, 0, 8);
	tcase_add_loop_test(tc, much_in_both_directions_arrives, 0, 2);
	tcase_add_test(tc, many_small_writes_arrive_in_order);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	SRunner *sr = srunner_create(tls_suite());
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
