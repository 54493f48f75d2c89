# Floor 0: what peers send first, read and written as bytes; no I/O.
noinst_LTLIBRARIES += %D%/libproto.la
%C%_libproto_la_LIBADD = src/util/libutil.la
%C%_libproto_la_SOURCES = %D%/hello.c %D%/hello.h %D%/proxy_header.c \
    %D%/proxy_header.h %D%/proxy_header_priv.h %D%/proxy_header_write.c
