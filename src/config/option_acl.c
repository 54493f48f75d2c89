/*
 * The rows of allow and deny, which are one list in the order of the file, and
 * those of accept_proxy. A
 * network is kept with its host bits zero; a row that has some set is refused,
 * because it can mean either the network or the one address.
 */
#include <config.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/option_priv.h"
#include "util/text.h"

/* Clear the bits behind the prefix. Returns whether any of them was set. */
static bool
clear_host_bits(unsigned char *bytes, unsigned size, unsigned prefix)
{
	unsigned char keep, set = 0;
	unsigned i;

	for (i = prefix / 8; i < size; i++) {
		keep =
		    i == prefix / 8 ? (unsigned char)(0xff00 >> prefix % 8) : 0;
		set |= (unsigned char)(bytes[i] & ~keep);
		bytes[i] &= keep;
	}
	return set != 0;
}

static int
parse_network(const struct option_input *in, struct config_acl *row)
{
	char host[INET6_ADDRSTRLEN + 1], right[INET6_ADDRSTRLEN] = "";
	const char *slash = strchr(in->value, '/');
	size_t length = slash ? (size_t)(slash - in->value) : in->length;
	uint64_t prefix;
	unsigned bits;
	int family;

	if (length >= sizeof(host))
		length = sizeof(host) - 1; /* no address is as long */
	memcpy(host, in->value, length);
	host[length] = '\0';
	row->family = weir_is_ip(host);
	family = row->family == 4 ? AF_INET : AF_INET6;
	if (row->family == 0 || inet_pton(family, host, row->bytes) != 1)
		return option_refuse(in,
		    "is no network (10.0.0.0/8, 2001:db8::/32, an address, %s)",
		    in->option->type == OPTION_ACCEPT_PROXY
			? "all or no"
			: "all, user:NAME or group:NAME");
	bits = row->family == 4 ? 32 : 128;
	prefix = bits;
	if (slash != NULL &&
	    (text_number(slash + 1, &prefix) < 0 || prefix > bits))
		return option_refuse(
		    in, "has no prefix length from 0 to %u after the /", bits);
	row->prefix = (unsigned)prefix;
	if (clear_host_bits(row->bytes, bits / 8, row->prefix)) {
		inet_ntop(family, row->bytes, right, sizeof(right));
		return option_refuse(in,
		    "has bits set behind its prefix: write %s/%u for the "
		    "network, or %s for the one address",
		    right, row->prefix, host);
	}
	row->kind = CONFIG_ACL_CIDR;
	return 0;
}

static int
parse_kind(const struct option_input *in, struct config_acl *row)
{
	uid_t uid;
	gid_t gid;

	if (strcmp(in->value, "all") == 0) {
		row->kind = CONFIG_ACL_ALL;
		return 0;
	}
	if (in->option->type == OPTION_ACCEPT_PROXY)
		return parse_network(in, row);
	if (strncmp(in->value, "user:", 5) == 0) {
		if (option_user_id(in->value + 5, &uid) < 0)
			return option_refuse(in, "is no user of this system");
		row->kind = CONFIG_ACL_USER;
		row->id = uid;
		return 0;
	}
	if (strncmp(in->value, "group:", 6) == 0) {
		if (option_group_id(in->value + 6, &gid) < 0)
			return option_refuse(in, "is no group of this system");
		row->kind = CONFIG_ACL_GROUP;
		row->id = gid;
		return 0;
	}
	return parse_network(in, row);
}

int
option_parse_acl(const struct option_input *in)
{
	struct config_listener *listener = in->base;
	bool proxy = in->option->type == OPTION_ACCEPT_PROXY;
	struct config_acl row, *rows, **field;
	size_t *count;
	int r;

	field = proxy ? &listener->accept_proxy : &listener->acl;
	count = proxy ? &listener->accept_proxy_count : &listener->acl_count;
	if (proxy && strcmp(in->value, "no") == 0)
		return 0; /* that it stands alone is validate.c's */
	memset(&row, 0, sizeof(row));
	row.allow = in->option->type != OPTION_DENY;
	r = parse_kind(in, &row);
	if (r < 0)
		return r;
	row.text = strdup(in->value);
	if (row.text == NULL)
		return -ENOMEM;
	rows = option_grow(*field, *count, sizeof(row));
	if (rows == NULL) {
		free(row.text);
		return -ENOMEM;
	}
	rows[(*count)++] = row;
	*field = rows;
	return 0;
}

void
option_print_acl(const struct config_option *option, const void *base,
    option_emit *emit, void *user)
{
	const struct config_listener *listener = base;
	const struct config_acl *row;
	size_t i;

	if (option->type == OPTION_ACCEPT_PROXY) {
		for (i = 0; i < listener->accept_proxy_count; i++) {
			row = &listener->accept_proxy[i];
			emit(option->key, row->text, strlen(row->text), user);
		}
		if (i == 0)
			emit(option->key, "no", 2, user);
		return;
	}
	for (i = 0; option->type == OPTION_ALLOW && i < listener->acl_count;
	     i++) {
		row = &listener->acl[i];
		emit(row->allow ? "allow" : "deny", row->text,
		    strlen(row->text), user);
	}
}
