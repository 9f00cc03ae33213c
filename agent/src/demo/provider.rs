//! The embedded provider: OpenAI's Chat Completions, streamed, over TLS on loopback.
//!
//! What it answers depends only on how many tool results the request carries.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

/// The hidden verb.
pub const VERB: &str = "__demo-provider";

/// Time between two pieces of an answer: about that of a fast model.
const PACE: Duration = Duration::from_millis(12);

/// The provider's own `main`: says its port and authority, serves until its standard input ends.
pub fn run() -> i32 {
    match serve() {
        Ok(()) => 0,
        Err(error) => {
            crate::say(&format!("the embedded provider failed: {error}"));
            125
        }
    }
}

fn serve() -> io::Result<()> {
    let (config, authority) = tls().map_err(io::Error::other)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut out = io::stdout();
    write!(out, "{}\n{authority}", listener.local_addr()?.port())?;
    out.flush()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            // A client that goes away ends its own connection and nothing else.
            thread::spawn(move || converse(client, config).ok());
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn tls() -> Result<(Arc<ServerConfig>, String), Box<dyn std::error::Error + Send + Sync>> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Trackway demo provider");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let leaf = CertificateParams::new(vec![super::HOST.to_owned()])?.signed_by(&key, &authority)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)?;
    Ok((Arc::new(config), authority.pem()))
}

fn converse(client: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
    client.set_nodelay(true)?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut client = BufReader::new(StreamOwned::new(connection, client));
    while let Some(body) = request(&mut client)? {
        let stream = client.get_mut();
        stream.write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: req_demo\r\n\
              transfer-encoding: chunked\r\n\r\n",
        )?;
        for event in answer(&body).iter().map(Value::to_string).chain(["[DONE]".to_owned()]) {
            let event = format!("data: {event}\n\n");
            write!(stream, "{:x}\r\n{event}\r\n", event.len())?;
            stream.flush()?;
            thread::sleep(PACE);
        }
        stream.write_all(b"0\r\n\r\n")?;
        stream.flush()?;
    }
    Ok(())
}

fn request(client: &mut impl BufRead) -> io::Result<Option<Value>> {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if client.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = Vec::new();
    client.take(length).read_to_end(&mut body)?;
    Ok(Some(serde_json::from_slice(&body)?))
}

/// The events of one answer.
fn answer(request: &Value) -> Vec<Value> {
    let results: Vec<&str> = request["messages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|message| message["role"] == "tool")
        .filter_map(|message| message["content"].as_str())
        .collect();
    let mut deltas = vec![json!({"role": "assistant", "content": ""})];
    let say = |text: &str| text.split_inclusive(' ').map(|word| json!({"content": word})).collect::<Vec<_>>();
    let call = |id: &str, command: &str| {
        let function = json!({"name": "shell", "arguments": ""});
        let arguments = json!({"command": command}).to_string();
        let (head, tail) = arguments.split_at_checked(8).unwrap_or((&arguments, ""));
        vec![
            json!({"tool_calls": [{"index": 0, "id": id, "type": "function", "function": function}]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": head}}]}),
            json!({"tool_calls": [{"index": 0, "function": {"arguments": tail}}]}),
        ]
    };
    let (finish, usage) = match results.as_slice() {
        [] => {
            deltas.extend(say("I will ask the system which kernel it runs."));
            deltas.extend(call("call_demo_kernel", "uname -sr"));
            ("tool_calls", (96, 31, 0))
        }
        [_] => {
            deltas.extend(say("Now I count what lies in this folder."));
            deltas.extend(call("call_demo_files", "ls -1 | wc -l"));
            ("tool_calls", (151, 33, 64))
        }
        [kernel, count, ..] => {
            let (kernel, count) = (kernel.trim(), count.trim());
            deltas.extend(say(&format!("This machine runs {kernel}, and the folder holds {count} entries.")));
            ("stop", (207, 19, 128))
        }
    };
    let chunk = |choices: Value| {
        json!({
            "id": format!("chatcmpl-demo{}", results.len()), "object": "chat.completion.chunk", "created": 1_767_225_600,
            "model": "gpt-demo-2026-01-01", "choices": choices
        })
    };
    let mut events: Vec<Value> = deltas
        .into_iter()
        .map(|delta| chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}])))
        .collect();
    events.push(chunk(json!([{"index": 0, "delta": {}, "finish_reason": finish}])));
    let mut last = chunk(json!([]));
    let (input, output, cached) = usage;
    last["usage"] = json!({
        "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": cached}
    });
    events.push(last);
    events
}
