# Floor 3: listeners and sessions.
noinst_LTLIBRARIES += %D%/libproxy.la
%C%_libproxy_la_LIBADD = src/config/libconfig.la src/log/liblog.la \
    src/proto/libproto.la
%C%_libproxy_la_SOURCES = %D%/acl.c %D%/acl.h %D%/board.c %D%/board.h \
    %D%/board_priv.h %D%/board_rows.c \
    %D%/deadlines.c %D%/deadlines.h %D%/figures.c %D%/handed.c %D%/handed.h \
    %D%/listener.c %D%/listener.h \
    %D%/listener_address.c %D%/listener_priv.h %D%/listener_socket.c \
    %D%/listener_bind.c %D%/listener_bind.h %D%/reload.c %D%/reload.h \
    %D%/reload_commit.c %D%/reload_match.c %D%/reload_open.c %D%/reload_priv.h %D%/proxy.c %D%/proxy.h %D%/proxy_priv.h \
    %D%/room.c %D%/room.h %D%/session.c %D%/session.h %D%/session_forward.c \
    %D%/session_log.c %D%/session_log.h %D%/session_move.c %D%/session_move.h %D%/session_pipe.c %D%/session_priv.h \
    %D%/sources.c %D%/sources.h %D%/target.c %D%/target.h %D%/worker.c

# Upstreams: which server a session gets.
%C%_libproxy_la_LIBADD += $(LIBM)
%C%_libproxy_la_SOURCES += %D%/balance.c %D%/balance.h \
    %D%/health.c %D%/keeper.c %D%/keeper.h %D%/keeper_priv.h \
    %D%/keeper_rows.c %D%/names.c \
    %D%/server_state.c %D%/server_state.h \
    %D%/upstream.c %D%/upstream.h %D%/upstream_figures.c \
    %D%/upstream_pick.c %D%/upstream_priv.h \
    %D%/upstream_queue.c %D%/upstream_use.c %D%/when_down.c

# What is told of them, and what weirctl does with them.
%C%_libproxy_la_SOURCES += %D%/proxy_control.c %D%/walk.c

# What comes before a session begins, and TLS.
%C%_libproxy_la_SOURCES += %D%/session_begin.c %D%/session_front.c \
    %D%/session_front.h %D%/session_secure.c %D%/tls.c %D%/tls.h
