//! A network and mount namespace that lives as long as one test.
//!
//! A thread enters the namespaces and stays; listeners are bound and commands are started on that thread, so
//! they belong to the namespace while the test itself stays outside. `/sys` is left as it is, because
//! cgroup2 is found below it (`ip netns exec` would mount another one over it).

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Where the provider listens (RFC 5737, documentation only).
pub const ORIGIN: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10));
/// The same over IPv6 (RFC 3849).
pub const ORIGIN6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10));
/// An address at which nothing listens.
pub const SILENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 11));

/// Names of real services that clients call; all of them lead to the provider.
const NAMES: &[&str] = &[
    "api.openai.com",
    "api.anthropic.com",
    "chatgpt.com",
    "ab.chatgpt.com",
    "models.opencode.ai",
    "models.dev",
    "opencode.ai",
    "registry.npmjs.org",
    "github.com",
    "api.github.com",
    "tool.example",
    "mcp.example",
    "pinned.example",
    "untrusted.example",
    "expired.example",
    "redis.example",
];

/// Where the installed clients are found inside: the checkout itself may lie in a folder that only root enters.
pub const CLIENTS: &str = "/mnt/clients";
/// Where the binary under test is found inside.
pub const BINARY: &str = "/mnt/trackway";

const STORE: &str = "/etc/ssl/certs";

type Task = Box<dyn FnOnce() + Send>;

/// One namespace.
#[derive(Debug)]
pub struct Namespace {
    tasks: mpsc::Sender<Task>,
    folder: TempDir,
}

impl Namespace {
    /// Makes a namespace in which `root` (PEM) is one of the system's roots.
    pub async fn new(root: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("trackway-test-").tempdir()?;
        open_to_all(folder.path())?;
        let hosts = folder.path().join("hosts");
        fs::write(&hosts, hosts_file())?;
        let store = system_store(folder.path(), root)?;
        let (tasks, inbox) = mpsc::channel::<Task>();
        let (ready, entered) = oneshot::channel();
        let runtime = Handle::current();
        std::thread::Builder::new().name("namespace".to_owned()).spawn(move || {
            let _runtime = runtime.enter();
            let outcome = enter(&hosts, &store);
            let failed = outcome.is_err();
            if ready.send(outcome).is_err() || failed {
                return;
            }
            while let Ok(task) = inbox.recv() {
                task();
            }
        })?;
        entered.await.context("the namespace's thread ended")??;
        Ok(Self { tasks, folder })
    }

    /// Runs `action` on the thread that is inside.
    pub async fn inside<T: Send + 'static>(&self, action: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let task: Task = Box::new(move || {
            if sender.send(action()).is_err() {
                // The test that asked has ended.
            }
        });
        if self.tasks.send(task).is_err() {
            bail!("the namespace's thread ended");
        }
        receiver.await.context("the namespace's thread ended")
    }

    /// A listening socket inside.
    pub async fn listen(&self, address: SocketAddr) -> Result<tokio::net::TcpListener> {
        let listener = self.inside(move || TcpListener::bind(address)).await??;
        listener.set_nonblocking(true)?;
        Ok(tokio::net::TcpListener::from_std(listener)?)
    }

    /// What is found in `folder` inside.
    pub async fn list(&self, folder: &'static str) -> Result<Vec<String>> {
        let names = move || -> std::io::Result<Vec<String>> {
            fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        };
        Ok(self.inside(names).await??)
    }

    /// A folder that goes away with the namespace; everybody may enter it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn hosts_file() -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost\n");
    for name in NAMES {
        text.push_str(&format!("{ORIGIN} {name}\n"));
    }
    text.push_str(&format!("{SILENT} down.example\n{ORIGIN6} six.example\n"));
    text
}

/// Copies the system's certificate store and adds `root`, in the bundle and under its subject's hash.
fn system_store(folder: &Path, root: &str) -> Result<PathBuf> {
    let copy = folder.join("certs");
    run("cp", &["-a", STORE, &copy.to_string_lossy()])?;
    let single = copy.join("mock-provider.pem");
    fs::write(&single, root)?;
    let bundle = copy.join("ca-certificates.crt");
    let mut text = fs::read_to_string(&bundle).context("this is not a Debian certificate store")?;
    text.push_str(root);
    fs::remove_file(&bundle)?;
    fs::write(&bundle, text)?;
    let hash = run("openssl", &["x509", "-noout", "-subject_hash", "-in", &single.to_string_lossy()])?;
    std::os::unix::fs::symlink("mock-provider.pem", copy.join(format!("{}.0", hash.trim())))?;
    Ok(copy)
}

fn enter(hosts: &Path, store: &Path) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).context("unshare")?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("private mounts")?;
    mount(Some(hosts), "/etc/hosts", none, MsFlags::MS_BIND, none).context("hosts file")?;
    mount(Some(store), STORE, none, MsFlags::MS_BIND, none).context("certificate store")?;
    // What a run leaves behind there is then its own.
    mount(none, "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=755")).context("/run")?;
    run("ip", &["link", "set", "lo", "up"])?;
    mount(none, "/mnt", Some("tmpfs"), MsFlags::empty(), Some("mode=755")).context("/mnt")?;
    let clients = crate::clients::installed();
    if clients.exists() {
        fs::create_dir(CLIENTS)?;
        mount(Some(&clients), CLIENTS, none, MsFlags::MS_BIND, none).context("clients")?;
    }
    let binary = crate::trackway::built();
    if binary.exists() {
        fs::write(BINARY, "")?;
        mount(Some(&binary), BINARY, none, MsFlags::MS_BIND, none).context("binary")?;
    }
    for address in [ORIGIN, SILENT] {
        run("ip", &["address", "add", &format!("{address}/32"), "dev", "lo"])?;
    }
    run("ip", &["address", "add", &format!("{ORIGIN6}/128"), "dev", "lo", "nodad"])?;
    Ok(())
}

fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output =
        Command::new(program).args(arguments).output().with_context(|| format!("starting {program}"))?;
    if !output.status.success() {
        bail!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Lets an unprivileged user of the same test enter the folder.
pub fn open_to_all(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o777))?)
}
