//! An MCP server over streamable HTTP: one tool, `weather`, answered in JSON.

use serde_json::{Value, json};

/// Where it is found, on any host.
pub(super) const PATH: &str = "/mcp";
/// The session that it gives to every client.
pub const SESSION: &str = "session-mock-0001";

/// The answer to a message; `None` for what has none.
pub(super) fn answer(message: &Value) -> Option<Value> {
    let id = message.get("id")?;
    let params = &message["params"];
    let result = match message["method"].as_str()? {
        "initialize" => json!({
            "protocolVersion": params["protocolVersion"], "capabilities": { "tools": {} },
            "serverInfo": { "name": "web", "version": "1" },
        }),
        "tools/list" => json!({ "tools": [{
            "name": "weather", "description": "Tells the weather of a city.",
            "inputSchema": {
                "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"],
            },
        }] }),
        "tools/call" if params["name"] == "weather" => {
            let city = params["arguments"]["city"].as_str().unwrap_or_default();
            json!({ "content": [{ "type": "text", "text": weather(city) }], "isError": false })
        }
        "ping" => json!({}),
        _ => {
            let error = json!({ "code": -32601, "message": "not here" });
            return Some(json!({ "jsonrpc": "2.0", "id": id, "error": error }));
        }
    };
    Some(json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

/// What the tool says of a city.
pub fn weather(city: &str) -> String {
    format!("{city}: 21 degrees")
}
