"""Exchanges over TLS, one after another, each checked byte by byte; what watches it must not be felt.

Usage: load.py COUNT [STOP]
Posts to an echo that answers with the size and the sum of what it got, over one connection that is renewed
every 100 exchanges. Ends after COUNT exchanges, or before when the file STOP exists, and prints `ok N`.
"""

import http.client
import json
import os
import ssl
import sys

import shell

HOST = "tool.example"
count = int(sys.argv[1])
stop = sys.argv[2] if len(sys.argv) > 2 else None
context = ssl.create_default_context()
shell.gate()

done = 0
connection = None
while done < count and not (stop and os.path.exists(stop)):
    if done % 100 == 0:
        if connection:
            connection.close()
        connection = http.client.HTTPSConnection(HOST, context=context, timeout=30)
    # Another content and another size each time, below and above a TLS record.
    body = bytes([done % 251]) * (1 + done * 4099 % 40_000)
    connection.request("POST", "/echo", body)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    if answer.status != 200 or told != {"size": len(body), "sum": sum(body)}:
        sys.exit(f"exchange {done}: {answer.status} {told}")
    done += 1
print(f"ok {done}")
