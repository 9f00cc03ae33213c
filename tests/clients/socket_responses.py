"""An agent on a WebSocket: Responses, the server keeps the history.

Usage: socket_responses.py [--agent N]
"""

import argparse
import json
import os

from websockets.sync.client import connect

import shell

URL = "wss://api.openai.com/v1/responses"
TOOLS = [
    {"type": "function", "name": shell.NAME, "description": shell.DESCRIPTION, "parameters": shell.SCHEMA}
]


def answer(socket):
    """Reads events up to the end of one answer."""
    while True:
        event = json.loads(socket.recv())
        if event["type"] == "error":
            raise RuntimeError(event)
        if event["type"] == "response.completed":
            return event["response"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", type=int, default=0)
    args = parser.parse_args()
    items = [{"type": "message", "role": "user", "content": shell.task(args.agent)}]
    request = {"type": "response.create", "model": "gpt-mock", "tools": TOOLS, "stream": True}
    headers = {"authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    with connect(URL, additional_headers=headers) as socket:
        while True:
            socket.send(json.dumps({**request, "input": items}))
            response = answer(socket)
            request["previous_response_id"] = response["id"]
            calls = [item for item in response["output"] if item["type"] == "function_call"]
            if not calls:
                print(response["output"][0]["content"][0]["text"])
                return
            items = [
                {
                    "type": "function_call_output",
                    "call_id": call["call_id"],
                    "output": shell.run(json.loads(call["arguments"])),
                }
                for call in calls
            ]


main()
