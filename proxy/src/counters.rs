//! What the proxy did, in numbers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A reading of every counter, since the start.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters { $($(#[$doc])* pub $name: u64,)* }

        #[derive(Debug, Default)]
        pub(crate) struct Counts { $(pub(crate) $name: Count,)* }

        impl Counts {
            pub(crate) fn read(&self) -> Counters {
                Counters { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// Connections accepted.
    accepted,
    /// Connections that have ended.
    ended,
    /// Times that accepting waited because [`crate::limits::CONNECTIONS`] were open.
    full,
    /// Times that the system refused to accept.
    accept_errors,
    /// Connections whose client or destination could not be found out; they were reset.
    unresolved,
    /// TLS connections that were read.
    intercepted,
    /// Connections without TLS that were read.
    cleartext,
    /// Connections that were read and to whose requests something was added.
    rewritten,
    /// Connections that passed unread.
    tunnelled,
    /// Clients that refused our certificate.
    refused,
    /// Origins that could not be reached.
    unreachable,
    /// Requests to the explicit proxy that it could not serve.
    misdirected,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
