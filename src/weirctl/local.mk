# Floor 6: the command-line client of the control socket.
noinst_LTLIBRARIES += %D%/libweirctl.la
%C%_libweirctl_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
%C%_libweirctl_la_LIBADD = libweir.la src/util/libutil.la $(JANSSON_LIBS)
%C%_libweirctl_la_SOURCES = %D%/exchange.c %D%/exchange.h %D%/render.c \
    %D%/render.h %D%/table.c %D%/table.h

bin_PROGRAMS += %D%/weirctl
%C%_weirctl_SOURCES = %D%/weirctl.c
%C%_weirctl_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
%C%_weirctl_CFLAGS = $(PROGRAM_CFLAGS)
%C%_weirctl_LDFLAGS = $(PROGRAM_LDFLAGS)
%C%_weirctl_LDADD = %D%/libweirctl.la libweir.la $(JANSSON_LIBS) -lm
