# Guards: rules of the source tree that no compiler knows.
dist_check_SCRIPTS += %D%/check-layers %D%/check-exports %D%/check-headers
TESTS += %D%/check-layers %D%/check-exports %D%/check-headers
