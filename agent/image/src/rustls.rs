//! rustls by its symbols, legacy or v0 mangled.
//!
//! Written plaintext is taken at `PlaintextSink::write` of the connection, which every writer calls through a vtable,
//! so that no optimisation removes it. Read plaintext is taken where a decrypted record is put on the connection's
//! queue, `CommonState::take_received_plaintext`: readers go several ways from there (tokio-rustls borrows the queue
//! itself), and all of them see what was put there, in that order. Both name the connection by its `CommonState`,
//! whose place inside the connection is read from the call that the write makes with it.

use iced_x86::FlowControl;

use crate::code::{Function, target};
use crate::elf::{Elf, Symbol};
use crate::enter::{Argument, first, line, word};
use crate::hook::{Hook, Kind, Library, Method, Place, Refusal, Site, Tls};
use crate::leave::{Ends, Outcome};
use crate::signs;
use crate::site::{Call, RDI, RDX, RSI, hooks};
use crate::state::{Convention, State, Value, Width};

const WRITE: Call = Call::plain("rustls PlaintextSink::write", Kind::EnterWrite, true, Outcome::Pair);
const VECTORED: Call =
    Call::plain("rustls PlaintextSink::write_vectored", Kind::EnterWrite, true, Outcome::Pair);
const RECEIVED: &str = "rustls CommonState::take_received_plaintext";
const FREE: Call = Call::free("rustls drop of CommonState");

/// Copies of one function that are kept; there are two or three.
const COPIES: usize = 32;

/// The functions of rustls that matter; generic ones are there once for each side of a connection.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    writes: Vec<Symbol>,
    vectored: Vec<Symbol>,
    /// What `write` hands its bytes to, if it is a function of its own.
    sends: Vec<Symbol>,
    buffers: Vec<Symbol>,
    received: Vec<Symbol>,
    drops: Vec<Symbol>,
}

impl Functions {
    /// Keeps a function if it is one of them.
    pub(crate) fn add(&mut self, mangled: &str, symbol: Symbol) {
        if !mangled.contains("rustls") {
            return;
        }
        let name = format!("{:#}", rustc_demangle::demangle(mangled));
        let kept =
            if name.starts_with("<rustls::conn::ConnectionCommon<") && name.contains("PlaintextSink>::") {
                match name.rsplit("::").next() {
                    Some("write") => &mut self.writes,
                    Some("write_vectored") => &mut self.vectored,
                    _ => return,
                }
            } else if name.contains("ConnectionCommon<") && name.ends_with("::send_plaintext") {
                &mut self.sends
            } else if name == "core::ptr::drop_in_place<rustls::common_state::CommonState>"
                || name == "core::ptr::drop_in_place::<rustls::common_state::CommonState>"
            {
                &mut self.drops
            } else if name.contains("rustls::common_state::CommonState") {
                match name.rsplit("::").next() {
                    Some("buffer_plaintext") => &mut self.buffers,
                    Some("take_received_plaintext") => &mut self.received,
                    _ => return,
                }
            } else {
                return;
            };
        if kept.len() < COPIES && !kept.iter().any(|known| known.address == symbol.address) {
            kept.push(symbol);
        }
    }

    /// The probes. `None` when there is no sign of rustls.
    pub(crate) fn find(&self, elf: &Elf<'_>, file: &[u8], method: Method) -> Option<Result<Tls, Refusal>> {
        if self.writes.is_empty() && self.received.is_empty() {
            return None;
        }
        let refuse = |reason: &str| Refusal { library: Some(Library::Rustls), reason: reason.to_owned() };
        Some(self.hooks(elf).map_err(refuse).map(|hooks| Tls {
            library: Library::Rustls,
            version: signs::rustls(file),
            method,
            hooks,
        }))
    }

    fn hooks(&self, elf: &Elf<'_>) -> Result<Vec<Hook>, &'static str> {
        if self.writes.is_empty() || self.received.is_empty() {
            return Err("rustls was inlined too far for both directions to be read; use the proxy");
        }
        let mut found = Vec::new();
        for (symbols, call) in [(&self.writes, WRITE), (&self.vectored, VECTORED)] {
            for symbol in symbols {
                let state = self.common_state(elf, *symbol).ok_or(
                    "the connection of rustls's writes cannot be tied to that of its reads; use the proxy",
                )?;
                let mut probes =
                    hooks(&elf.code, *symbol, &call).ok_or("rustls's functions are not mapped")?;
                for hook in &mut probes {
                    hook.site.vectored = call == VECTORED && hook.site.kind == Kind::EnterWrite;
                    hook.site.connection =
                        inside(hook.site.connection, state).ok_or("rustls is too large")?;
                }
                found.extend(probes);
            }
        }
        for symbol in &self.received {
            found.push(received(elf, *symbol).ok_or(
                "where this version of rustls keeps a decrypted record is not known; use the proxy",
            )?);
        }
        found.extend(self.drops.iter().filter_map(|symbol| hooks(&elf.code, *symbol, &FREE)).flatten());
        Ok(found)
    }

    /// Where inside the connection its `CommonState` is, as the call to buffer what is written shows.
    fn common_state(&self, elf: &Elf<'_>, write: Symbol) -> Option<i32> {
        let is = |symbols: &[Symbol], address| symbols.iter().any(|symbol| symbol.address == address);
        let mut found = None;
        let mut functions = vec![write];
        for symbol in functions.clone() {
            calls(elf, symbol, |to, state| {
                if is(&self.sends, to) && state.get(RDI) == Value::Register(RDI, Width::Full) {
                    functions.extend(self.sends.iter().filter(|send| send.address == to));
                }
            });
        }
        for symbol in functions {
            calls(elf, symbol, |to, state| {
                if is(&self.buffers, to) {
                    found = match state.get(RDI) {
                        Value::Register(RDI, Width::Full) => Some(0),
                        Value::Sum(RDI, by) => Some(by),
                        _ => found,
                    };
                }
            });
        }
        found
    }
}

/// Hands every call of a function, with the state before it, to `each`.
fn calls(elf: &Elf<'_>, symbol: Symbol, mut each: impl FnMut(u64, &State)) {
    let function = Function::decode(&elf.code, symbol.address, Some(symbol.size));
    Ends::new(&function, &WRITE).each(|step, state| {
        let to = match step.flow_control() {
            FlowControl::Call => target(step),
            FlowControl::IndirectCall => elf.pointed(step),
            _ => None,
        };
        if let Some(to) = to {
            each(to, state);
        }
    });
}

/// A place inside an object whose address is at another place.
fn inside(place: Place, by: i32) -> Option<Place> {
    match (place, by) {
        (place, 0) | (place @ Place::None, _) => Some(place),
        (Place::Register64(register), offset) => Some(Place::Sum { register, offset }),
        _ => None,
    }
}

/// The probe for a decrypted record, a `Payload` at RSI: either a borrowed slice or a vector, with pointer and length
/// in the same words, which the copy that is made of a borrowed one shows.
fn received(elf: &Elf<'_>, symbol: Symbol) -> Option<Hook> {
    let function = Function::decode(&elf.code, symbol.address, Some(symbol.size));
    let mut shown = None;
    Ends::new(&function, &WRITE).each(|step, state| {
        let copies = matches!(step.flow_control(), FlowControl::Call | FlowControl::IndirectCall);
        if let (true, Value::Field(RSI, pointer), Value::Field(RSI, length)) =
            (copies, state.get(RSI), state.get(RDX))
        {
            shown = Some((pointer, length));
        }
    });
    let (pointer, length) = shown?;
    let stops = line(&elf.code, &function, symbol.address, State::entry(Convention::C), |_| false);
    let whole = |register| Argument { register, whole: true };
    let stop = first(&stops, &[whole(RDI), whole(RSI)]).or(stops.first())?;
    let Place::Register64(payload) = stop.state.find(whole(RSI))? else { return None };
    let field =
        |offset: i32| Some(Place::Memory64 { register: payload, offset: i16::try_from(offset).ok()? });
    Some(Hook {
        function: RECEIVED,
        symbol_offset: elf.code.offset(symbol.address)?,
        offset: elf.code.offset(stop.address)?,
        returning: false,
        emulated: stop.emulated,
        site: Site {
            connection: stop.state.find(whole(RDI)).unwrap_or(Place::Register64(word(RDI))),
            buffer: field(pointer)?,
            length: field(length)?,
            ..Site::new(Kind::Received)
        },
    })
}

#[cfg(test)]
mod tests {
    use super::Functions;
    use crate::elf::Symbol;

    /// Names as Rust 1.95 made them of rustls 0.23.46, in both ways.
    #[test]
    fn names_of_both_ways_of_mangling() {
        let legacy = [
            "_ZN99_$LT$rustls..conn..ConnectionCommon$LT$T$GT$$u20$as$u20$rustls..conn..connection..PlaintextSink$GT$5write17h402369c06c110fc8E",
            "_ZN99_$LT$rustls..conn..ConnectionCommon$LT$T$GT$$u20$as$u20$rustls..conn..connection..PlaintextSink$GT$14write_vectored17h2a8f8215616bede8E",
            "_ZN6rustls4conn10connection57_$LT$impl$u20$rustls..conn..ConnectionCommon$LT$T$GT$$GT$14send_plaintext17h32e09df6fdf0d498E",
            "_ZN6rustls12common_state11CommonState16buffer_plaintext17hd1b302b496e59ac7E",
            "_ZN6rustls12common_state11CommonState23take_received_plaintext17hb6795df1e782fb92E",
            "_ZN4core3ptr54drop_in_place$LT$rustls..common_state..CommonState$GT$17h697a90936a861d4eE",
        ];
        let v0 = [
            "_RNvXs7_NtNtCshvFGhqyEeYE_6rustls4conn10connectionINtB7_16ConnectionCommonNtNtNtB9_6client11client_conn20ClientConnectionDataENtB5_13PlaintextSink5writeCs80jhkExfmH_4toki",
            "_RNvXs7_NtNtCshvFGhqyEeYE_6rustls4conn10connectionINtB7_16ConnectionCommonNtNtNtB9_6client11client_conn20ClientConnectionDataENtB5_13PlaintextSink14write_vectoredCs80jhkExfmH_4toki",
            "_RNvMs6_NtNtCshvFGhqyEeYE_6rustls4conn10connectionINtB7_16ConnectionCommonNtNtNtB9_6client11client_conn20ClientConnectionDataE14send_plaintextCs80jhkExfmH_4toki",
            "_RNvMs_NtCshvFGhqyEeYE_6rustls12common_stateNtB4_11CommonState16buffer_plaintext",
            "_RNvMNtCshvFGhqyEeYE_6rustls12common_stateNtB2_11CommonState23take_received_plaintext",
            "_RINvNtCsgEmfK2I1SDS_4core3ptr13drop_in_placeNtNtCshvFGhqyEeYE_6rustls12common_state11CommonStateECs80jhkExfmH_4toki",
        ];
        for names in [legacy, v0] {
            let mut functions = Functions::default();
            for (address, name) in (1..).zip(names) {
                functions.add(name, Symbol { address, size: 1 });
            }
            let kept = [
                &functions.writes,
                &functions.vectored,
                &functions.sends,
                &functions.buffers,
                &functions.received,
                &functions.drops,
            ];
            let addresses: Vec<Vec<u64>> =
                kept.iter().map(|kept| kept.iter().map(|symbol| symbol.address).collect()).collect();
            assert_eq!(addresses, [[1], [2], [3], [4], [5], [6]]);
        }
    }
}
