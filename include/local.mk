# The public headers, the only ones that are installed.
weirincludedir = $(includedir)/weir
weirinclude_HEADERS = %D%/weir/address.h %D%/weir/channel.h %D%/weir/error.h %D%/weir/loop.h \
    %D%/weir/resolve.h %D%/weir/server.h %D%/weir/socket.h %D%/weir/weir.h
weirinclude_HEADERS += %D%/weir/move.h %D%/weir/tls.h
nodist_weirinclude_HEADERS = %D%/weir/version.h
BUILT_SOURCES += %D%/weir/version.h
