# The manual. It is compared with the programs, the headers and the examples by
# tools/check-manual; tools/manual-examples -w puts the examples into it.
dist_man_MANS += %D%/weir.8 %D%/weir.conf.5 %D%/weirctl.1
dist_man_MANS += %D%/libweir.3 %D%/weir_address.3 %D%/weir_channel.3 \
    %D%/weir_error.3 %D%/weir_loop.3 %D%/weir_move.3 %D%/weir_pipe.3 %D%/weir_resolve.3 \
    %D%/weir_server.3 %D%/weir_socket.3 %D%/weir_tls.3
dist_check_SCRIPTS += tools/check-manual tools/manual-examples
TESTS += tools/check-manual
