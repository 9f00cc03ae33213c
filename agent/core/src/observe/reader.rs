//! Exchanges in, calls out: what [`super::Observer`] does once HTTP is understood.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::exchange::Exchange;
use super::session::Session;
use crate::call::{Call, Fault, Kind, Llm};
use crate::flow::Flow;
use crate::http::{Event, ExchangeId};
use crate::limits;

/// Most response ids whose usage is remembered as counted.
const COUNTED: usize = 1024;

/// The open exchanges of one connection.
#[derive(Debug)]
pub struct Reader {
    flow: Flow,
    open: BTreeMap<ExchangeId, Exchange>,
    /// Number of the next call.
    next: u64,
    /// Faults of the connection that wait for a call to stand on.
    faults: Vec<Fault>,
    counted: Counted,
}

/// Response ids whose usage was reported, oldest first.
#[derive(Debug, Default)]
struct Counted {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Reader {
    /// A connection without exchanges yet.
    pub fn new(flow: Flow) -> Self {
        Self { flow, open: BTreeMap::new(), next: 0, faults: Vec::new(), counted: Counted::default() }
    }

    /// The connection.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// Takes one event; appends the calls that it completed.
    pub fn event(&mut self, event: Event, out: &mut Vec<Call>) {
        let begun = out.len();
        self.take(event, out);
        for call in out.iter_mut().skip(begun) {
            self.counted.check(call);
        }
    }

    fn take(&mut self, event: Event, out: &mut Vec<Call>) {
        match event {
            Event::Request { id, head, first_byte, .. } => {
                if self.open.len() >= limits::STREAMS {
                    return self.fault(
                        None,
                        Fault {
                            kind: "limit.streams",
                            detail: format!("more than {} exchanges at once", limits::STREAMS),
                        },
                        out,
                    );
                }
                let mut exchange = Exchange::new(&self.flow, self.next, &head, first_byte);
                self.next += 1;
                self.faults.drain(..).for_each(|fault| exchange.fault(fault));
                self.open.insert(id, exchange);
            }
            Event::RequestData { id, bytes, .. } => {
                if let Some(exchange) = self.open.get_mut(&id) {
                    exchange.request_data(&bytes);
                }
            }
            Event::RequestEnd { id, time } => {
                if let Some(exchange) = self.open.get_mut(&id) {
                    exchange.request_end(time);
                }
            }
            Event::Response { id, head, first_byte, .. } => {
                if let Some(exchange) = self.open.get_mut(&id) {
                    exchange.response(&head, first_byte);
                }
            }
            Event::ResponseData { id, bytes, time } => {
                if let Some(exchange) = self.open.get_mut(&id) {
                    exchange.response_data(&bytes, time);
                }
            }
            Event::Message { id, direction, text, bytes, time } => {
                if let Some(session) = self.open.get_mut(&id).and_then(Exchange::session)
                    && text
                {
                    session.message(direction, &bytes, time, &mut self.next, out);
                }
            }
            Event::End { id, completion, wire_request, wire_response, time } => {
                if let Some(mut exchange) = self.open.remove(&id) {
                    let turns = exchange
                        .session()
                        .map_or(0, |session| Session::close(session, completion, time, out));
                    // The upgrade that carried calls is their way, not a call beside them.
                    if turns == 0 {
                        out.push(exchange.finish(completion, (wire_request, wire_response), time));
                    }
                }
            }
            Event::Fault { id, fault } => self.fault(id, fault, out),
        }
    }

    fn fault(&mut self, id: Option<ExchangeId>, fault: Fault, out: &mut Vec<Call>) {
        match id {
            Some(id) => {
                if let Some(exchange) = self.open.get_mut(&id) {
                    // Each of these kinds says that a message, or more, is not given out.
                    if ["gap", "websocket", "encoding", "limit.frame"].contains(&fault.kind)
                        && let Some(session) = exchange.session()
                    {
                        session.lose(&fault, out);
                    }
                    exchange.fault(fault);
                }
            }
            None if self.open.is_empty() => {
                if self.faults.len() < limits::FAULTS {
                    self.faults.push(fault);
                }
            }
            None => self.open.values_mut().for_each(|exchange| exchange.fault(fault.clone())),
        }
    }
}

impl Counted {
    /// A response may be fetched again and again; its tokens were used once.
    fn check(&mut self, call: &mut Call) {
        let Kind::Llm(llm) = &mut call.kind else { return };
        let Llm { response_id: Some(id), usage, .. } = llm.as_ref() else { return };
        if llm.api != "openai.responses" || llm.auxiliary || usage.output.is_none() {
            return;
        }
        if self.known.contains(id) {
            llm.auxiliary |= llm.operation == "fetch_response";
            return;
        }
        self.known.insert(id.clone());
        self.order.push_back(id.clone());
        if self.order.len() > COUNTED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}
