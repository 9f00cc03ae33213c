//! What is known of each client's opinion of our certificates.
//!
//! Clients refuse in three ways: with a TLS alert, by closing in the middle of the handshake, and by
//! completing the handshake only to close without a byte (Node verifies afterwards). The last may also be
//! a connection opened ahead of need, so it counts only when it repeats and the client has never used one.

use std::sync::{Mutex, PoisonError};

use crate::bounded::Bounded;
use crate::limits;

/// An executable and a host. The executable is empty where it is not known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Party {
    pub(crate) executable: String,
    pub(crate) host: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Silent(u8),
    Trusts,
    Refuses,
}

pub(crate) struct Standings(Mutex<Bounded<Party, Standing>>);

impl Standings {
    pub(crate) fn new() -> Standings {
        Standings(Mutex::new(Bounded::new(limits::STANDINGS)))
    }

    /// Whether the party is to be left alone.
    pub(crate) fn refuses(&self, party: &Party) -> bool {
        self.get(party) == Some(Standing::Refuses)
    }

    /// The party sent bytes over our certificate. A refusal stands all the same: one executable may hold
    /// several TLS stacks.
    pub(crate) fn trusted(&self, party: &Party) {
        self.change(party, |standing| match standing {
            Some(Standing::Refuses) => Standing::Refuses,
            _ => Standing::Trusts,
        });
    }

    /// The party refused our certificate in so many words.
    pub(crate) fn refused(&self, party: &Party) {
        self.change(party, |_| Standing::Refuses);
    }

    /// The party completed a handshake and left without a byte. Says whether that looks like a refusal.
    pub(crate) fn silent(&self, party: &Party) -> bool {
        self.change(party, |standing| match standing {
            None | Some(Standing::Silent(0)) => Standing::Silent(1),
            Some(Standing::Silent(count)) if count + 1 >= limits::SILENT_HANDSHAKES => Standing::Refuses,
            Some(Standing::Silent(count)) => Standing::Silent(count + 1),
            Some(known) => known,
        }) != Standing::Trusts
    }

    fn get(&self, party: &Party) -> Option<Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(party).copied()
    }

    fn change(&self, party: &Party, next: impl FnOnce(Option<Standing>) -> Standing) -> Standing {
        let mut standings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let standing = next(standings.get(party).copied());
        standings.insert(party.clone(), standing);
        standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(executable: &str) -> Party {
        Party { executable: executable.to_owned(), host: "h".to_owned() }
    }

    #[test]
    fn silence_counts_only_when_it_repeats_and_trust_was_never_shown() {
        let standings = Standings::new();
        assert!(standings.silent(&party("node")) && !standings.refuses(&party("node")));
        assert!(standings.silent(&party("node")) && standings.refuses(&party("node")));
        standings.trusted(&party("curl"));
        for _ in 0..5 {
            assert!(!standings.silent(&party("curl")));
        }
        assert!(!standings.refuses(&party("curl")));
        standings.refused(&party("curl"));
        standings.trusted(&party("curl"));
        assert!(standings.refuses(&party("curl")));
    }
}
