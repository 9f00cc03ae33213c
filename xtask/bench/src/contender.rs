//! What is compared: no proxy, nginx, a bare relay, and Trackway in three settings.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::cpu;
use crate::load::{Found, Shape};

/// One way from the client to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Direct,
    Nginx,
    Relay,
    /// `trackway run`, by what it does with the bytes: nothing, hand them over, read them.
    Trackway(Capture),
}

/// Values of `TRACKWAY_CAPTURE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capture {
    Off,
    Tap,
    Read,
}

pub(crate) const ALL: [Contender; 6] = [
    Contender::Direct,
    Contender::Nginx,
    Contender::Relay,
    Contender::Trackway(Capture::Off),
    Contender::Trackway(Capture::Tap),
    Contender::Trackway(Capture::Read),
];

impl Contender {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Contender::Direct => "direct",
            Contender::Nginx => "nginx",
            Contender::Relay => "bare relay",
            Contender::Trackway(Capture::Off) => "trackway, tap off",
            Contender::Trackway(Capture::Tap) => "trackway, tap on",
            Contender::Trackway(Capture::Read) => "trackway, tap and decoding",
        }
    }
}

/// A child that ends with its owner.
struct Server {
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM, not SIGKILL: nginx's master takes its worker along. Our own roles end at once.
        let pid = Pid::from_raw(self.child.id().cast_signed());
        if signal::kill(pid, Signal::SIGTERM).is_ok() {
            drop(self.child.wait());
        }
    }
}

/// The servers of a benchmark run, and how to send load through each contender.
pub(crate) struct Arena {
    folder: PathBuf,
    trackway: PathBuf,
    origin: u16,
    nginx: Option<(u16, Vec<u32>)>,
    relay: (u16, Vec<u32>),
    _servers: Vec<Server>,
}

impl Arena {
    /// Starts the origin, the relay and nginx (where it is installed).
    pub(crate) fn open(folder: &Path, trackway: &Path) -> Result<Self> {
        let (origin_server, origin) = own(&["origin".to_owned(), folder.display().to_string()])?;
        let (relay_server, relay) =
            own(&["relay".to_owned(), folder.display().to_string(), origin.to_string()])?;
        let relay = (relay, vec![relay_server.child.id()]);
        let mut servers = vec![origin_server, relay_server];
        let nginx = match nginx(folder, origin)? {
            Some((server, port, pids)) => {
                servers.push(server);
                Some((port, pids))
            }
            None => None,
        };
        let (folder, trackway) = (folder.to_path_buf(), trackway.to_path_buf());
        Ok(Self { folder, trackway, origin, nginx, relay, _servers: servers })
    }

    /// Sends one round of load through a contender; `None` where it is not there.
    pub(crate) fn load(
        &self,
        contender: Contender,
        shape: Shape,
        count: usize,
        lanes: usize,
    ) -> Result<Option<Found>> {
        let me = std::env::current_exe()?;
        let shape = clap::ValueEnum::to_possible_value(&shape).context("shape")?.get_name().to_owned();
        let mut load = vec![me.display().to_string(), "load".to_owned()];
        let (port, proxy) = match contender {
            Contender::Nginx => match &self.nginx {
                Some((port, pids)) => (*port, pids.as_slice()),
                None => return Ok(None),
            },
            Contender::Relay => (self.relay.0, self.relay.1.as_slice()),
            Contender::Direct | Contender::Trackway(_) => (self.origin, [].as_slice()),
        };
        load.extend([port.to_string(), shape, format!("--count={count}"), format!("--lanes={lanes}")]);
        load.extend(proxy.iter().map(|pid| format!("--proxy={pid}")));
        let mut command = match contender {
            Contender::Trackway(capture) => {
                let mut command = Command::new(&self.trackway);
                command.args(["run", "--quiet", "--"]).args(&load);
                command.env(
                    "TRACKWAY_CAPTURE",
                    match capture {
                        Capture::Off => "off",
                        Capture::Tap => "tap",
                        Capture::Read => "read",
                    },
                );
                command
            }
            _ => {
                let mut command = Command::new(&load[0]);
                command.args(&load[1..]);
                if contender == Contender::Direct {
                    command.arg("--direct");
                }
                command
            }
        };
        command.env("TRACKWAY_STORE", self.folder.join("runs.db"));
        command.env("SSL_CERT_FILE", self.folder.join("ca.pem")).stderr(Stdio::inherit());
        pinned(&mut command);
        let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("{}: {shape:?} ended with {}", contender.name(), output.status, shape = shape_of(&load));
        }
        Ok(Some(serde_json::from_str(text.trim()).with_context(|| format!("load printed {text:?}"))?))
    }

    /// Milliseconds that a command takes, alone and under `trackway run`.
    pub(crate) fn startup(&self) -> Result<(Duration, Duration)> {
        let time = |command: &mut Command| -> Result<Duration> {
            let begun = Instant::now();
            command.stdout(Stdio::null()).status()?;
            Ok(begun.elapsed())
        };
        let alone = time(&mut Command::new("true"))?;
        let wrapped = time(Command::new(&self.trackway).args(["run", "--quiet", "--", "true"]))?;
        Ok((alone, wrapped))
    }
}

fn shape_of(load: &[String]) -> &str {
    load.get(3).map_or("", String::as_str)
}

/// Puts a command on the proxies' core; the load moves itself to its own.
fn pinned(command: &mut Command) {
    // SAFETY: between fork and exec only sched_setaffinity(2) is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            cpu::pin(cpu::PROXY_CORE);
            Ok(())
        });
    }
}

/// Lets a server end with the benchmark, also where that is killed.
pub(crate) fn mortal(command: &mut Command) {
    // SAFETY: between fork and exec only prctl(2) is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?));
    }
}

/// Starts a role of this program; the first line of its output is its port.
fn own(arguments: &[String]) -> Result<(Server, u16)> {
    let mut child = Command::new(std::env::current_exe()?).args(arguments).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("no output")?;
    let server = Server { child };
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let port = line.trim().parse().with_context(|| format!("{arguments:?} said {line:?}"))?;
    Ok((server, port))
}

/// Starts nginx as a TLS-to-TLS reverse proxy with kept connections to the origin, one worker.
fn nginx(folder: &Path, origin: u16) -> Result<Option<(Server, u16, Vec<u32>)>> {
    let Some(binary) = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|p| Path::new(p).exists())
    else {
        eprintln!("nginx is not installed (apt-get install nginx-light): left out");
        return Ok(None);
    };
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let dir = folder.display();
    let config = folder.join("nginx.conf");
    fs::write(
        &config,
        format!(
            "daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx.log warn;\n\
             events {{ worker_connections 8192; }}\n\
             http {{\n\
             access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;\n\
             fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n\
             upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; keepalive_requests 1000000; }}\n\
             server {{\n\
             listen 127.0.0.1:{port} ssl; ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;\n\
             keepalive_requests 1000000; client_max_body_size 16m; client_body_buffer_size 2m;\n\
             location / {{ proxy_pass https://origin; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_set_header Host $host; proxy_buffering off;\n\
             proxy_read_timeout 1h; proxy_ssl_server_name on; proxy_ssl_name {host};\n\
             proxy_ssl_verify on; proxy_ssl_trusted_certificate {dir}/ca.pem; }} }} }}\n",
            host = crate::pki::HOST
        ),
    )?;
    let mut command = Command::new(binary);
    command.arg("-e").arg(folder.join("nginx.log")).arg("-c").arg(&config).arg("-p").arg(folder);
    pinned(&mut command);
    mortal(&mut command);
    let child = command.spawn()?;
    let server = Server { child };
    let deadline = Instant::now() + Duration::from_secs(10);
    let master = server.child.id();
    // The worker does the work: wait for it, and for the listener that it serves.
    let worker = loop {
        let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children"))?;
        let worker = children.split_whitespace().find_map(|pid| pid.parse::<u32>().ok());
        if let Some(worker) = worker
            && std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        {
            break worker;
        }
        if Instant::now() > deadline {
            bail!("nginx does not listen; see {dir}/nginx.log");
        }
        std::thread::yield_now();
    };
    let pids = vec![master, worker];
    Ok(Some((server, port, pids)))
}
