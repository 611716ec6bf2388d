"""Runs inside the guest: a command again and again, for a program that prints its statistics only at its own end.

    python3 rounds.py COMMAND [ARGUMENT ...]

SIGINT or SIGALRM ends it, and the round under way. A round that fails ends it too, with that round's exit status. The
last line gives the rounds that were done, and the seconds of all.
"""

import signal
import subprocess
import sys
import time


def main() -> int:
    """Run the rounds; return the exit status."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    started, rounds, status = time.monotonic(), 0, 0
    try:
        while status == 0:
            status = subprocess.call(sys.argv[1:])
            rounds += status == 0
    except KeyboardInterrupt:
        pass
    print(f"rounds: {rounds} done, {time.monotonic() - started:.3f} s in all")
    return status


if __name__ == "__main__":
    sys.exit(main())
