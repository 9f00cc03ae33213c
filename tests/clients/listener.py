"""A client of a protocol in which the server speaks first.

Usage: listener.py HOST PORT
"""

import socket
import sys
import time

started = time.monotonic()
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as connection:
    lines = connection.makefile("rb")
    print(lines.readline().decode().strip())
    print("greeted", "quickly" if time.monotonic() - started < 2 else "slowly")
    connection.sendall(b"PING\r\n")
    print(lines.readline().decode().strip())
    # Half-close: what is still to come must come.
    connection.shutdown(socket.SHUT_WR)
    print(lines.readline().decode().strip())
