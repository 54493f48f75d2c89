# Floor 2: file and command line to a checked configuration.
noinst_LTLIBRARIES += %D%/libconfig.la
%C%_libconfig_la_CPPFLAGS = $(AM_CPPFLAGS) $(INIH_CFLAGS)
%C%_libconfig_la_LIBADD = libweir.la src/util/libutil.la $(INIH_LIBS)
%C%_libconfig_la_SOURCES = %D%/builder.c %D%/builder_priv.h %D%/compare.c \
    %D%/compare.h %D%/config.c %D%/config.h %D%/conflict.c %D%/dump.c \
    %D%/file.c %D%/ini_source.c %D%/ini_source.h %D%/option.c %D%/option.h \
    %D%/option_acl.c %D%/option_address.c %D%/option_health.c \
    %D%/option_place.c %D%/option_priv.h %D%/option_route.c \
    %D%/option_scalar.c %D%/option_server.c %D%/option_tls.c %D%/pool.c \
    %D%/schema.c %D%/source.c %D%/source.h %D%/tls_files.c %D%/tls_files.h \
    %D%/validate.c %D%/validate_forward.c %D%/validate_priv.h \
    %D%/validate_tls.c %D%/value.c %D%/value.h
