# The manual. It is compared with the programs by tools/check-manual.
dist_man_MANS += %D%/weir.8 %D%/weir.conf.5 %D%/weirctl.1
dist_check_SCRIPTS += tools/check-manual
TESTS += tools/check-manual
