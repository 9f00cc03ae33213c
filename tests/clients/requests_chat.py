"""An agent without an SDK: `requests`, Chat Completions, and a plain call to another service.

Usage: requests_chat.py [--agent N]
"""

import argparse
import json
import os

import requests

import shell

URL = "https://api.openai.com/v1/chat/completions"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", type=int, default=0)
    args = parser.parse_args()
    session = requests.Session()
    session.headers["authorization"] = f"Bearer {os.environ['OPENAI_API_KEY']}"
    messages = [{"role": "user", "content": shell.task(args.agent)}]
    tools = [{"type": "function", "function": {"name": shell.NAME, "parameters": shell.SCHEMA}}]
    session.get(
        "https://tool.example/weather",
        params={"city": "Ulm", "api_key": os.environ["OPENAI_API_KEY"]},
        timeout=30,
    ).raise_for_status()
    while True:
        answer = session.post(URL, json={"model": "gpt-mock", "messages": messages, "tools": tools}, timeout=30)
        answer.raise_for_status()
        message = answer.json()["choices"][0]["message"]
        messages.append({key: message[key] for key in ("role", "content", "tool_calls") if message.get(key)})
        if not message.get("tool_calls"):
            print(message["content"])
            return
        for call in message["tool_calls"]:
            result = shell.run(json.loads(call["function"]["arguments"]))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})


main()
