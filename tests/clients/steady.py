"""Makes a request on a new connection every 100 ms and writes down how it went.

Usage: steady.py LOG STOP
Ends when the file STOP exists. The first line of LOG is the process's cgroup.
"""

import os
import ssl
import sys
import time
import urllib.request

log, stop = sys.argv[1:3]
with open(log, "w", buffering=1) as out:
    with open("/proc/self/cgroup") as groups:
        out.write(next((line for line in groups if line.startswith("0::")), "0::/\n"))
    deadline = time.monotonic() + 60
    while not os.path.exists(stop) and time.monotonic() < deadline:
        try:
            context = ssl.create_default_context()
            with urllib.request.urlopen("https://tool.example/weather", context=context, timeout=5) as answer:
                out.write(f"{answer.status}\n")
        except OSError as error:
            out.write(f"{type(error).__name__} {error}\n")
        time.sleep(0.1)
