//! The scripted agent: asks the model, runs the tools that it asks for, and prints the answer.
//!
//! It knows nothing of being observed. Like most clients it honours `HTTPS_PROXY` and `SSL_CERT_FILE`.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

/// The hidden verb.
pub const VERB: &str = "__demo-agent";

/// More turns than the script has.
const TURNS: usize = 8;

const QUESTION: &str = "Which kernel runs here, and how many entries are in this folder?";

type Client = BufReader<StreamOwned<ClientConnection, TcpStream>>;

/// The agent's own `main`. The argument is where `api.openai.com` is found.
pub fn run(mut args: impl Iterator<Item = OsString>) -> i32 {
    let address = args.next().and_then(|word| word.to_str()?.parse().ok());
    let Some(address) = address else { return 2 };
    match converse(address) {
        Ok(()) => 0,
        Err(error) => {
            writeln!(io::stderr(), "demo-agent: {error}").ok();
            1
        }
    }
}

fn converse(address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "> {QUESTION}")?;
    let mut client = connect(address)?;
    let mut messages = vec![
        json!({"role": "system", "content": "You are a helpful assistant with a shell."}),
        json!({"role": "user", "content": QUESTION}),
    ];
    for _ in 0..TURNS {
        let message = ask(&mut client, &messages)?;
        let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
        let text = message["content"].as_str().unwrap_or_default().to_owned();
        messages.push(message);
        if calls.is_empty() {
            writeln!(out, "{text}\n")?;
            return Ok(());
        }
        for call in calls {
            let arguments: Value =
                serde_json::from_str(call["function"]["arguments"].as_str().unwrap_or_default())?;
            let command = arguments["command"].as_str().unwrap_or_default();
            let output = Command::new("sh").args(["-c", command]).output()?;
            let result = String::from_utf8_lossy(&output.stdout).into_owned();
            messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": result}));
        }
    }
    Err(io::Error::other("the model never came to an end"))
}

fn connect(address: SocketAddr) -> io::Result<Client> {
    let stream = match std::env::var("HTTPS_PROXY").ok().filter(|proxy| !proxy.is_empty()) {
        None => TcpStream::connect(address)?,
        Some(proxy) => {
            let proxy = proxy.trim_start_matches("http://").trim_end_matches('/');
            let mut stream = TcpStream::connect(proxy)?;
            write!(stream, "CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte)?;
                answer.extend(byte);
            }
            if !answer.starts_with(b"HTTP/1.1 200") {
                return Err(io::Error::other("the proxy refused"));
            }
            stream
        }
    };
    stream.set_nodelay(true)?;
    let mut roots = RootCertStore::empty();
    if let Some(file) = std::env::var_os("SSL_CERT_FILE") {
        let certificates = CertificateDer::pem_file_iter(Path::new(&file)).map_err(io::Error::other)?;
        roots.add_parsable_certificates(certificates.flatten());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(super::HOST).map_err(io::Error::other)?;
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(BufReader::new(StreamOwned::new(connection, stream)))
}

/// One request; its streamed answer put together as SDKs do.
fn ask(client: &mut Client, messages: &[Value]) -> io::Result<Value> {
    let parameters =
        json!({"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]});
    let tool = json!({"name": "shell", "description": "Run a command", "parameters": parameters});
    let body = json!({
        "model": "gpt-demo", "stream": true, "stream_options": {"include_usage": true},
        "tools": [{"type": "function", "function": tool}], "messages": messages
    })
    .to_string();
    let stream = client.get_mut();
    write!(
        stream,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {}\r\nUser-Agent: demo-agent/1.0\r\nAuthorization: Bearer \
         sk-demo-0000000000000000000000\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        super::HOST,
        body.len()
    )?;
    stream.flush()?;

    let (mut text, mut calls) = (String::new(), Vec::<Value>::new());
    let mut line = String::new();
    loop {
        line.clear();
        if client.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The sizes of the chunks stand on lines of their own: only the last one matters here.
        if line == "0\r\n" {
            client.read_line(&mut line)?;
            break;
        }
        let Some(event) =
            line.strip_prefix("data: ").and_then(|data| serde_json::from_str::<Value>(data).ok())
        else {
            continue;
        };
        let delta = &event["choices"][0]["delta"];
        text.push_str(delta["content"].as_str().unwrap_or_default());
        for piece in delta["tool_calls"].as_array().into_iter().flatten() {
            match calls.last_mut().filter(|_| piece["id"].is_null()) {
                None => calls.push(piece.clone()),
                Some(call) => {
                    let more = piece["function"]["arguments"].as_str().unwrap_or_default();
                    let arguments =
                        call["function"]["arguments"].as_str().unwrap_or_default().to_owned() + more;
                    call["function"]["arguments"] = arguments.into();
                }
            }
        }
    }
    let mut message = json!({"role": "assistant", "content": text});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    Ok(message)
}
