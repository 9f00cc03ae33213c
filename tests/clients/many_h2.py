"""Many streams at once on one HTTP/2 connection; prints how many brought the text that they should.

Usage: many_h2.py COUNT
"""

import asyncio
import json
import os
import sys

import httpx2

import shell
import tally

BASE = "https://api.openai.com/v1"
count = int(sys.argv[1])
shell.gate()


async def one(client, number):
    request = {
        "model": "gpt-mock",
        "messages": [{"role": "user", "content": f"You are agent-{number}."}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    text = ""
    tokens = None
    async with client.stream("POST", f"{BASE}/chat/completions", json=request) as answer:
        assert answer.http_version == "HTTP/2", answer.http_version
        async for line in answer.aiter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line.removeprefix("data: "))
            for choice in chunk["choices"]:
                text += choice["delta"].get("content") or ""
            if chunk.get("usage"):
                tokens = chunk["usage"]["prompt_tokens"]
    return text == f"Hello agent {number}." and tokens == 1234 + 10_000 * number


async def main():
    headers = {"authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1)
    async with httpx2.AsyncClient(
        http1=False, http2=True, headers=headers, limits=limits, timeout=120
    ) as client:
        # The connection must stand before the others come.
        (await client.get(f"{BASE}/models")).raise_for_status()
        results = await asyncio.gather(*(one(client, number) for number in range(count)), return_exceptions=True)
    tally.tell(results)


asyncio.run(main())
