# Small programs on libweir: public headers and the library alone. They are
# built with everything else and not installed; the manual shows them.
noinst_PROGRAMS += $(EXAMPLES)
EXAMPLES = %D%/client %D%/echo %D%/handover %D%/proxy %D%/resolve \
    %D%/tls_echo %D%/workers

%C%_client_SOURCES = %D%/client.c
%C%_client_CFLAGS = $(PROGRAM_CFLAGS)
%C%_client_LDFLAGS = $(PROGRAM_LDFLAGS)
%C%_client_LDADD = libweir.la

%C%_echo_SOURCES = %D%/echo.c
%C%_echo_CFLAGS = $(PROGRAM_CFLAGS)
%C%_echo_LDFLAGS = $(PROGRAM_LDFLAGS)
%C%_echo_LDADD = libweir.la

%C%_handover_SOURCES = %D%/handover.c
%C%_handover_CFLAGS = $(PROGRAM_CFLAGS)
%C%_handover_LDFLAGS = $(PROGRAM_LDFLAGS)
%C%_handover_LDADD = libweir.la

%C%_proxy_SOURCES = %D%/proxy.c
%C%_proxy_CFLAGS = $(PROGRAM_CFLAGS)
%C%_proxy_LDFLAGS = $(PROGRAM_LDFLAGS)
%C%_proxy_LDADD = libweir.la

%C%_resolve_SOURCES = %D%/resolve.c
%C%_resolve_CFLAGS = $(PROGRAM_CFLAGS)
%C%_resolve_LDFLAGS = $(PROGRAM_LDFLAGS)
%C%_resolve_LDADD = libweir.la

%C%_tls_echo_SOURCES = %D%/tls_echo.c
%C%_tls_echo_CFLAGS = $(PROGRAM_CFLAGS)
%C%_tls_echo_LDFLAGS = $(PROGRAM_LDFLAGS)
%C%_tls_echo_LDADD = libweir.la

%C%_workers_SOURCES = %D%/workers.c
%C%_workers_CFLAGS = $(PROGRAM_CFLAGS)
%C%_workers_LDFLAGS = $(PROGRAM_LDFLAGS)
%C%_workers_LDADD = libweir.la
