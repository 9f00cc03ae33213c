//! What Trackway costs.
//!
//! Every figure is taken in interleaved rounds (direct, nginx, bare relay, Trackway in three settings, then
//! again), with the proxy on one core and the client and origin on another, and is printed as a ratio too,
//! because machines differ and are noisy. The load is shaped like the real one: OpenAI chat requests over TLS.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

mod contender;
mod cpu;
mod decode;
mod http;
mod load;
mod origin;
mod pki;
mod relay;
mod report;
mod store;
mod suite;
mod tap;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about, long_about = None)]
struct Command {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    suite: suite::Options,
}

/// The roles that the suite starts in processes of their own.
#[derive(Subcommand)]
enum Role {
    /// What reading costs: megabytes a second on one core
    Decode(decode::Options),
    /// How fast a run is found among twenty thousand
    Store(store::Options),
    /// What the tap costs a client of OpenSSL, beside probes at entries and returns and beside instrumented SDKs
    Tap(tap::Options),
    #[command(hide = true)]
    TapWatch(tap::watch::Options),
    #[command(hide = true)]
    Origin(origin::Options),
    #[command(hide = true)]
    Relay(relay::Options),
    #[command(hide = true)]
    Load(load::Options),
}

fn main() -> Result<()> {
    let options = Command::parse();
    match options.role {
        None => suite::run(&options.suite),
        Some(Role::Decode(options)) => decode::run(&options),
        Some(Role::Store(options)) => store::run(&options),
        Some(Role::Tap(options)) => tap::run(&options),
        Some(Role::TapWatch(options)) => tap::watch::run(&options),
        Some(Role::Origin(options)) => single_thread(origin::serve(options)),
        Some(Role::Relay(options)) => single_thread(relay::serve(options)),
        Some(Role::Load(options)) => single_thread(load::run(options)),
    }
}

fn single_thread(future: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
