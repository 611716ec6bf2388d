"""Runs inside the guest: a command that begins once the scheduler is recorded.

    python3 when_recording.py FILE COMMAND [ARGUMENT ...]

The trial writes FILE when the recording begins. Until then perf starts for seconds, ahead of every load: requests that
are due meanwhile would wait, and their queue would be what is recorded.
"""

import os
import sys
import time

PAUSE_S = 0.1

if __name__ == "__main__":
    while not os.path.exists(sys.argv[1]):
        time.sleep(PAUSE_S)
    os.execvp(sys.argv[2], sys.argv[2:])
