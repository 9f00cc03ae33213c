"""Many streams at once on one client; prints how many brought the text that they should.

Usage: many.py COUNT
"""

import asyncio
import resource
import sys

import openai

import tally

count = int(sys.argv[1])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def one(client, number):
    stream = await client.chat.completions.create(
        model="gpt-mock",
        messages=[{"role": "user", "content": f"You are agent-{number}."}],
        stream=True,
        stream_options={"include_usage": True},
    )
    text = ""
    tokens = None
    async for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
        if chunk.usage:
            tokens = chunk.usage.prompt_tokens
    return text == f"Hello agent {number}." and tokens == 1234 + 10_000 * number


async def main():
    async with openai.AsyncOpenAI(max_retries=0, timeout=120) as client:
        results = await asyncio.gather(*(one(client, number) for number in range(count)), return_exceptions=True)
    tally.tell(results)


asyncio.run(main())
