"""An MCP server on standard input and output that adds two numbers; `expr` does it, in a process of its own."""

import json
import subprocess
import sys

NUMBER = {"type": "integer"}
ADD = {
    "name": "add",
    "description": "Adds two numbers.",
    "inputSchema": {"type": "object", "properties": {"a": NUMBER, "b": NUMBER}, "required": ["a", "b"]},
}


def add(arguments):
    done = subprocess.run(
        ["expr", str(arguments["a"]), "+", str(arguments["b"])], stdout=subprocess.PIPE, text=True, check=True
    )
    return {"content": [{"type": "text", "text": done.stdout.strip()}], "isError": False}


def answer(method, params):
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "adder", "version": "1"},
        }
    if method == "tools/list":
        return {"tools": [ADD]}
    if method == "tools/call" and params["name"] == "add":
        return add(params["arguments"])
    return {} if method == "ping" else None


for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message or "method" not in message:
        continue
    result = answer(message["method"], message.get("params", {}))
    reply = {"jsonrpc": "2.0", "id": message["id"]}
    if result is None:
        reply["error"] = {"code": -32601, "message": "not here"}
    else:
        reply["result"] = result
    print(json.dumps(reply), flush=True)
