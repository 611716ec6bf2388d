"""What a thread's name and priority say about how it is scheduled."""

from __future__ import annotations

import re

REAL_TIME = 100  # kernel priorities below this are not the fair class's business
_KERNEL_THREAD = re.compile(
    r"^(kworker/|ksoftirqd/|rcu_|migration/|kswapd|kcompactd|khugepaged|kthreadd|jbd2/|hwrng|khungtaskd|kauditd)"
)


def is_kernel_thread(name: str) -> bool:
    """Whether a thread of this name is the kernel's own: those are in no control group."""
    return _KERNEL_THREAD.match(name) is not None
