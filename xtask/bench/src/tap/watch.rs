//! The watcher's process where it is not `trackway attach`: what it is handed it drops, so that a client's cost can be
//! told by its parts.

use std::io::{BufRead, stdin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Error, Result};
use serde::{Deserialize, Serialize};
use trackway::kernel::{Kernel, Plan, Wish};
use trackway::limits::{CHUNK_BATCH, RECORD_BUSY, TAP_RING_BYTES};
use trackway::tap::{Role, Tap};
use trackway_abi::tap::watch;

use super::{sites, standing};

#[derive(clap::Args)]
#[group(skip)]
pub(crate) struct Options {
    /// The process to look into.
    pid: u32,
    /// Where its library gets probes.
    #[arg(value_enum)]
    probes: Probes,
}

/// Where probes stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Probes {
    /// Nowhere: system calls alone are looked at.
    None,
    /// Where Trackway sets them.
    Inside,
    /// At entries and on returns.
    Entry,
}

/// What the kernel's side did so far.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) fired: u64,
    pub(super) bytes: u64,
    pub(super) lost: u64,
}

/// Watches until its input ends. Says `ready`, then the totals for each line that it is given.
pub(crate) fn run(options: &Options) -> Result<()> {
    let wish = Wish { clear: true, ring_bytes: TAP_RING_BYTES, ..Wish::default() };
    let mut kernel = Kernel::open(&Plan { tap: wish, ..Plan::default() })?;
    kernel.add(options.pid, watch::TLS).map_err(Error::msg)?;
    let probes = match options.probes {
        Probes::Entry => {
            let library = standing::library(options.pid)?.path;
            Some(kernel.probe(&library, &sites::classic(&library)?).map_err(Error::msg)?)
        }
        Probes::None | Probes::Inside => None,
    };
    let kernel = Arc::new(Mutex::new(kernel));
    let tap = match options.probes {
        Probes::Inside => {
            let tap = Tap::start(Arc::clone(&kernel), Vec::new(), Role::Alone)?;
            tap.process(options.pid);
            tap.settle();
            Some(tap)
        }
        Probes::None | Probes::Entry => None,
    };
    let over = Arc::new(AtomicBool::new(false));
    let drain = std::thread::spawn({
        let (kernel, over) = (Arc::clone(&kernel), Arc::clone(&over));
        move || {
            let (mut chunks, mut facts) = (Vec::new(), Vec::new());
            while !over.load(Ordering::Relaxed) {
                lock(&kernel).chunks(CHUNK_BATCH, &mut chunks);
                lock(&kernel).drain(&mut facts);
                chunks.clear();
                facts.clear();
                std::thread::sleep(RECORD_BUSY);
            }
        }
    });
    println!("ready");
    for line in stdin().lock().lines() {
        line?;
        let totals = lock(&kernel).tap_totals();
        let totals = Totals { fired: totals.fired, bytes: totals.bytes, lost: totals.lost };
        println!("{}", serde_json::to_string(&totals)?);
    }
    over.store(true, Ordering::Relaxed);
    drain.join().map_err(|_| Error::msg("the draining thread died"))?;
    drop((tap, probes));
    Ok(())
}

fn lock(kernel: &Mutex<Kernel>) -> MutexGuard<'_, Kernel> {
    kernel.lock().unwrap_or_else(PoisonError::into_inner)
}
