"""Writes TLS as fast as it can, from one end to another in its own memory, without a socket.

Usage: flood.py BYTES [CHUNK]
Writes CHUNK bytes (1 MiB) at a time until BYTES are written and read again, and prints `ok BYTES`.
"""

import os
import ssl
import subprocess
import sys
import tempfile
import time

import shell

total = int(sys.argv[1])
chunk = int(sys.argv[2]) if len(sys.argv) > 2 else 1 << 20


def certified():
    """A server's side with a certificate of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        key, certificate = os.path.join(folder, "key"), os.path.join(folder, "certificate")
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=flood"]
        files = ["-keyout", key, "-out", certificate]
        subprocess.run(["openssl", "req", "-x509", *new, *files], check=True, stderr=subprocess.DEVNULL)
        context.load_cert_chain(certificate, key)
    return context


def ends():
    """The two ends, with the handshake done, and the memory between them."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    client = trusting.wrap_bio(back, there, server_side=False)
    server = certified().wrap_bio(there, back, server_side=True)
    waiting = [client, server]
    while waiting:
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                pass
    return client, server


client, server = ends()
shell.gate()
piece = os.urandom(chunk)
room = bytearray(chunk)
written = read = 0
start = time.monotonic()
while written < total:
    size = client.write(piece[: total - written] if total - written < chunk else piece)
    written += size
    try:
        while read < written:
            read += server.read(chunk, room)
    except ssl.SSLWantReadError:
        pass
seconds = time.monotonic() - start
print(f"{written / seconds / 1e6:.0f} MB/s", file=sys.stderr)
print(f"ok {read}")
