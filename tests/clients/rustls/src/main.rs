//! An agent on plain rustls and a blocking socket, Chat Completions: a Rust program that keeps its symbols.
//!
//! Usage: `rustls_chat [--agent N]`

use std::io::{BufRead, BufReader, Read, Write, stdout};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

const HOST: &str = "api.openai.com";

type Connection = BufReader<StreamOwned<ClientConnection, TcpStream>>;

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    let agent = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--agent", number] => number.parse::<u64>().context("--agent takes a number")?,
        _ => 0,
    };
    // Where a test asks for it: waits until nobody holds the pipe open for writing any more.
    if let Some(gate) = env::var_os("GATE") {
        fs::read(gate)?;
    }
    let text = converse(&mut connect()?, agent)?;
    Ok(writeln!(stdout(), "{text}")?)
}

/// The roots are the system's, or those of `SSL_CERT_FILE`.
fn connect() -> Result<Connection> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), HOST.try_into()?)?;
    let socket = TcpStream::connect((HOST, 443))?;
    Ok(BufReader::new(StreamOwned::new(connection, socket)))
}

fn converse(connection: &mut Connection, agent: u64) -> Result<String> {
    let task =
        format!("Count the lines of notes.txt, then look for the missing file. You are agent-{agent}.");
    let mut messages = vec![json!({ "role": "user", "content": task })];
    let schema = json!({ "type": "object", "properties": { "command": { "type": "string" } } });
    let tool = json!({ "type": "function", "function": { "name": "run_command", "parameters": schema } });
    loop {
        let request = json!({ "model": "gpt-mock", "messages": messages, "tools": [tool] });
        let answer = exchange(connection, &request)?;
        let said = answer["choices"][0]["message"].clone();
        let calls = said["tool_calls"].as_array().cloned().unwrap_or_default();
        if calls.is_empty() {
            return Ok(said["content"].as_str().unwrap_or_default().to_owned());
        }
        messages.push(
            json!({ "role": "assistant", "content": said["content"], "tool_calls": said["tool_calls"] }),
        );
        for call in calls {
            let arguments = call["function"]["arguments"].as_str().context("no arguments")?;
            let result =
                run(serde_json::from_str::<Value>(arguments)?["command"].as_str().context("no command")?)?;
            messages.push(json!({ "role": "tool", "tool_call_id": call["id"], "content": result }));
        }
    }
}

/// One request and its answer, on a connection that stays.
fn exchange(connection: &mut Connection, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let key = env::var("OPENAI_API_KEY").context("OPENAI_API_KEY is not set")?;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let stream = connection.get_mut();
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    stream.flush()?;
    let mut length = None;
    let mut line = String::new();
    connection.read_line(&mut line)?;
    ensure!(line.starts_with("HTTP/1.1 200"), "answer {line:?}");
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        match line.trim_end().to_ascii_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = Some(value.parse::<usize>()?),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length.context("no content-length")?];
    connection.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

/// Runs a tool; the result reads `exit N`, then what it printed.
fn run(command: &str) -> Result<String> {
    let output = Command::new("sh").arg("-c").arg(format!("{{ {command}\n}} 2>&1")).output()?;
    let code = output.status.code().unwrap_or(-1);
    Ok(format!("exit {code}\n{}", String::from_utf8_lossy(&output.stdout)))
}
