"""Chat calls by the openai SDK: arguments are port, file with the request, instrumentation, and the count of each
part."""

import http.client
import json
import os
import socket
import ssl
import sys

HOST = "api.openai.com"
port, body, instrumentation, parts = *sys.argv[1:4], [int(count) for count in sys.argv[4:]]

# The provider's name is this machine's.
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **named: resolve("127.0.0.1" if host == HOST else host, *rest, **named)

import openai

exporter = None
if instrumentation != "none":
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    if instrumentation == "openinference":
        from openinference.instrumentation.openai import OpenAIInstrumentor
    else:
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    OpenAIInstrumentor().instrument(tracer_provider=provider)

with open(body) as file:
    messages = json.load(file)["messages"]
client = openai.OpenAI(api_key="none", base_url=f"https://{HOST}:{port}/v1", max_retries=0)
gates = http.client.HTTPSConnection(HOST, int(port), context=ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"]))


def gate():
    gates.request("POST", "/gate", body=b"")
    gates.getresponse().read()


def chat(times):
    for _ in range(times):
        client.chat.completions.create(model="gpt-4o", messages=messages)


gate()
for count in parts:
    chat(count)
    gate()
if exporter is not None and len(exporter.get_finished_spans()) != sum(parts):
    sys.exit(f"{instrumentation} made {len(exporter.get_finished_spans())} spans of {sum(parts)} calls")
