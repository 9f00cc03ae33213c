"""A client that accepts one authority only, whatever the system or the environment say.

Usage: pinned.py CA
Tries up to five times, as such clients do; prints each outcome.
"""

import http.client
import ssl
import sys

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(cafile=sys.argv[1])
for attempt in range(5):
    try:
        connection = http.client.HTTPSConnection("pinned.example", context=context, timeout=10)
        connection.request("GET", "/weather")
        print(connection.getresponse().status)
        break
    except OSError as error:
        print(type(error).__name__)
else:
    sys.exit(1)
