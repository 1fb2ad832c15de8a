/* SPDX-License-Identifier: GPL-2.0 */
/* The C library's struct iovec: the UAPI header defines a second one. */
#ifndef UNIT_LINUX_UIO_H
#define UNIT_LINUX_UIO_H

#include <sys/uio.h>

#undef UIO_MAXIOV
#define UIO_MAXIOV 1024

#endif
