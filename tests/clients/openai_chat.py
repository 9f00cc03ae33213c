"""An agent on the official `openai` package, Chat Completions.

Usage: openai_chat.py [--async] [--stream] [--usage] [--agent N] [--turns N]
"""

import argparse
import asyncio
import json
import sys

import openai

import shell

TOOLS = [
    {
        "type": "function",
        "function": {"name": shell.NAME, "description": shell.DESCRIPTION, "parameters": shell.SCHEMA},
    }
]


def options(args, messages):
    request = {"model": "gpt-mock", "messages": messages, "tools": TOOLS, "temperature": 0.25, "seed": 7}
    if args.stream:
        request["stream"] = True
        if args.usage:
            request["stream_options"] = {"include_usage": True}
    return request


class Assembled:
    """Puts a streamed message together again."""

    def __init__(self):
        self.content = ""
        self.calls = {}

    def add(self, chunk):
        for choice in chunk.choices:
            self.content += choice.delta.content or ""
            for part in choice.delta.tool_calls or []:
                call = self.calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
                call["id"] = part.id or call["id"]
                call["name"] = part.function.name or call["name"]
                call["arguments"] += part.function.arguments or ""

    def message(self):
        calls = [
            {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
            for c in self.calls.values()
        ]
        message = {"role": "assistant", "content": self.content}
        if calls:
            message["tool_calls"] = calls
        return message


def follow(message, messages):
    """Runs the tools that were asked for; false when there were none."""
    messages.append(message)
    for call in message.get("tool_calls") or []:
        result = shell.run(json.loads(call["function"]["arguments"]))
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    return bool(message.get("tool_calls"))


def plain(completion):
    return completion.choices[0].message.model_dump(exclude_none=True, exclude={"refusal", "annotations"})


def sync(args, messages):
    client = openai.OpenAI()
    while True:
        answer = client.chat.completions.create(**options(args, messages))
        if args.stream:
            assembled = Assembled()
            for chunk in answer:
                assembled.add(chunk)
            message = assembled.message()
        else:
            message = plain(answer)
        if not follow(message, messages):
            return message["content"]


async def asynchronous(args, messages):
    async with openai.AsyncOpenAI() as client:
        while True:
            answer = await client.chat.completions.create(**options(args, messages))
            if args.stream:
                assembled = Assembled()
                async for chunk in answer:
                    assembled.add(chunk)
                message = assembled.message()
            else:
                message = plain(answer)
            if not follow(message, messages):
                return message["content"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--async", dest="asynchronous", action="store_true")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--usage", action="store_true")
    parser.add_argument("--agent", type=int, default=0)
    args = parser.parse_args()
    messages = [
        {"role": "system", "content": "You are a careful test."},
        {"role": "user", "content": shell.task(args.agent)},
    ]
    try:
        print(asyncio.run(asynchronous(args, messages)) if args.asynchronous else sync(args, messages))
    except (openai.APIError, OSError) as error:
        sys.exit(f"failed: {type(error).__name__}: {error}")


main()
