# Tests of src/weirctl.
WEIRCTL_CHECK_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS) $(JANSSON_CFLAGS)
WEIRCTL_CHECK_LDADD = src/weirctl/libweirctl.la $(CHECK_LIBS) $(JANSSON_LIBS)

check_PROGRAMS += %D%/check_exchange %D%/check_render %D%/check_table
%C%_check_exchange_SOURCES = %D%/check_exchange.c
%C%_check_exchange_CPPFLAGS = $(WEIRCTL_CHECK_CPPFLAGS)
%C%_check_exchange_LDADD = $(WEIRCTL_CHECK_LDADD)
%C%_check_render_SOURCES = %D%/check_render.c
%C%_check_render_CPPFLAGS = $(WEIRCTL_CHECK_CPPFLAGS)
%C%_check_render_LDADD = $(WEIRCTL_CHECK_LDADD)
%C%_check_table_SOURCES = %D%/check_table.c
%C%_check_table_CPPFLAGS = $(WEIRCTL_CHECK_CPPFLAGS)
%C%_check_table_LDADD = $(WEIRCTL_CHECK_LDADD)
