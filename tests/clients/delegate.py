"""An agent that has another do a part of its work: a tool call whose argument is the other's task."""

import json

import openai

TOOL = {
    "type": "function",
    "function": {"name": "delegate", "parameters": {"type": "object", "properties": {"task": {"type": "string"}}}},
}
client = openai.OpenAI()


def converse(messages, tools):
    while True:
        more = {"tools": tools} if tools else {}
        answer = client.chat.completions.create(model="gpt-mock", messages=messages, **more)
        message = answer.choices[0].message
        messages.append(message.model_dump(exclude_none=True, exclude={"refusal", "annotations"}))
        if not message.tool_calls:
            return message.content
        for call in message.tool_calls:
            task = json.loads(call.function.arguments)["task"]
            orders = [{"role": "system", "content": "You do as you are told."}, {"role": "user", "content": task}]
            result = converse(orders, None)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


print(converse([{"role": "user", "content": "Which of the two libraries is better kept?"}], [TOOL]))
