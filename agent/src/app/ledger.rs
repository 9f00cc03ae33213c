//! One run on its way to the sinks: what was captured goes in, in order; spans go out as soon as their place is
//! certain.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use trackway_core::call::{Call, Kind};
use trackway_core::flow::{Close, Direction, FlowId, Plane, Start, Time, Unread, UnreadReason};
use trackway_core::observe::Observer;
use trackway_core::price::Book;
use trackway_core::process::{ProcessFact, ProcessKey};
use trackway_core::run::{Identity, Run, Totals};
use trackway_core::telemetry::Span;
use trackway_proxy::tap::Event;

use super::now;
use super::stdio::Stdio;
use super::takeover::Hosts;
use crate::kernel::{Chunk, Kernel};
use crate::servers::Servers;
use crate::sink::Sink;

/// A connection that is read.
struct Watched {
    observer: Observer,
    /// Bytes to the origin, and to the client.
    bytes: [u64; 2],
}

/// The state of one run.
pub(super) struct Ledger {
    root: ProcessKey,
    run: Run,
    sinks: Vec<Box<dyn Sink>>,
    prices: Arc<Book>,
    observers: HashMap<FlowId, Watched>,
    servers: Servers,
    stdio: Stdio,
    /// Where the tap stands beside a proxy: of what it reads, only what that did not is kept.
    beside: Option<Hosts>,
    // Kept between looks, so that a look allocates nothing.
    calls: Vec<Call>,
    spans: Vec<Span>,
}

impl Ledger {
    /// A run begins; `root` is its first process.
    pub(super) fn begin(
        identity: &Identity,
        root: ProcessKey,
        mut sinks: Vec<Box<dyn Sink>>,
        prices: Arc<Book>,
    ) -> Self {
        let run = Run::new(Identity { root: Some(root), ..identity.clone() });
        sinks.iter_mut().for_each(|sink| sink.begin(identity));
        Self {
            root,
            run,
            sinks,
            prices,
            observers: HashMap::new(),
            servers: Servers::default(),
            stdio: Stdio::default(),
            beside: None,
            calls: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// Its first process.
    pub(super) fn root(&self) -> ProcessKey {
        self.root
    }

    /// Its first process became another program.
    pub(super) fn rename(&mut self, identity: &Identity) {
        self.run.rename(&identity.name, &identity.command, &identity.resource);
    }

    /// Gets ready to read standard input and output of what the run starts.
    pub(super) fn prepare(&mut self, kernel: &Mutex<Kernel>) {
        self.stdio.prepare(kernel);
    }

    /// Takes a fact about a process; with the kernel, MCP servers among them are read.
    pub(super) fn fact(&mut self, fact: ProcessFact, kernel: Option<&Mutex<Kernel>>) {
        if let Some(kernel) = kernel {
            self.stdio.fact(&fact, self.root.pid, kernel, &mut self.run);
        }
        self.run.process(fact);
    }

    /// Takes what a server read or wrote.
    pub(super) fn stdio(&mut self, chunk: &Chunk, kernel: &Mutex<Kernel>) {
        self.stdio.chunk(chunk, kernel, &mut self.run);
    }

    /// A client refused the proxy's certificate for a host: the tap's calls to it are kept from now on.
    pub(super) fn refuse(&mut self, host: &str) {
        self.beside.get_or_insert_default().refuse(host);
    }

    /// Takes what happened on a connection; its bytes are dropped unless they are to be read.
    pub(super) fn event(&mut self, event: Event, read: bool) {
        let before = self.calls.len();
        self.take(event, read);
        if let Some(hosts) = &mut self.beside {
            let mut at = 0;
            self.calls.retain(|call| {
                at += 1;
                at <= before || !matches!(call.plane, Plane::Tap(_)) || hosts.keeps(call)
            });
        }
    }

    fn take(&mut self, event: Event, read: bool) {
        match event {
            Event::Opened(flow) if read => {
                self.observers.insert(flow.id, Watched { observer: Observer::new(flow), bytes: [0; 2] });
            }
            Event::Opened(_) => {}
            Event::Data { flow, slice } => {
                if let Some(Watched { observer, bytes }) = self.observers.get_mut(&flow) {
                    let sum = &mut bytes[usize::from(slice.direction == Direction::ToClient)];
                    *sum = (*sum).max(slice.offset.saturating_add(slice.bytes.len() as u64));
                    observer.push(slice, &mut self.calls);
                }
            }
            Event::Ended { flow, direction, time } => {
                if let Some(Watched { observer, .. }) = self.observers.get_mut(&flow) {
                    observer.end(direction, time, &mut self.calls);
                }
            }
            Event::Closed { flow, close, time } => {
                if let Some(watched) = self.observers.remove(&flow) {
                    self.end(watched, close, time);
                }
            }
            Event::Unread(unread) => {
                let unread = match &mut self.beside {
                    Some(hosts) => hosts.hold(*unread),
                    None => Some(*unread),
                };
                if let Some(unread) = unread {
                    self.run.unread(unread);
                }
            }
        }
    }

    /// A connection has ended. What the tap saw of it and could make no sense of is reported.
    fn end(&mut self, watched: Watched, close: Close, closed: Time) {
        let Watched { mut observer, bytes: [bytes_to_origin, bytes_to_client] } = watched;
        let flow = observer.flow();
        if matches!(flow.plane, Plane::Tap(_)) && !observer.is_read() && self.beside.is_none() {
            // Without its socket's beginning, it may be that the start of the talk was missed.
            let late = match flow.start {
                Start::Seen => false,
                Start::Unknown => flow.destination.is_none(),
                Start::Late => true,
            };
            let reason = if late { UnreadReason::Joined } else { UnreadReason::Opaque };
            let flow = flow.clone();
            let unread = Unread { flow, reason, bytes_to_origin, bytes_to_client, closed, close };
            self.run.unread(unread);
        }
        observer.close(close, closed, &mut self.calls);
    }

    /// Gives what is certain by now to the sinks.
    pub(super) fn settle(&mut self) {
        self.hand_on();
        self.tell_unread(now());
        self.run.drain(now(), &mut self.spans);
        self.deliver();
    }

    /// Ends the run. `status` is how its first process ended, if it did. The sinks' words for the user.
    pub(super) fn close(
        mut self,
        status: Option<Result<i32, i32>>,
        time: Time,
        kernel: Option<&Mutex<Kernel>>,
    ) -> (Totals, Vec<String>) {
        let mut notes = kernel.map_or_else(Vec::new, |kernel| self.stdio.finish(kernel, &mut self.run));
        // The order of connections decides over ids: the same run gives the same tree.
        let mut open: Vec<_> = std::mem::take(&mut self.observers).into_iter().collect();
        open.sort_unstable_by_key(|(id, _)| *id);
        for (_, watched) in open {
            self.end(watched, Close::Proxy, now());
        }
        self.hand_on();
        self.tell_unread(Time(u64::MAX));
        let totals = match status {
            Some(status) => self.run.finish(status, time, &mut self.spans),
            None => self.run.leave(time, &mut self.spans),
        };
        self.deliver();
        notes.extend(self.sinks.iter_mut().flat_map(|sink| sink.finish(&totals)));
        (totals, notes)
    }

    /// Tells of tunnelled connections that the tap has not read either.
    fn tell_unread(&mut self, now: Time) {
        while let Some(unread) = self.beside.as_mut().and_then(|hosts| hosts.unread(now)) {
            self.run.unread(unread);
        }
    }

    /// Gives the calls to the run, priced.
    fn hand_on(&mut self) {
        for mut call in self.calls.drain(..) {
            self.prices.apply(&mut call);
            if let (Kind::Llm(_), Some(process)) = (&call.kind, call.process)
                && self.servers.look(process)
            {
                self.run.listens();
            }
            self.run.call(call);
        }
    }

    fn deliver(&mut self) {
        if !self.spans.is_empty() {
            self.sinks.iter_mut().for_each(|sink| sink.write(&self.spans));
            self.spans.clear();
        }
    }
}
