"""Memory: ask the C library to keep freed blocks instead of handing them back to the system.

Training allocates and frees the same large tensors over and over. By default glibc returns each block to the
kernel and gets it back as fresh pages, which have to be zeroed: a quarter of a small model's training time.
"""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # from glibc's malloc.h


def keep_freed_memory() -> None:
    """Turn it on for this process, where the C library is glibc; elsewhere do nothing."""
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(_TOP_PAD, 64 * 2**20)
