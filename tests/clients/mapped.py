"""Connects to an IPv4 address through an IPv6 socket (v4-mapped), as dual-stack runtimes do.

Usage: mapped.py ADDRESS HOST
"""

import socket
import ssl
import sys

address, host = sys.argv[1:3]
raw = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
raw.settimeout(10)
raw.connect((f"::ffff:{address}", 443))
with ssl.create_default_context().wrap_socket(raw, server_hostname=host) as connection:
    connection.sendall(f"GET /weather HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
    print(connection.makefile("rb").readline().decode().strip())
