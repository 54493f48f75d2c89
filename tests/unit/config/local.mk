# unit tests: config
CONFIG_CHECK_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
CONFIG_CHECK_LDADD = src/config/libconfig.la $(CHECK_LIBS)
CONFIG_CHECK_SUPPORT = %D%/support.c %D%/support.h

check_PROGRAMS += %D%/check_builder
%C%_check_builder_SOURCES = %D%/check_builder.c $(CONFIG_CHECK_SUPPORT)
%C%_check_builder_CPPFLAGS = $(CONFIG_CHECK_CPPFLAGS)
%C%_check_builder_LDADD = $(CONFIG_CHECK_LDADD)

check_PROGRAMS += %D%/check_compare
%C%_check_compare_SOURCES = %D%/check_compare.c $(CONFIG_CHECK_SUPPORT)
%C%_check_compare_CPPFLAGS = $(CONFIG_CHECK_CPPFLAGS)
%C%_check_compare_LDADD = $(CONFIG_CHECK_LDADD)

check_PROGRAMS += %D%/check_conflict
%C%_check_conflict_SOURCES = %D%/check_conflict.c $(CONFIG_CHECK_SUPPORT)
%C%_check_conflict_CPPFLAGS = $(CONFIG_CHECK_CPPFLAGS)
%C%_check_conflict_LDADD = $(CONFIG_CHECK_LDADD)

check_PROGRAMS += %D%/check_dump
%C%_check_dump_SOURCES = %D%/check_dump.c $(CONFIG_CHECK_SUPPORT)
%C%_check_dump_CPPFLAGS = $(CONFIG_CHECK_CPPFLAGS)
%C%_check_dump_LDADD = $(CONFIG_CHECK_LDADD)

check_PROGRAMS += %D%/check_file
%C%_check_file_SOURCES = %D%/check_file.c $(CONFIG_CHECK_SUPPORT)
%C%_check_file_CPPFLAGS = $(CONFIG_CHECK_CPPFLAGS)
%C%_check_file_LDADD = $(CONFIG_CHECK_LDADD)

check_PROGRAMS += %D%/check_garbage
%C%_check_garbage_SOURCES = %D%/check_garbage.c $(CONFIG_CHECK_SUPPORT)
%C%_check_garbage_CPPFLAGS = $(CONFIG_CHECK_CPPFLAGS)
%C%_check_garbage_LDADD = $(CONFIG_CHECK_LDADD)

check_PROGRAMS += %D%/check_ini_source
%C%_check_ini_source_SOURCES = %D%/check_ini_source.c $(CONFIG_CHECK_SUPPORT)
%C%_check_ini_source_CPPFLAGS = $(CONFIG_CHECK_CPPFLAGS)
%C%_check_ini_source_LDADD = $(CONFIG_CHECK_LDADD)

check_PROGRAMS += %D%/check_option
%C%_check_option_SOURCES = %D%/check_option.c $(CONFIG_CHECK_SUPPORT)
%C%_check_option_CPPFLAGS = $(CONFIG_CHECK_CPPFLAGS)
%C%_check_option_LDADD = $(CONFIG_CHECK_LDADD)

check_PROGRAMS += %D%/check_option_server
%C%_check_option_server_SOURCES = %D%/check_option_server.c $(CONFIG_CHECK_SUPPORT)
%C%_check_option_server_CPPFLAGS = $(CONFIG_CHECK_CPPFLAGS)
%C%_check_option_server_LDADD = $(CONFIG_CHECK_LDADD)

check_PROGRAMS += %D%/check_option_route
%C%_check_option_route_SOURCES = %D%/check_option_route.c $(CONFIG_CHECK_SUPPORT)
%C%_check_option_route_CPPFLAGS = $(CONFIG_CHECK_CPPFLAGS)
%C%_check_option_route_LDADD = $(CONFIG_CHECK_LDADD)

check_PROGRAMS += %D%/check_source
%C%_check_source_SOURCES = %D%/check_source.c $(CONFIG_CHECK_SUPPORT)
%C%_check_source_CPPFLAGS = $(CONFIG_CHECK_CPPFLAGS)
%C%_check_source_LDADD = $(CONFIG_CHECK_LDADD)

check_PROGRAMS += %D%/check_validate_tls
%C%_check_validate_tls_SOURCES = %D%/check_validate_tls.c $(CONFIG_CHECK_SUPPORT)
%C%_check_validate_tls_CPPFLAGS = $(CONFIG_CHECK_CPPFLAGS)
%C%_check_validate_tls_LDADD = $(CONFIG_CHECK_LDADD)

check_PROGRAMS += %D%/check_pool
%C%_check_pool_SOURCES = %D%/check_pool.c $(CONFIG_CHECK_SUPPORT)
%C%_check_pool_CPPFLAGS = $(CONFIG_CHECK_CPPFLAGS)
%C%_check_pool_LDADD = $(CONFIG_CHECK_LDADD)

check_PROGRAMS += %D%/check_tls_files
%C%_check_tls_files_SOURCES = %D%/check_tls_files.c $(CONFIG_CHECK_SUPPORT)
%C%_check_tls_files_CPPFLAGS = $(CONFIG_CHECK_CPPFLAGS)
%C%_check_tls_files_LDADD = $(CONFIG_CHECK_LDADD)

check_PROGRAMS += %D%/check_validate
%C%_check_validate_SOURCES = %D%/check_validate.c $(CONFIG_CHECK_SUPPORT)
%C%_check_validate_CPPFLAGS = $(CONFIG_CHECK_CPPFLAGS)
%C%_check_validate_LDADD = $(CONFIG_CHECK_LDADD)

# Its allocations can be refused, one after the other.
check_PROGRAMS += %D%/check_memory
%C%_check_memory_SOURCES = %D%/check_memory.c $(CONFIG_CHECK_SUPPORT)
%C%_check_memory_CPPFLAGS = $(CONFIG_CHECK_CPPFLAGS)
%C%_check_memory_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc \
    -Wl,--wrap=calloc -Wl,--wrap=realloc -Wl,--wrap=reallocarray \
    -Wl,--wrap=strdup -Wl,--wrap=strndup
%C%_check_memory_LDADD = $(CONFIG_CHECK_LDADD)

# The option table for tools/check-options, which is a test where this is not.
noinst_PROGRAMS += %D%/list_options
%C%_list_options_SOURCES = %D%/list_options.c
%C%_list_options_CFLAGS = $(PROGRAM_CFLAGS)
%C%_list_options_LDFLAGS = $(PROGRAM_LDFLAGS)
%C%_list_options_LDADD = src/config/libconfig.la
dist_check_SCRIPTS += tools/check-options
TESTS += tools/check-options
