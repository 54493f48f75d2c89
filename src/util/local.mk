# Floor 0: pure helpers; silent, no globals, no events.
noinst_LTLIBRARIES += %D%/libutil.la
%C%_libutil_la_SOURCES = %D%/argv.c %D%/argv.h %D%/map.c %D%/map.h \
    %D%/nearest.c %D%/nearest.h \
    %D%/strbuf.c %D%/strbuf.h %D%/text.c %D%/text.h
