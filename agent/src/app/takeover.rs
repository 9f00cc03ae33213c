//! Where a client does not trust the run's certificate, its connections are tunnelled, and the tap reads them instead.
//!
//! The proxy goes on to read what the same process says to other hosts. So what the tap read is kept only for hosts
//! that were refused, and nothing counts twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use trackway_abi::tap::watch;
use trackway_core::call::Call;
use trackway_core::flow::{Flow, Plane, Time, Unread, UnreadReason};

use crate::kernel::{Kernel, supported};
use crate::limits::TAKEN_HOSTS;
use crate::tap::{Role, Tap};

/// The hosts that were refused, with when the tap last read a call to each.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<String, Option<Time>>);

impl Hosts {
    /// A client refused our certificate for a host.
    pub(super) fn refuse(&mut self, host: &str) {
        if self.0.len() < TAKEN_HOSTS {
            self.0.entry(host.to_ascii_lowercase()).or_default();
        }
    }

    /// Whether a call that the tap read is one that the proxy did not.
    pub(super) fn keeps(&mut self, call: &Call) -> bool {
        let host = call.http.host.to_ascii_lowercase();
        match self.0.get_mut(&host) {
            Some(read) => {
                *read = Some(call.end);
                true
            }
            None => false,
        }
    }

    /// Whether what passed on a tunnelled connection was read after all.
    pub(super) fn has_read(&self, unread: &Unread) -> bool {
        let host = unread.flow.host.as_deref().unwrap_or_default().to_ascii_lowercase();
        let read = self.0.get(&host).copied().flatten();
        unread.reason == UnreadReason::RefusedBefore && read.is_some_and(|read| read >= unread.flow.opened)
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
