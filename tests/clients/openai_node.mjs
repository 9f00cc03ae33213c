// An agent on the official `openai` package for Node.
// Usage: openai_node.mjs chat|responses [--stream] [--agent N]

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const api = process.argv[2];
const stream = process.argv.includes("--stream");
const at = process.argv.indexOf("--agent");
const agent = at > 0 ? process.argv[at + 1] : "0";
const task = `Count the lines of notes.txt, then look for the missing file. You are agent-${agent}.`;
const name = "run_command";
const description = "Run a command in a shell and return its exit code and output.";
const parameters = {
  type: "object",
  properties: { command: { type: "string" } },
  required: ["command"],
  additionalProperties: false,
};

function run(text) {
  const { command } = JSON.parse(text);
  const done = spawnSync("sh", ["-c", `{ ${command}\n} 2>&1`], { encoding: "utf8", timeout: 60000 });
  return `exit ${done.status}\n${done.stdout}`;
}

async function chat(client) {
  const messages = [{ role: "user", content: task }];
  const tools = [{ type: "function", function: { name, description, parameters } }];
  for (;;) {
    const request = { model: "gpt-mock", messages, tools };
    let message;
    if (stream) {
      const answer = client.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
      message = await answer.finalMessage();
    } else {
      message = (await client.chat.completions.create(request)).choices[0].message;
    }
    const calls = message.tool_calls ?? [];
    messages.push({ role: "assistant", content: message.content, ...(calls.length ? { tool_calls: calls } : {}) });
    if (calls.length === 0) return message.content;
    for (const call of calls) {
      messages.push({ role: "tool", tool_call_id: call.id, content: run(call.function.arguments) });
    }
  }
}

async function responses(client) {
  const input = [{ role: "user", content: task }];
  const tools = [{ type: "function", name, description, parameters, strict: true }];
  for (;;) {
    const request = { model: "gpt-mock", input, tools };
    let response;
    if (stream) {
      for await (const event of await client.responses.create({ ...request, stream: true })) {
        if (event.type === "response.completed") response = event.response;
      }
    } else {
      response = await client.responses.create(request);
    }
    input.push(...response.output);
    const calls = response.output.filter((item) => item.type === "function_call");
    if (calls.length === 0) return response.output[0].content[0].text;
    for (const call of calls) {
      input.push({ type: "function_call_output", call_id: call.call_id, output: run(call.arguments) });
    }
  }
}

// Where a test asks for it: waits until nobody holds the pipe open for writing any more.
if (process.env.GATE) readFileSync(process.env.GATE);

try {
  const client = new OpenAI();
  console.log(await (api === "chat" ? chat(client) : responses(client)));
} catch (error) {
  console.error(`failed: ${error.name}: ${error.message}`);
  process.exit(1);
}
