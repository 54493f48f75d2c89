/*
 * -t and -T: a configuration that is looked at, and not run.
 */
#include "config.h"

#include "daemon_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "config/config.h"
#include "process/limits.h"
#include "proxy/proxy.h"

int
daemon_test(const struct cli *cli)
{
	const struct config *config = cli->config;
	size_t each = proxy_fds_per_connection(config);
	size_t reserved = proxy_fds_reserved(config);
	unsigned workers = daemon_workers(config);
	uint64_t fds, connections = config->max_connections;
	char *text = NULL;
	size_t i;

	for (i = 0; i < config->warning_count; i++)
		fprintf(stderr, "warning: %s\n", config->warnings[i]);
	if (limits_fds(&fds) == 0) {
		if (connections == 0)
			connections =
			    fds == LIMITS_NONE
				? LIMITS_NONE
				: limits_connections(fds, each, reserved) *
				      workers;
		if (limits_describe(
			&text, connections, each, reserved, fds, workers) == 0)
			fprintf(stderr, "warning: %s\n", text);
		else if (text != NULL)
			printf("%s\n", text);
		free(text);
	}
	printf("%s: configuration ok\n", cli->source);
	return fflush(stdout) == 0 ? 0 : 1;
}

int
daemon_dump(const struct cli *cli)
{
	if (config_dump(cli->config, stdout) == 0 && fflush(stdout) == 0)
		return 0;
	fprintf(stderr, "weir: cannot print the configuration: %s\n",
	    strerror(errno));
	return 1;
}
