# Floor 2: file and command line to a checked configuration.
noinst_LTLIBRARIES += %D%/libconfig.la
%C%_libconfig_la_CPPFLAGS = $(AM_CPPFLAGS) $(INIH_CFLAGS)
%C%_libconfig_la_LIBADD = libweir.la src/util/libutil.la $(INIH_LIBS)
%C%_libconfig_la_SOURCES = %D%/builder.c %D%/builder_priv.h %D%/config.c \
    %D%/config.h %D%/conflict.c %D%/conflict_priv.h %D%/dump.c %D%/file.c \
    %D%/ini_source.c %D%/ini_source.h %D%/option.c %D%/option.h \
    %D%/option_acl.c %D%/option_address.c %D%/option_place.c \
    %D%/option_priv.h %D%/option_scalar.c %D%/schema.c %D%/validate.c \
    %D%/value.c %D%/value.h
