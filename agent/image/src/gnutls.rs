//! GnuTLS by its symbols.

use std::collections::BTreeMap;

use crate::elf::{Elf, Symbol};
use crate::hook::{Hook, Kind};
use crate::leave::Outcome;
use crate::site::{Call, hooks};

const SEND: Call = Call::plain("gnutls_record_send", Kind::EnterWrite, true, Outcome::Long);
const SEND2: Call = Call::plain("gnutls_record_send2", Kind::EnterWrite, true, Outcome::Long);
const RECEIVE: Call = Call::plain("gnutls_record_recv", Kind::EnterRead, true, Outcome::Long);
const FREE: Call = Call::free("gnutls_deinit");

pub(crate) const NAMES: [&str; 4] =
    ["gnutls_record_send", "gnutls_record_send2", "gnutls_record_recv", "gnutls_deinit"];

pub(crate) fn find(elf: &Elf<'_>, symbols: &BTreeMap<&'static str, Symbol>) -> Vec<Hook> {
    let mut calls = vec![RECEIVE, FREE];
    let send2 = symbols.get(SEND2.name);
    match (symbols.get(SEND.name), send2) {
        // The one is a thin face of the other: both hooked would count twice.
        (Some(send), Some(send2)) if elf.reaches(*send, *send2, SEND2.name) => calls.push(SEND2),
        _ => calls.push(SEND),
    }
    let hooked = |call: &Call| hooks(&elf.code, *symbols.get(call.name)?, call);
    calls.iter().filter_map(hooked).flatten().collect()
}
