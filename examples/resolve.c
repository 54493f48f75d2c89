/*
 * Prints the addresses of a name, the best first.
 *
 *   resolve HOST
 */
#include <stdio.h>

#include <weir/weir.h>

static void
on_done(int err, const struct weir_address *addresses, size_t count, void *user)
{
	int *status = user;
	char text[WEIR_ADDRESS_TEXT];
	size_t i;

	for (i = 0; i < count; i++)
		printf("%s\n",
		    weir_address_host(&addresses[i], text, sizeof(text)));
	if (err == 0)
		return;
	fprintf(stderr, "%s\n", weir_error_text(err));
	*status = 1;
}

int
main(int argc, char **argv)
{
	struct weir_loop *loop;
	int status = 0, err;

	if (argc != 2) {
		fprintf(stderr, "usage: resolve HOST\n");
		return 2;
	}
	if (weir_loop_new(&loop, NULL) != 0)
		return 1;
	err = weir_resolve(NULL, loop, argv[1], 0, 0, on_done, &status);
	if (err != 0)
		on_done(err, NULL, 0, &status);
	else
		(void)weir_loop_run(loop); /* a lookup holds it */
	weir_loop_free(loop);
	return status;
}
