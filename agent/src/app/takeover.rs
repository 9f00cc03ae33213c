//! Where a client does not trust the run's certificate, its connections are tunnelled, and the tap reads them instead.
//!
//! The proxy goes on to read what the same process says to other hosts. So what the tap read is kept only for hosts
//! that were refused, and nothing counts twice.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use trackway_abi::tap::watch;
use trackway_core::call::Call;
use trackway_core::flow::{Flow, Plane, Time, Unread, UnreadReason};

use crate::kernel::{Kernel, supported};
use crate::limits::{TAKEN_CALLS, TAKEN_HELD, TAKEN_HOSTS, TAKEN_WAIT_NS};
use crate::tap::{Role, Tap};

/// The hosts that were refused, with when the calls to each began that the tap read last.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    read: HashMap<String, VecDeque<Time>>,
    /// Connections that were tunnelled, in the order in which they were closed.
    held: VecDeque<Unread>,
}

impl Hosts {
    /// A client refused our certificate for a host.
    pub(super) fn refuse(&mut self, host: &str) {
        if self.read.len() < TAKEN_HOSTS {
            self.read.entry(host.to_ascii_lowercase()).or_default();
        }
    }

    /// Whether a call that the tap read is one that the proxy did not.
    pub(super) fn keeps(&mut self, call: &Call) -> bool {
        let host = call.http.host.to_ascii_lowercase();
        match self.read.get_mut(&host) {
            Some(read) => {
                if read.len() >= TAKEN_CALLS {
                    read.pop_front();
                }
                read.push_back(call.start);
                true
            }
            None => false,
        }
    }

    /// Keeps the report of a connection until it is known whether the tap has read it, which comes a little later.
    /// What needs not wait is given back.
    pub(super) fn hold(&mut self, unread: Unread) -> Option<Unread> {
        if unread.reason != UnreadReason::RefusedBefore || self.held.len() >= TAKEN_HELD {
            return Some(unread);
        }
        self.held.push_back(unread);
        None
    }

    /// The next report that has waited long enough, or any at the end, of a connection that the tap has not read.
    pub(super) fn unread(&mut self, now: Time) -> Option<Unread> {
        while let Some(first) = self.held.pop_front() {
            if now.since(first.closed) < TAKEN_WAIT_NS {
                self.held.push_front(first);
                return None;
            }
            let host = first.flow.host.as_deref().unwrap_or_default().to_ascii_lowercase();
            let mut read = self.read.get(&host).into_iter().flatten();
            if !read.any(|began| (first.flow.opened..=first.closed).contains(began)) {
                return Some(first);
            }
        }
        None
    }
}

/// Whose connections the tap is to read, when the proxy reports one that it could not.
pub(super) fn refused(unread: &Unread) -> Option<(&Flow, &str)> {
    let refused = matches!(unread.reason, UnreadReason::ClientRefused(_) | UnreadReason::RefusedBefore);
    let proxied = !matches!(unread.flow.plane, Plane::Tap(_));
    (refused && proxied).then_some(())?;
    Some((&unread.flow, unread.flow.host.as_deref()?))
}

/// Has the tap look into a process, starting it if it is the first. Why not, where it cannot.
pub(super) fn begin(tap: &mut Option<Tap>, kernel: &Arc<Mutex<Kernel>>, pid: u32) -> Result<(), String> {
    supported().map_err(|error| error.to_string())?;
    let tap = match tap {
        Some(tap) => tap,
        None => {
            let new = Tap::start(Arc::clone(kernel), Vec::new(), Role::Beside);
            tap.insert(new.map_err(|error| error.to_string())?)
        }
    };
    kernel.lock().unwrap_or_else(PoisonError::into_inner).add(pid, watch::TLS)?;
    tap.process(pid);
    Ok(())
}
