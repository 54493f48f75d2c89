/*
 * allow and deny. A CIDR row speaks of IP clients, an IPv4-mapped one as the
 * IPv4 one it is; user and group rows of clients on unix sockets; all of all.
 */
#include "config.h"

#include "proxy/acl.h"

#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include <weir/address.h>

#include "config/config.h"

static bool
bits_match(
    const unsigned char *a, const unsigned char *network, unsigned prefix)
{
	unsigned whole = prefix / 8, rest = prefix % 8;

	if (memcmp(a, network, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ network[whole]) >> (8 - rest) == 0;
}

static bool
cidr_matches(const struct config_acl *row, const struct weir_address *client)
{
	const unsigned char *bytes;
	int family;

	if (client->u.sa.sa_family == AF_INET) {
		bytes = (const unsigned char *)&client->u.in.sin_addr;
		family = 4;
	} else if (client->u.sa.sa_family == AF_INET6) {
		bytes = client->u.in6.sin6_addr.s6_addr;
		family = 6;
		if (IN6_IS_ADDR_V4MAPPED(&client->u.in6.sin6_addr)) {
			bytes += 12;
			family = 4;
		}
	} else {
		return false;
	}
	return family == row->family &&
	       bits_match(bytes, row->bytes, row->prefix);
}

/* The client's own group, and those its user is a member of. */
static bool
in_group(const struct acl_user *user, gid_t group)
{
	struct passwd *pw;
	gid_t *groups;
	int count = 0, i;
	bool found = user->gid == group;

	if (found)
		return true;
	pw = getpwuid(user->uid);
	if (pw == NULL)
		return false;
	(void)getgrouplist(pw->pw_name, pw->pw_gid, NULL, &count);
	if (count <= 0)
		return false;
	groups = calloc((size_t)count, sizeof(*groups));
	if (groups == NULL)
		return false;
	if (getgrouplist(pw->pw_name, pw->pw_gid, groups, &count) != -1)
		for (i = 0; i < count && !found; i++)
			found = groups[i] == group;
	free(groups);
	return found;
}

static bool
matches(const struct config_acl *row, const struct weir_address *client,
    const struct acl_user *user)
{
	switch (row->kind) {
	case CONFIG_ACL_ALL:
		return true;
	case CONFIG_ACL_CIDR:
		return cidr_matches(row, client);
	case CONFIG_ACL_USER:
		return user->known && user->uid == row->id;
	case CONFIG_ACL_GROUP:
		return user->known && in_group(user, row->id);
	}
	return false;
}

bool
acl_allows(const struct config_acl *rows, size_t count,
    const struct weir_address *client, const struct acl_user *user)
{
	bool any_allow = false;
	size_t i;

	for (i = 0; i < count; i++) {
		if (matches(&rows[i], client, user))
			return rows[i].allow;
		any_allow = any_allow || rows[i].allow;
	}
	return !any_allow;
}
