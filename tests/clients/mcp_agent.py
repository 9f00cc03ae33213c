"""An agent on the official `openai` package whose tools are those of an MCP server that it starts.

Usage: mcp_agent.py COMMAND…
"""

import itertools
import json
import subprocess
import sys

import openai


class Server:
    """An MCP server on pipes."""

    def __init__(self, words):
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ids = itertools.count(1)
        info = {"name": "mcp_agent", "version": "1"}
        self.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info})
        self.send({"method": "notifications/initialized"})

    def send(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        number = next(self.ids)
        self.send({"id": number, "method": method, "params": params})
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("id") == number:
                return message["result"]
        sys.exit("the server has gone")

    def offered(self):
        for tool in self.ask("tools/list", {})["tools"]:
            function = {"name": f"mcp__adder__{tool['name']}", "parameters": tool["inputSchema"]}
            yield {"type": "function", "function": function}

    def call(self, function):
        name = function.name.removeprefix("mcp__adder__")
        result = self.ask("tools/call", {"name": name, "arguments": json.loads(function.arguments)})
        return result["content"][0]["text"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def converse(client, server):
    tools = list(server.offered())
    messages = [{"role": "user", "content": "What are two and three, and forty and two? You are agent-4."}]
    while True:
        answer = client.chat.completions.create(model="gpt-mock", messages=messages, tools=tools)
        message = answer.choices[0].message
        messages.append(message.model_dump(exclude_none=True, exclude={"refusal", "annotations"}))
        if not message.tool_calls:
            return message.content
        for call in message.tool_calls:
            result = server.call(call.function)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def main():
    server = Server(sys.argv[1:])
    print(converse(openai.OpenAI(), server))
    server.close()


main()
