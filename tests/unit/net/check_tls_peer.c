/*
 * TLS against other programs: OpenSSL by itself in a process that blocks, and
 * the openssl tool; and pipes between TLS and plain, with a reader that does
 * not read.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>
#include <event2/buffer.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <weir/weir.h>

#include "net/socket_priv.h"
#include "net/tls_priv.h"
#include "tls_support.h"

#define UPDATES 100
#define CHUNK	(128 * 1024)
#define BUFFER	(64 * 1024)
#define ANSWER	(1024 * 1024)
#define KERNEL	(2 * 1024 * 1024) /* what its buffers hold (keep_little) */
#define LOTS	(3 * 1024 * 1024)

static struct credentials authority, org;
static struct weir_loop *loop;
static struct weir_tls_context *at_server, *at_client;
static SSL_CTX *ssl_server, *ssl_client;
static struct weir_server *server;
static unsigned short port;

/* ---- our side ---- */

struct side {
	struct weir_socket *socket;
	size_t got;
	char text[4096];
	unsigned sum;
	int error;
	bool secure, ended, closed, echo, end_at_end;
	size_t answer;
};

static struct side side;

static unsigned char
byte_at(size_t at)
{
	return (unsigned char)(at * 7 + at / 4093);
}

static void
on_data(struct weir_socket *socket, const void *data, size_t length, void *user)
{
	struct side *s = user;
	const unsigned char *p = data;
	size_t i;

	for (i = 0; i < length; i++) {
		if (s->got + i < sizeof(s->text) - 1)
			s->text[s->got + i] = (char)p[i];
		s->sum += p[i] != byte_at(s->got + i);
	}
	s->got += length;
	if (s->echo)
		ck_assert_int_ge(weir_socket_write(socket, data, length), 0);
}

static void
on_end(struct weir_socket *socket, void *user)
{
	struct side *s = user;
	unsigned char *answer = malloc(s->answer + 1);
	size_t i;

	s->ended = true;
	ck_assert_ptr_nonnull(answer);
	for (i = 0; i < s->answer; i++)
		answer[i] = byte_at(i);
	if (s->answer > 0)
		ck_assert_int_ge(
		    weir_socket_write(socket, answer, s->answer), 0);
	if (s->answer > 0 || s->end_at_end)
		ck_assert_int_eq(weir_socket_end(socket), 0);
	free(answer);
}

static void
on_error(struct weir_socket *socket, int err, void *user)
{
	struct side *s = user;

	(void)socket;
	ck_assert_int_eq(s->error, 0);
	s->error = err;
}

static void
on_close(struct weir_socket *socket, int err, void *user)
{
	struct side *s = user;

	(void)socket;
	(void)err;
	s->closed = true;
}

static void
on_secure(struct weir_socket *socket, void *user)
{
	struct side *s = user;

	(void)socket;
	s->secure = true;
}

static const struct weir_socket_handlers handlers = {
    .on_data = on_data,
    .on_end = on_end,
    .on_error = on_error,
    .on_close = on_close,
    .on_secure = on_secure,
};

static void
on_connection(struct weir_server *s, struct weir_socket *socket, void *user)
{
	(void)s;
	(void)user;
	weir_socket_free(side.socket);
	side.socket = socket;
	side.closed = side.secure = side.ended = false;
	keep_little(weir_socket_fd(socket));
	weir_socket_set_handlers(socket, &handlers, &side);
}

static const struct weir_server_handlers server_handlers = {
    .on_connection = on_connection,
};

static bool
is_listening(void *user)
{
	return weir_server_listening(user);
}

static struct weir_server *
listen_with(const struct weir_server_handlers *with,
    struct weir_tls_context *context, unsigned short *ret)
{
	const struct weir_server_options half_open = {.allow_half_open = true};
	struct weir_server *made;
	struct weir_address address;

	ck_assert_int_eq(
	    weir_server_new(&made, loop, &half_open, with, NULL), 0);
	ck_assert_int_eq(weir_server_set_tls(made, context, NULL), 0);
	ck_assert_int_eq(weir_address_set_ip(&address, "127.0.0.1", 0), 0);
	ck_assert_int_eq(weir_server_listen(made, &address, NULL), 0);
	ck_assert(run_until(loop, is_listening, made));
	ck_assert_int_eq(weir_server_address(made, &address), 0);
	*ret = ntohs(address.u.in.sin_port);
	return made;
}

static void
connect_to(unsigned short to)
{
	const struct weir_socket_options half_open = {.allow_half_open = true};
	struct weir_address address;

	ck_assert_int_eq(
	    weir_socket_new(&side.socket, loop, &half_open, &handlers, &side),
	    0);
	ck_assert_int_eq(weir_address_set_ip(&address, "127.0.0.1", to), 0);
	ck_assert_int_eq(weir_socket_connect(side.socket, &address, NULL), 0);
}

static void
connect_secure(unsigned short to)
{
	connect_to(to);
	ck_assert_int_eq(
	    weir_socket_set_secure(side.socket, at_client,
		&(struct weir_secure_options){.server_name = "example.org"}),
	    0);
}

static bool
is_closed(void *user)
{
	return ((struct side *)user)->closed;
}

/* ---- fixtures ---- */

static void
make_ssl(int version)
{
	ssl_server = SSL_CTX_new(TLS_server_method());
	ssl_client = SSL_CTX_new(TLS_client_method());
	ck_assert_int_eq(
	    SSL_CTX_use_certificate(ssl_server, org.certificate), 1);
	ck_assert_int_eq(SSL_CTX_use_PrivateKey(ssl_server, org.key), 1);
	ck_assert_int_eq(SSL_CTX_load_verify_locations(
			     ssl_client, authority.certificate_file, NULL),
	    1);
	SSL_CTX_set_verify(ssl_client, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_max_proto_version(ssl_server, version);
	(void)SSL_CTX_set_max_proto_version(ssl_client, version);
}

static void
make_credentials(void)
{
	(void)directory_make();
	credentials_make(&authority, NULL, &(struct wish){.name = "ca"});
	credentials_make(&org, &authority,
	    &(struct wish){.name = "org", .san = "DNS:example.org"});
}

static void
free_credentials(void)
{
	credentials_free(&authority);
	credentials_free(&org);
	directory_remove();
}

static void
set_up(void)
{
	const struct weir_tls_pair pair = pair_of(&org);
	const struct weir_tls_context_options serving = {
	    .server = true, .pairs = &pair, .pair_count = 1, .alpn = "h2,echo"};
	const struct weir_tls_context_options trusting = {
	    .ca_file = authority.certificate_file};

	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	at_server = make_context(&serving);
	at_client = make_context(&trusting);
	make_ssl(0);
	memset(&side, 0, sizeof(side));
	server = listen_with(&server_handlers, at_server, &port);
}

static void
tear_down(void)
{
	weir_socket_free(side.socket);
	side.socket = NULL;
	weir_server_free(server);
	weir_tls_context_unref(at_server);
	weir_tls_context_unref(at_client);
	SSL_CTX_free(ssl_server);
	SSL_CTX_free(ssl_client);
	weir_loop_free(loop);
}

static void
limit_to(int version)
{
	SSL_CTX_free(ssl_server);
	SSL_CTX_free(ssl_client);
	make_ssl(version);
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* ---- what the other side plays ---- */

/* Read to the end; 0 when that is close_notify and all came right. */
static int
read_answer(SSL *ssl, size_t wanted)
{
	static unsigned char data[65536];
	size_t got = 0, i;
	int n;

	while ((n = SSL_read(ssl, data, sizeof(data))) > 0) {
		for (i = 0; i < (size_t)n; i++)
			if (data[i] != byte_at(got + i))
				return 20;
		got += (size_t)n;
	}
	if (SSL_get_error(ssl, n) != SSL_ERROR_ZERO_RETURN)
		return 21;
	return got == wanted ? 0 : 22;
}

static int
write_much(SSL *ssl, size_t much)
{
	static unsigned char data[65536];
	size_t done = 0, i, n;

	while (done < much) {
		n = much - done < sizeof(data) ? much - done : sizeof(data);
		for (i = 0; i < n; i++)
			data[i] = byte_at(done + i);
		if (SSL_write(ssl, data, (int)n) != (int)n)
			return 23;
		done += n;
	}
	return 0;
}

static int
asks_and_ends(SSL *ssl, int fd)
{
	(void)fd;
	if (SSL_do_handshake(ssl) != 1)
		return 1;
	if (SSL_write(ssl, "ask", 3) != 3)
		return 2;
	if (SSL_shutdown(ssl) != 0)
		return 3;
	return read_answer(ssl, ANSWER);
}

static int
reads_and_answers(SSL *ssl, int fd)
{
	char data[64];
	int n, got = 0;

	(void)fd;
	if (SSL_do_handshake(ssl) != 1)
		return 1;
	while ((n = SSL_read(ssl, data, sizeof(data))) > 0)
		got += n;
	if (SSL_get_error(ssl, n) != SSL_ERROR_ZERO_RETURN || got != 3)
		return 2;
	if (write_much(ssl, ANSWER) != 0)
		return 3;
	return SSL_shutdown(ssl) == 1 ? 0 : 4;
}

static int
leaves_without_a_word(SSL *ssl, int fd)
{
	(void)fd;
	if (SSL_do_handshake(ssl) != 1)
		return 1;
	return write_much(ssl, 100000);
}

static int
resets(SSL *ssl, int fd)
{
	const struct linger now = {.l_onoff = 1};
	char byte;

	if (SSL_do_handshake(ssl) != 1 || SSL_read(ssl, &byte, 1) != 1)
		return 1;
	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static int
updates_keys(SSL *ssl, int fd)
{
	int i;
	char byte;

	(void)fd;
	if (SSL_do_handshake(ssl) != 1)
		return 1;
	for (i = 0; i < UPDATES; i++) {
		if (SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) != 1)
			return 2;
		byte = (char)byte_at((size_t)i);
		if (SSL_write(ssl, &byte, 1) != 1)
			return 3;
	}
	return SSL_shutdown(ssl) == 0 ? read_answer(ssl, UPDATES) : 4;
}

static int
renegotiates(SSL *ssl, int fd)
{
	char byte;

	(void)fd;
	if (SSL_do_handshake(ssl) != 1)
		return 1;
	if (SSL_renegotiate(ssl) != 1)
		return 2;
	if (SSL_do_handshake(ssl) == 1 && SSL_read(ssl, &byte, 1) >= 0)
		return 3;
	return 0;
}

static int
sends_much(SSL *ssl, int fd)
{
	int err;

	keep_little(fd);
	if (SSL_do_handshake(ssl) != 1)
		return 1;
	err = write_much(ssl, LOTS);
	if (err == 0 && SSL_shutdown(ssl) != 0)
		err = 2;
	/* A close before our tickets are read would be a reset. */
	return err != 0 ? err : read_answer(ssl, 0);
}

static int
takes_much(SSL *ssl, int fd)
{
	keep_little(fd);
	if (SSL_do_handshake(ssl) != 1)
		return 1;
	return SSL_shutdown(ssl) == 0 ? read_answer(ssl, LOTS) : 2;
}

/* ---- OpenSSL by itself ---- */

START_TEST(a_client_that_has_ended_gets_the_whole_answer)
{
	int peer;

	limit_to(versions[_i]);
	peer = peer_connect(port, ssl_client, asks_and_ends);
	side.answer = ANSWER;
	ck_assert(run_until(loop, is_closed, &side));
	ck_assert_int_eq(peer_wait(peer), 0);
	ck_assert_str_eq(side.text, "ask");
	ck_assert_int_eq(side.error, 0);
}
END_TEST

START_TEST(a_server_answers_after_our_end)
{
	unsigned short to;
	int listener = make_listener(&to), peer;

	limit_to(versions[_i]);
	peer = peer_accept(listener, ssl_server, reads_and_answers);
	connect_secure(to);
	ck_assert_int_ge(weir_socket_write(side.socket, "ask", 3), 0);
	ck_assert_int_eq(weir_socket_end(side.socket), 0);
	ck_assert(run_until(loop, is_closed, &side));
	ck_assert_int_eq(peer_wait(peer), 0);
	ck_assert_uint_eq(side.got, ANSWER);
	ck_assert_uint_eq(side.sum, 0);
	ck_assert_int_eq(side.error, 0);
	(void)close(listener);
}
END_TEST

START_TEST(a_client_that_leaves_without_a_word_is_told_apart)
{
	int peer;

	limit_to(versions[_i]);
	/* It reads no ticket: its close would be a reset. */
	(void)SSL_CTX_set_options(ssl_client, SSL_OP_NO_TICKET);
	peer = peer_connect(port, ssl_client, leaves_without_a_word);
	ck_assert(run_until(loop, is_closed, &side));
	ck_assert_int_eq(peer_wait(peer), 0);
	ck_assert_msg(side.error == WEIR_E_TLS_TRUNCATED ||
			  (_i == 1 && side.error == -ECONNRESET),
	    "%d", side.error);
	if (side.error == WEIR_E_TLS_TRUNCATED) {
		ck_assert_uint_eq(side.got, 100000);
		ck_assert_uint_eq(side.sum, 0);
	}
}
END_TEST

START_TEST(a_server_that_resets_is_a_reset)
{
	unsigned short to;
	int listener = make_listener(&to), peer;

	limit_to(versions[_i]);
	peer = peer_accept(listener, ssl_server, resets);
	connect_secure(to);
	ck_assert_int_ge(weir_socket_write(side.socket, "x", 1), 0);
	ck_assert(run_until(loop, is_closed, &side));
	ck_assert_int_eq(peer_wait(peer), 0);
	ck_assert_int_eq(side.error, -ECONNRESET);
	(void)close(listener);
}
END_TEST

static int
choose_another(SSL *ssl, const unsigned char **ret, unsigned char *length,
    const unsigned char *offered, unsigned size, void *user)
{
	(void)ssl;
	(void)offered;
	(void)size;
	(void)user;
	*ret = (const unsigned char *)"evil";
	*length = 4;
	return SSL_TLSEXT_ERR_OK;
}

static int
shakes_hands(SSL *ssl, int fd)
{
	(void)fd;
	return SSL_do_handshake(ssl) == 1 ? 0 : 1;
}

START_TEST(a_protocol_that_was_not_offered_is_refused)
{
	unsigned short to;
	int listener = make_listener(&to), peer;

	SSL_CTX_set_alpn_select_cb(ssl_server, choose_another, NULL);
	peer = peer_accept(listener, ssl_server, shakes_hands);
	connect_to(to);
	ck_assert_int_eq(
	    weir_socket_set_secure(side.socket, at_client,
		&(struct weir_secure_options){
		    .server_name = "example.org", .alpn = "h2,evi"}),
	    0);
	ck_assert(run_until(loop, is_closed, &side));
	(void)peer_wait(peer);
	ck_assert(!side.secure);
	ck_assert_int_eq(side.error, WEIR_E_TLS_HANDSHAKE);
	ck_assert_ptr_nonnull(weir_socket_tls_error(side.socket));
	(void)close(listener);
}
END_TEST

START_TEST(new_keys_are_taken_in_between)
{
	int peer = peer_connect(port, ssl_client, updates_keys);

	side.echo = side.end_at_end = true;
	ck_assert(run_until(loop, is_closed, &side));
	ck_assert_int_eq(peer_wait(peer), 0);
	ck_assert_uint_eq(side.got, UPDATES);
	ck_assert_int_eq(side.error, 0);
}
END_TEST

static const char *asked;

static int
gets_what_it_asked_for(SSL *ssl, int fd)
{
	X509 *shown;
	int is;

	(void)fd;
	SSL_set_verify(ssl, SSL_VERIFY_NONE, NULL);
	if (SSL_set_tlsext_host_name(ssl, asked) != 1 ||
	    SSL_do_handshake(ssl) != 1)
		return 1;
	shown = SSL_get1_peer_certificate(ssl);
	is = X509_check_host(shown, "example.org", 0, 0, NULL);
	X509_free(shown);
	return is == 1 ? 0 : 2;
}

START_TEST(the_name_is_the_same_in_capitals_and_with_a_last_dot)
{
	static const char *const names[] = {"Example.ORG", "example.org."};
	const struct weir_tls_pair pairs[] = {
	    pair_of(&authority), pair_of(&org)};
	struct weir_tls_context *both =
	    make_context(&(struct weir_tls_context_options){
		.server = true, .pairs = pairs, .pair_count = 2});
	int peer;

	ck_assert_int_eq(weir_server_set_tls(server, both, NULL), 0);
	weir_tls_context_unref(both);
	asked = names[_i];
	peer = peer_connect(port, ssl_client, gets_what_it_asked_for);
	ck_assert(run_until(loop, is_closed, &side));
	ck_assert_int_eq(peer_wait(peer), 0);
}
END_TEST

/* ---- a wire that is full ---- */

/* A client of this thread: handshake and bytes when the test wants them. */
struct client {
	int fd;
	SSL *ssl;
};

static bool
is_secure(void *user)
{
	const struct client *c = user;

	return SSL_do_handshake(c->ssl) == 1 && side.secure;
}

/* Take what comes, whatever it means. */
static bool
takes_until_end(void *user)
{
	static char data[65536];
	const struct client *c = user;

	while (recv(c->fd, data, sizeof(data), MSG_DONTWAIT) > 0)
		;
	return side.ended;
}

static void
start_client(struct client *c)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	    .sin_port = htons(port)};

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(c->fd, (struct sockaddr *)&to, sizeof(to)), 0);
	keep_little(c->fd);
	ck_assert_int_eq(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
	c->ssl = SSL_new(ssl_client);
	ck_assert_int_eq(SSL_set_fd(c->ssl, c->fd), 1);
	SSL_set_connect_state(c->ssl);
	ck_assert(run_until(loop, is_secure, c));
}

static void
set_cork(int fd, int cork)
{
	ck_assert_int_eq(
	    setsockopt(fd, IPPROTO_TCP, TCP_CORK, &cork, sizeof(cork)), 0);
}

/*
 * OpenSSL has read what the client says to its end, and wants to write before
 * it hands it over. It may at any time; as it does not when told to, this is
 * what it leaves behind. What we send is no TLS, and the client knows.
 */
static void
block(struct client *c)
{
	static const char filler[1024 * 1024];
	struct weir__tls *t;
	struct pollfd p = {.events = POLLIN};
	char byte;

	start_client(c);
	t = side.socket->extra->tls;
	p.fd = side.socket->fd;
	ck_assert_int_eq(evbuffer_add(t->wire, filler, sizeof(filler)), 0);
	set_cork(c->fd, 1);
	ck_assert_int_eq(SSL_write(c->ssl, "more", 4), 4);
	ck_assert_int_eq(SSL_shutdown(c->ssl), 0);
	set_cork(c->fd, 0); /* both at once */
	ck_assert_int_eq(poll(&p, 1, -1), 1);
	ck_assert_int_eq(SSL_peek(t->ssl, &byte, 1), 1);
	t->blocked = true;
	weir__pump_update(side.socket);
}

static void
expect_the_rest(struct client *c)
{
	ck_assert(run_until(loop, takes_until_end, c));
	ck_assert_str_eq(side.text, "more");
	ck_assert_int_eq(side.error, 0);
	SSL_free(c->ssl);
	(void)close(c->fd);
}

START_TEST(reading_goes_on_when_the_wire_empties)
{
	struct client c;

	block(&c);
	expect_the_rest(&c);
}
END_TEST

START_TEST(reading_goes_on_when_an_end_empties_the_wire)
{
	struct evbuffer *wire;
	struct client c;

	block(&c);
	/* What is left of it goes with one call, which is not the loop's. */
	wire = side.socket->extra->tls->wire;
	ck_assert_int_eq(
	    evbuffer_drain(wire, evbuffer_get_length(wire) - 1), 0);
	(void)takes_until_end(&c);
	ck_assert_int_eq(weir_socket_end(side.socket), 0);
	ck_assert_uint_eq(evbuffer_get_length(wire), 0);
	expect_the_rest(&c);
}
END_TEST

START_TEST(nobody_renegotiates)
{
	int peer;

	limit_to(TLS1_2_VERSION);
	peer = peer_connect(port, ssl_client, renegotiates);
	ck_assert(run_until(loop, is_closed, &side));
	ck_assert_int_eq(peer_wait(peer), 0);
	ck_assert_int_lt(side.error, 0);
}
END_TEST

/* ---- pipes ---- */

static struct weir_socket *back, *far;
static size_t far_got, far_wrong;
static bool far_ended, far_writes;
static unsigned short far_port;

static void
on_far_data(struct weir_socket *s, const void *data, size_t length, void *user)
{
	const unsigned char *p = data;
	size_t i;

	(void)s;
	(void)user;
	for (i = 0; i < length; i++)
		far_wrong += p[i] != byte_at(far_got + i);
	far_got += length;
}

static void
on_far_end(struct weir_socket *s, void *user)
{
	(void)s;
	(void)user;
	far_ended = true;
}

static size_t far_written;

static void
write_on(struct weir_socket *s)
{
	static unsigned char data[CHUNK];
	size_t i;
	int err = 0;

	while (far_written < LOTS && err == 0) {
		for (i = 0; i < CHUNK; i++)
			data[i] = byte_at(far_written + i);
		err = weir_socket_write(s, data, CHUNK);
		ck_assert_int_ge(err, 0);
		far_written += CHUNK;
	}
	if (far_written == LOTS)
		(void)weir_socket_end(s);
}

static void
on_far_drain(struct weir_socket *s, void *user)
{
	(void)user;
	write_on(s);
}

static const struct weir_socket_handlers far_handlers = {
    .on_data = on_far_data,
    .on_end = on_far_end,
    .on_drain = on_far_drain,
};

static void
on_far_connection(struct weir_server *s, struct weir_socket *socket, void *user)
{
	(void)s;
	(void)user;
	far = socket;
	keep_little(weir_socket_fd(socket));
	weir_socket_set_handlers(socket, &far_handlers, NULL);
	if (far_writes)
		write_on(socket);
	else
		weir_socket_pause(socket);
}

static const struct weir_server_handlers far_server_handlers = {
    .on_connection = on_far_connection,
};

static void
on_back_connect(struct weir_socket *s, void *user)
{
	(void)user;
	keep_little(weir_socket_fd(s));
}

static const struct weir_socket_handlers small = {
    .on_connect = on_back_connect,
};

static const struct weir_socket_handlers piped = {
    .on_error = on_error,
    .on_close = on_close,
    .on_secure = on_secure,
};

/* As a proxy does it: what comes with TLS goes on in plain, and back. */
static void
on_front(struct weir_server *s, struct weir_socket *socket, void *user)
{
	const struct weir_socket_options half_open = {.allow_half_open = true};
	const struct weir_pipe_options options = {.buffer = BUFFER};
	struct weir_address address;

	(void)s;
	(void)user;
	side.socket = socket;
	keep_little(weir_socket_fd(socket));
	weir_socket_set_handlers(socket, &piped, &side);
	ck_assert_int_eq(
	    weir_socket_new(&back, loop, &half_open, &small, NULL), 0);
	ck_assert_int_eq(
	    weir_address_set_ip(&address, "127.0.0.1", far_port), 0);
	ck_assert_int_eq(weir_socket_connect(back, &address, NULL), 0);
	ck_assert_int_eq(weir_socket_pipe(socket, back, &options), 0);
	ck_assert_int_eq(weir_socket_pipe(back, socket, &options), 0);
}

static const struct weir_server_handlers front_handlers = {
    .on_connection = on_front,
};

static struct weir_server *front, *far_server;
static unsigned short front_port;

static void
set_up_pipes(void)
{
	set_up();
	back = far = NULL;
	far_got = far_wrong = far_written = 0;
	far_ended = far_writes = false;
	far_server = listen_with(&far_server_handlers, NULL, &far_port);
	front = listen_with(&front_handlers, at_server, &front_port);
}

static void
tear_down_pipes(void)
{
	weir_socket_free(back);
	weir_socket_free(far);
	weir_server_free(front);
	weir_server_free(far_server);
	tear_down();
}

static bool
has_far(void *user)
{
	(void)user;
	return far != NULL;
}

static bool
far_has_ended(void *user)
{
	(void)user;
	return far_ended;
}

/* Nothing moves any more. */
static size_t
wait_until_it_rests(const struct weir_socket *socket)
{
	uint64_t before;

	do {
		before = weir_socket_bytes_read(socket);
		run_a_little(loop);
		run_a_little(loop);
	} while (before == 0 || weir_socket_bytes_read(socket) != before);
	return (size_t)before;
}

START_TEST(a_pipe_from_tls_waits_for_its_reader)
{
	int peer;

	limit_to(versions[_i]);
	peer = peer_connect(front_port, ssl_client, sends_much);
	ck_assert(run_until(loop, has_far, NULL));
	ck_assert_uint_lt(wait_until_it_rests(side.socket), KERNEL);
	ck_assert_uint_le(weir_socket_held(side.socket), BUFFER);
	ck_assert_uint_eq(weir_socket_buffered(back), 0);
	weir_socket_resume(far);
	ck_assert(run_until(loop, far_has_ended, NULL));
	ck_assert_uint_eq(far_got, LOTS);
	ck_assert_uint_eq(far_wrong, 0);
	ck_assert_int_eq(weir_socket_end(far), 0);
	ck_assert(run_until(loop, is_closed, &side));
	ck_assert_int_eq(side.error, 0);
	ck_assert_int_eq(peer_wait(peer), 0);
}
END_TEST

START_TEST(a_pipe_to_tls_waits_for_its_reader)
{
	int peer;

	limit_to(versions[_i]);
	far_writes = true;
	peer = peer_connect(front_port, ssl_client, takes_much);
	ck_assert(run_until(loop, has_far, NULL));
	ck_assert(run_until(loop, is_closed, &side));
	ck_assert_int_eq(side.error, 0);
	ck_assert_int_eq(peer_wait(peer), 0);
	ck_assert_uint_eq(weir_socket_bytes_delivered(side.socket), LOTS);
	ck_assert_uint_eq(weir_socket_bytes_read(back), LOTS);
}
END_TEST

/* One of our own sockets as a client with TLS, of a server that pipes. */
static struct side reader;

START_TEST(a_pipe_to_tls_holds_no_more_than_its_buffer)
{
	const struct weir_socket_options half_open = {.allow_half_open = true};
	struct weir_address address;

	far_writes = true;
	memset(&reader, 0, sizeof(reader));
	ck_assert_int_eq(weir_socket_new(&reader.socket, loop, &half_open,
			     &handlers, &reader),
	    0);
	ck_assert_int_eq(
	    weir_address_set_ip(&address, "127.0.0.1", front_port), 0);
	ck_assert_int_eq(weir_socket_connect(reader.socket, &address, NULL), 0);
	ck_assert_int_eq(
	    weir_socket_set_secure(reader.socket, at_client,
		&(struct weir_secure_options){.server_name = "example.org"}),
	    0);
	weir_socket_pause(reader.socket);
	ck_assert(run_until(loop, has_far, NULL));
	while (!reader.secure)
		run_a_little(loop);
	keep_little(weir_socket_fd(reader.socket));
	ck_assert_uint_lt(wait_until_it_rests(back), KERNEL);
	ck_assert_uint_le(weir_socket_held(back), BUFFER);
	/* One batch may be encrypted and wait. */
	ck_assert_uint_le(weir_socket_buffered(side.socket), BUFFER);
	weir_socket_resume(reader.socket);
	while (!reader.ended && !reader.closed)
		run_a_little(loop);
	ck_assert_int_eq(weir_socket_end(reader.socket), 0);
	ck_assert(run_until(loop, is_closed, &side));
	ck_assert_uint_eq(reader.got, LOTS);
	ck_assert_uint_eq(reader.sum, 0);
	ck_assert_int_eq(reader.error, 0);
	weir_socket_free(reader.socket);
}
END_TEST

START_TEST(a_pipe_that_is_undone_loses_nothing)
{
	const struct weir_pipe_options options = {.buffer = BUFFER};
	size_t rested;
	int peer = peer_connect(front_port, ssl_client, sends_much);

	ck_assert(run_until(loop, has_far, NULL));
	rested = wait_until_it_rests(side.socket);
	ck_assert_uint_gt(rested, 0);
	ck_assert_int_eq(weir_socket_unpipe(side.socket), 0);
	weir_socket_resume(far);
	run_a_little(loop);
	ck_assert_uint_le(far_got, rested);
	ck_assert_int_eq(weir_socket_pipe(side.socket, back, &options), 0);
	ck_assert(run_until(loop, far_has_ended, NULL));
	ck_assert_uint_eq(far_got, LOTS);
	ck_assert_uint_eq(far_wrong, 0);
	ck_assert_int_eq(weir_socket_end(far), 0);
	ck_assert(run_until(loop, is_closed, &side));
	ck_assert_int_eq(peer_wait(peer), 0);
}
END_TEST

/* ---- the openssl tool ---- */

struct tool {
	pid_t process;
	int out; /* what it says */
	char text[65536];
	size_t length;
	bool ended;
};

/* Run a shell's command line; its input is a file's, or nothing. */
static void
tool_start(struct tool *tool, const char *line, const char *input)
{
	int out[2], in;

	memset(tool, 0, sizeof(*tool));
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	tool->process = fork();
	ck_assert_int_ge(tool->process, 0);
	if (tool->process == 0) {
		in = open(input != NULL ? input : "/dev/null", O_RDONLY);
		(void)dup2(in, 0);
		(void)dup2(out[1], 1);
		(void)dup2(out[1], 2);
		(void)execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(127);
	}
	(void)close(out[1]);
	tool->out = out[0];
	(void)fcntl(tool->out, F_SETFL, O_NONBLOCK);
}

static void
tool_read(struct tool *tool)
{
	size_t room = sizeof(tool->text) - 1 - tool->length;
	ssize_t n = read(tool->out, tool->text + tool->length, room);

	if (n > 0)
		tool->length += (size_t)n;
	else if (n == 0)
		tool->ended = true;
}

static bool
tool_has_ended(void *user)
{
	struct tool *tool = user;

	tool_read(tool);
	return tool->ended;
}

static int
tool_wait(struct tool *tool)
{
	(void)close(tool->out);
	return peer_wait(tool->process);
}

static void
expect_said(const struct tool *tool, const char *words)
{
	ck_assert_msg(strstr(tool->text, words) != NULL, "no \"%s\" in:\n%s",
	    words, tool->text);
}

static void
s_client(struct tool *tool, const char *more)
{
	char line[1024];

	write_file(in_directory("input"), "ask\n", 4);
	(void)snprintf(line, sizeof(line),
	    "exec openssl s_client -connect 127.0.0.1:%u -CAfile %s "
	    "-verify_return_error -verify_hostname example.org "
	    "-servername example.org -ign_eof %s",
	    (unsigned)port, authority.certificate_file, more);
	tool_start(tool, line, in_directory("input"));
}

static bool
has_asked(void *user)
{
	return ((struct side *)user)->got >= 4;
}

START_TEST(s_client_is_served)
{
	static const char *const more[] = {"-tls1_2 -alpn echo",
	    "-tls1_3 -alpn echo",
	    "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305"
	    " -alpn echo"};
	static const char *const says[] = {"TLSv1.2", "TLSv1.3", "CHACHA20"};
	struct tool tool;

	s_client(&tool, more[_i]);
	side.echo = true;
	ck_assert(run_until(loop, has_asked, &side));
	ck_assert_int_eq(weir_socket_end(side.socket), 0);
	ck_assert(run_until(loop, tool_has_ended, &tool));
	ck_assert_int_eq(tool_wait(&tool), 0);
	expect_said(&tool, "Verification: OK");
	expect_said(&tool, "ALPN protocol: echo");
	expect_said(&tool, says[_i]);
	expect_said(&tool, "\nask\n");
}
END_TEST

START_TEST(s_client_is_refused_a_protocol)
{
	struct tool tool;

	s_client(&tool, "-alpn smtp");
	ck_assert(run_until(loop, tool_has_ended, &tool));
	ck_assert_int_eq(tool_wait(&tool), 1);
	expect_said(&tool, "no application protocol");
	ck_assert(run_until(loop, is_closed, &side));
	ck_assert_int_eq(side.error, WEIR_E_TLS_HANDSHAKE);
}
END_TEST

START_TEST(s_client_resumes)
{
	struct tool tool;
	char more[400];
	int round;

	for (round = 0; round < 2; round++) {
		(void)snprintf(more, sizeof(more), "%s %s %s",
		    _i == 0 ? "-tls1_2" : "-tls1_3",
		    round == 0 ? "-sess_out" : "-sess_in",
		    in_directory("session"));
		side.got = 0;
		s_client(&tool, more);
		side.echo = true;
		ck_assert(run_until(loop, has_asked, &side));
		ck_assert_int_eq(weir_socket_end(side.socket), 0);
		ck_assert(run_until(loop, tool_has_ended, &tool));
		ck_assert_int_eq(tool_wait(&tool), 0);
		expect_said(&tool, round == 0 ? "New, TLSv" : "Reused, TLSv");
	}
}
END_TEST

static bool
server_is_up(void *user)
{
	struct tool *tool = user;

	tool_read(tool);
	return strstr(tool->text, "ACCEPT 127.0.0.1:") != NULL || tool->ended;
}

START_TEST(s_server_serves_us)
{
	char line[1024];
	struct tool tool;
	struct weir_tls_info info;
	const char *at;

	(void)snprintf(line, sizeof(line),
	    "exec openssl s_server -accept 127.0.0.1:0 -cert %s -key %s "
	    "-rev -naccept 1 -alpn echo %s",
	    org.certificate_file, org.key_file,
	    _i == 0 ? "-tls1_2" : "-tls1_3");
	tool_start(&tool, line, NULL);
	ck_assert(run_until(loop, server_is_up, &tool));
	at = strstr(tool.text, "ACCEPT 127.0.0.1:");
	ck_assert_msg(at != NULL, "%s", tool.text);
	connect_to((unsigned short)atoi(at + strlen("ACCEPT 127.0.0.1:")));
	ck_assert_int_eq(
	    weir_socket_set_secure(side.socket, at_client,
		&(struct weir_secure_options){
		    .server_name = "example.org", .alpn = "h2,echo"}),
	    0);
	ck_assert_int_ge(weir_socket_write(side.socket, "abc\n", 4), 0);
	ck_assert(run_until(loop, has_asked, &side));
	ck_assert_str_eq(side.text, "cba\n");
	ck_assert_int_eq(weir_socket_tls_info(side.socket, &info), 0);
	ck_assert_str_eq(info.protocol, _i == 0 ? "TLSv1.2" : "TLSv1.3");
	ck_assert_str_eq(info.alpn, "echo");
	ck_assert_int_eq(weir_socket_end(side.socket), 0);
	ck_assert(run_until(loop, tool_has_ended, &tool));
	ck_assert_int_eq(tool_wait(&tool), 0);
	ck_assert(run_until(loop, is_closed, &side));
}
END_TEST

/* ---- the suite ---- */

static Suite *
tls_peer_suite(void)
{
	Suite *suite = suite_create("tls_peer");
	TCase *peers = tcase_create("openssl's library");
	TCase *pipes = tcase_create("pipes");
	TCase *tool = tcase_create("openssl's tool");

	tcase_add_unchecked_fixture(peers, make_credentials, free_credentials);
	tcase_add_checked_fixture(peers, set_up, tear_down);
	tcase_add_loop_test(
	    peers, a_client_that_has_ended_gets_the_whole_answer, 0, 2);
	tcase_add_loop_test(peers, a_server_answers_after_our_end, 0, 2);
	tcase_add_loop_test(
	    peers, a_client_that_leaves_without_a_word_is_told_apart, 0, 2);
	tcase_add_loop_test(peers, a_server_that_resets_is_a_reset, 0, 2);
	tcase_add_test(peers, a_protocol_that_was_not_offered_is_refused);
	tcase_add_loop_test(
	    peers, the_name_is_the_same_in_capitals_and_with_a_last_dot, 0, 2);
	tcase_add_test(peers, new_keys_are_taken_in_between);
	tcase_add_test(peers, reading_goes_on_when_the_wire_empties);
	tcase_add_test(peers, reading_goes_on_when_an_end_empties_the_wire);
	tcase_add_test(peers, nobody_renegotiates);
	suite_add_tcase(suite, peers);
	tcase_add_unchecked_fixture(pipes, make_credentials, free_credentials);
	tcase_add_checked_fixture(pipes, set_up_pipes, tear_down_pipes);
	tcase_add_loop_test(pipes, a_pipe_from_tls_waits_for_its_reader, 0, 2);
	tcase_add_loop_test(pipes, a_pipe_to_tls_waits_for_its_reader, 0, 2);
	tcase_add_test(pipes, a_pipe_to_tls_holds_no_more_than_its_buffer);
	tcase_add_test(pipes, a_pipe_that_is_undone_loses_nothing);
	suite_add_tcase(suite, pipes);
	if (system("openssl version >/dev/null 2>&1") != 0)
		return suite;
	tcase_add_unchecked_fixture(tool, make_credentials, free_credentials);
	tcase_add_checked_fixture(tool, set_up, tear_down);
	tcase_add_loop_test(tool, s_client_is_served, 0, 3);
	tcase_add_test(tool, s_client_is_refused_a_protocol);
	tcase_add_loop_test(tool, s_client_resumes, 0, 2);
	tcase_add_loop_test(tool, s_server_serves_us, 0, 2);
	suite_add_tcase(suite, tool);
	return suite;
}

int
main(void)
{
	SRunner *sr = srunner_create(tls_peer_suite());
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
