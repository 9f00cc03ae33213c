//! The `trackway` binary.

use std::ffi::OsStr;
use std::process::exit;

use clap::Parser;
use trackway::cli::{Cli, Verb};
use trackway::{app, decode, demo, doctor, guard, launch, look, say, settings, top};

fn main() {
    let mut args = std::env::args_os().skip(1);
    // The images of our own processes come before everything: they are in the way of the command's start.
    let code = match args.next().as_deref().and_then(OsStr::to_str) {
        Some(launch::stage::VERB) => launch::stage::run(args),
        Some(guard::VERB) => guard::run(args),
        Some(demo::provider::VERB) => demo::provider::run(),
        Some(demo::agent::VERB) => demo::agent::run(args),
        _ => command_line(),
    };
    exit(code)
}

fn command_line() -> i32 {
    let cli = Cli::parse();
    diagnostics();
    match cli.verb {
        Verb::Run(options) => app::run(&options, app::Extra::default()).unwrap_or_else(|error| {
            say(&error.to_string());
            error.exit_code()
        }),
        Verb::Attach(options) => app::attach::run(&options).unwrap_or_else(|error| {
            say(&error.to_string());
            error.exit_code()
        }),
        Verb::Demo(options) => demo::run(&options).unwrap_or_else(|error| {
            say(&error.to_string());
            error.exit_code()
        }),
        Verb::Top(options) => top::run(&options),
        Verb::Runs(options) => look::runs::run(&options),
        Verb::Show(options) => look::show::run(&options),
        Verb::Find(options) => look::find::run(&options),
        Verb::Export(options) => look::export::run(&options),
        Verb::Decode(options) => decode::run(&options),
        Verb::Doctor(options) => doctor::run(&options),
    }
}

/// Our own diagnostics: off unless `TRACKWAY_LOG` asks for them, in the words of tracing-subscriber's `EnvFilter`.
fn diagnostics() {
    if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_env(settings::LOG) {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
}
