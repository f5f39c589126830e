"""Starts a service whose wall clock is wrong: `python -m tests.system.skewed 12.5 services.resume.main` is 12.5 s ahead.

Only the wall clock: the monotonic one, and with it every time-out, stays as it is, as on a machine with a bad time server. (The
library libfaketime was tried: with it, 0.9.10, `time.sleep` fails under Python 3.11.)
"""

import runpy
import sys
import time


def shift(seconds: float) -> None:
    """From now on `time.time` and `time.time_ns` are so far off, for whoever looks them up in their module."""
    true_s, true_ns = time.time, time.time_ns
    time.time = lambda: true_s() + seconds
    time.time_ns = lambda: true_ns() + int(seconds * 1e9)


def main() -> None:
    """Shift, then be the other module; nothing of it is imported before."""
    offset_s, module = sys.argv[1:]
    shift(float(offset_s))
    sys.argv[1:] = []
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
