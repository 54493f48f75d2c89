# unit tests: util
check_PROGRAMS += %D%/check_argv
%C%_check_argv_SOURCES = %D%/check_argv.c
%C%_check_argv_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_argv_LDADD = src/util/libutil.la $(CHECK_LIBS)

check_PROGRAMS += %D%/check_nearest
%C%_check_nearest_SOURCES = %D%/check_nearest.c
%C%_check_nearest_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_nearest_LDADD = src/util/libutil.la $(CHECK_LIBS)

check_PROGRAMS += %D%/check_strbuf
%C%_check_strbuf_SOURCES = %D%/check_strbuf.c
%C%_check_strbuf_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_strbuf_LDADD = src/util/libutil.la $(CHECK_LIBS)

check_PROGRAMS += %D%/check_text
%C%_check_text_SOURCES = %D%/check_text.c
%C%_check_text_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_text_LDADD = src/util/libutil.la $(CHECK_LIBS)

check_PROGRAMS += %D%/check_map
%C%_check_map_SOURCES = %D%/check_map.c
%C%_check_map_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
%C%_check_map_LDADD = src/util/libutil.la $(CHECK_LIBS)
