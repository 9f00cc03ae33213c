"""Writes pieces of 4 KB to a TLS connection: arguments are port, bundle, and the count of each part."""

import socket
import ssl
import sys

HOST = "api.openai.com"
port, bundle, parts = int(sys.argv[1]), sys.argv[2], [int(count) for count in sys.argv[3:]]
piece = b"x" * 4096

tcp = socket.create_connection(("127.0.0.1", port))
tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
tls = ssl.create_default_context(cafile=bundle).wrap_socket(tcp, server_hostname=HOST)


def head(path, length):
    return f"POST {path} HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: {length}\r\n\r\n".encode()


def gate():
    tls.sendall(head("/gate", 0))
    tls.recv(65536)


def write(times):
    send = tls.send
    send(head("/v1/files", times * len(piece)))
    for _ in range(times):
        send(piece)
    tls.recv(65536)


gate()
for count in parts:
    write(count)
    gate()
