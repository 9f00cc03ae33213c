"""An agent without an SDK: `aiohttp`, Chat Completions.

Usage: aiohttp_chat.py [--agent N]
"""

import argparse
import asyncio
import json
import os

import aiohttp

import shell

URL = "https://api.openai.com/v1/chat/completions"


async def converse(messages):
    tools = [{"type": "function", "function": {"name": shell.NAME, "parameters": shell.SCHEMA}}]
    headers = {"authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as session:
        while True:
            request = {"model": "gpt-mock", "messages": messages, "tools": tools}
            async with session.post(URL, json=request) as answer:
                message = (await answer.json())["choices"][0]["message"]
            messages.append({key: message[key] for key in ("role", "content", "tool_calls") if message.get(key)})
            if not message.get("tool_calls"):
                return message["content"]
            for call in message["tool_calls"]:
                result = shell.run(json.loads(call["function"]["arguments"]))
                messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", type=int, default=0)
    args = parser.parse_args()
    print(asyncio.run(converse([{"role": "user", "content": shell.task(args.agent)}])))


main()
