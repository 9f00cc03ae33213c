"""An agent on the official `openai` package, Responses.

Usage: openai_responses.py [--async] [--stream] [--chain] [--agent N]
With --chain the server keeps the history (`previous_response_id`), else it is sent again.
"""

import argparse
import asyncio
import json
import sys

import openai

import shell

TOOLS = [
    {"type": "function", "name": shell.NAME, "description": shell.DESCRIPTION, "parameters": shell.SCHEMA}
]


class Agent:
    def __init__(self, args):
        self.args = args
        self.history = [{"role": "user", "content": shell.task(args.agent)}]
        self.previous = None

    def options(self):
        request = {
            "model": "gpt-mock",
            "instructions": "You are a careful test.",
            "input": self.history,
            "tools": TOOLS,
            "stream": self.args.stream,
        }
        if self.previous:
            request["previous_response_id"] = self.previous
        return request

    def follow(self, response):
        """Takes an answer; gives the last text when no tool is asked for."""
        self.previous = response.id if self.args.chain else None
        items = [item.model_dump(exclude_none=True) for item in response.output]
        self.history = [] if self.args.chain else self.history + items
        calls = [item for item in items if item["type"] == "function_call"]
        for call in calls:
            result = shell.run(json.loads(call["arguments"]))
            self.history.append(
                {"type": "function_call_output", "call_id": call["call_id"], "output": result}
            )
        return None if calls else response.output_text


def sync(agent):
    client = openai.OpenAI()
    while True:
        answer = client.responses.create(**agent.options())
        if agent.args.stream:
            for event in answer:
                if event.type == "response.completed":
                    response = event.response
        else:
            response = answer
        text = agent.follow(response)
        if text is not None:
            return text


async def asynchronous(agent):
    async with openai.AsyncOpenAI() as client:
        while True:
            answer = await client.responses.create(**agent.options())
            if agent.args.stream:
                async for event in answer:
                    if event.type == "response.completed":
                        response = event.response
            else:
                response = answer
            text = agent.follow(response)
            if text is not None:
                return text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--async", dest="asynchronous", action="store_true")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--chain", action="store_true")
    parser.add_argument("--agent", type=int, default=0)
    args = parser.parse_args()
    agent = Agent(args)
    try:
        print(asyncio.run(asynchronous(agent)) if args.asynchronous else sync(agent))
    except (openai.APIError, OSError) as error:
        sys.exit(f"failed: {type(error).__name__}: {error}")


main()
