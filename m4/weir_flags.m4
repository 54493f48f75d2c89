# Probes of compiler and linker flags.

# WEIR_TRY_CFLAG(FLAG, [required]): append FLAG to WEIR_CFLAGS where the
# compiler takes it; with "required", stop where it does not.
AC_DEFUN([WEIR_TRY_CFLAG], [
    AC_MSG_CHECKING([whether $CC takes $1])
    weir_saved_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS -Werror $1"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
        [AC_MSG_RESULT([yes])
         WEIR_CFLAGS="$WEIR_CFLAGS $1"],
        [AC_MSG_RESULT([no])
         m4_if([$2], [required], [AC_MSG_ERROR([$CC does not take $1])])])
    CFLAGS=$weir_saved_CFLAGS
])

# WEIR_TRY_LDFLAG(FLAG): append FLAG to WEIR_LDFLAGS where the linker takes it.
AC_DEFUN([WEIR_TRY_LDFLAG], [
    AC_MSG_CHECKING([whether the linker takes $1])
    weir_saved_LDFLAGS=$LDFLAGS
    LDFLAGS="$LDFLAGS $1"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
        [AC_MSG_RESULT([yes])
         WEIR_LDFLAGS="$WEIR_LDFLAGS $1"],
        [AC_MSG_RESULT([no])])
    LDFLAGS=$weir_saved_LDFLAGS
])

# WEIR_TRY_PIE: position independent programs. The libraries' objects are
# left to libtool; only programs get these.
AC_DEFUN([WEIR_TRY_PIE], [
    AC_MSG_CHECKING([whether $CC makes position independent programs])
    weir_saved_CFLAGS=$CFLAGS weir_saved_LDFLAGS=$LDFLAGS
    CFLAGS="$CFLAGS -fPIE" LDFLAGS="$LDFLAGS -pie"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
        [AC_MSG_RESULT([yes])
         WEIR_PIE_CFLAGS=-fPIE WEIR_PIE_LDFLAGS=-pie],
        [AC_MSG_RESULT([no])])
    CFLAGS=$weir_saved_CFLAGS LDFLAGS=$weir_saved_LDFLAGS
])
