#include "config.h"

#include "daemon.h"

int
main(int argc, char **argv)
{
	return weir_daemon_main(argc, argv);
}
