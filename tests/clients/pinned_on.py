"""A client that accepts one authority only, and goes on once it is let through.

Usage: pinned_on.py CA COUNT
Makes requests, each on a connection of its own, until COUNT of them were answered; prints how many were refused.
"""

import http.client
import ssl
import sys
import time

context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(cafile=sys.argv[1])
answered = refused = 0
while answered < int(sys.argv[2]) and refused < 10:
    connection = http.client.HTTPSConnection("pinned.example", context=context, timeout=10)
    try:
        connection.request("GET", f"/weather?n={answered}")
        assert connection.getresponse().read() == b'{"city":"Ulm","degrees":21}'
        answered += 1
    except ssl.SSLError:
        refused += 1
    finally:
        connection.close()
    # As a user's next question comes later than the last answer.
    time.sleep(0.02)
print(answered, refused)
