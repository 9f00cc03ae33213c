"""Agents that ask the same at once, and whose tools give different results.

Usage: alike.py threads|asyncio|processes COUNT

Each calls its tool twice and then has its answer. Only the tool's results tell one from another.
"""

import asyncio
import http.client
import json
import os
import ssl
import subprocess
import sys
import threading

TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]


def begin():
    return [{"role": "user", "content": "Look twice, then say what you saw."}]


def request(messages):
    return {"model": "gpt-mock", "messages": messages, "tools": TOOLS}


def follow(answer, messages, number):
    message = answer.choices[0].message
    messages.append(message.model_dump(exclude_none=True, exclude={"refusal", "annotations"}))
    for call in message.tool_calls or []:
        json.loads(call.function.arguments)
        messages.append({"role": "tool", "tool_call_id": call.id, "content": f"thing {number}"})
    return bool(message.tool_calls)


# A hundred at once on a busy machine take their time to connect.
OPTIONS = {"max_retries": 0, "timeout": 120}


def one(client, number):
    messages = begin()
    while follow(client.chat.completions.create(**request(messages)), messages, number):
        pass


async def one_async(client, number):
    messages = begin()
    while follow(await client.chat.completions.create(**request(messages)), messages, number):
        pass


def threads(count):
    import openai

    client = openai.OpenAI(**OPTIONS)
    all_ready = threading.Barrier(count)

    def agent(number):
        all_ready.wait()
        one(client, number)

    agents = [threading.Thread(target=agent, args=(number,)) for number in range(count)]
    for agent in agents:
        agent.start()
    for agent in agents:
        agent.join()


async def tasks(count):
    import openai

    async with openai.AsyncOpenAI(**OPTIONS) as client:
        await asyncio.gather(*(one_async(client, number) for number in range(count)))


def processes(count):
    # All of them are there before the first one asks.
    agents = [
        subprocess.Popen([sys.executable, __file__, "alone", str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for number in range(count)
    ]
    for agent in agents:
        agent.stdout.readline()
    for agent in agents:
        agent.stdin.close()
    if any(agent.wait() for agent in agents):
        sys.exit("an agent failed")


def alone(number):
    """Without the package, which takes most of a second to load."""
    print("ready", flush=True)
    sys.stdin.read()
    connection = http.client.HTTPSConnection("api.openai.com", context=ssl.create_default_context(), timeout=120)
    headers = {"authorization": f"Bearer {os.environ['OPENAI_API_KEY']}", "content-type": "application/json"}
    messages = begin()
    while True:
        connection.request("POST", "/v1/chat/completions", json.dumps(request(messages)), headers)
        message = json.load(connection.getresponse())["choices"][0]["message"]
        messages.append(message)
        for call in message.get("tool_calls") or []:
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": f"thing {number}"})
        if not message.get("tool_calls"):
            return


mode, number = sys.argv[1], int(sys.argv[2])
if mode == "asyncio":
    asyncio.run(tasks(number))
else:
    {"threads": threads, "processes": processes, "alone": alone}[mode](number)
