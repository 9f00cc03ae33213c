"""An agent on the official `anthropic` package.

Usage: anthropic_messages.py [--async] [--stream] [--agent N]
"""

import argparse
import asyncio
import sys

import anthropic

import shell

TOOLS = [{"name": shell.NAME, "description": shell.DESCRIPTION, "input_schema": shell.SCHEMA}]


def options(messages):
    return {
        "model": "claude-mock",
        "max_tokens": 1000,
        "system": "You are a careful test.",
        "messages": messages,
        "tools": TOOLS,
    }


def follow(message, messages):
    content = [block.model_dump(exclude_none=True, include={"type", "text", "id", "name", "input"}) for block in message.content]
    messages.append({"role": "assistant", "content": content})
    results = []
    for block in content:
        if block["type"] == "tool_use":
            result = shell.run(block["input"])
            results.append(
                {
                    "type": "tool_result",
                    "tool_use_id": block["id"],
                    "content": result,
                    "is_error": not result.startswith("exit 0"),
                }
            )
    if results:
        messages.append({"role": "user", "content": results})
    return bool(results)


def sync(args, messages):
    client = anthropic.Anthropic()
    while True:
        if args.stream:
            with client.messages.stream(**options(messages)) as stream:
                message = stream.get_final_message()
        else:
            message = client.messages.create(**options(messages))
        if not follow(message, messages):
            return message.content[0].text


async def asynchronous(args, messages):
    async with anthropic.AsyncAnthropic() as client:
        while True:
            if args.stream:
                async with client.messages.stream(**options(messages)) as stream:
                    message = await stream.get_final_message()
            else:
                message = await client.messages.create(**options(messages))
            if not follow(message, messages):
                return message.content[0].text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--async", dest="asynchronous", action="store_true")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--agent", type=int, default=0)
    args = parser.parse_args()
    messages = [{"role": "user", "content": shell.task(args.agent)}]
    try:
        print(asyncio.run(asynchronous(args, messages)) if args.asynchronous else sync(args, messages))
    except (anthropic.APIError, OSError) as error:
        sys.exit(f"failed: {type(error).__name__}: {error}")


main()
