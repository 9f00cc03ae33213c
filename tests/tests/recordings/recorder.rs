//! The reading side of the tap, as the product has it: a thread that looks every few milliseconds and feeds
//! one observer per connection.

use std::collections::HashMap;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use trackway_core::call::Call;
use trackway_core::flow::{Flow, FlowId, Unread};
use trackway_core::observe::Observer;
use trackway_proxy::tap::{Event, Feed, Losses};

const LOOK: Duration = Duration::from_millis(2);
const BATCH: usize = 4096;

/// The running thread.
pub(crate) struct Recorder {
    end: Sender<()>,
    thread: JoinHandle<Seen>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) flows: HashMap<FlowId, Flow>,
    pub(crate) calls: Vec<Call>,
    pub(crate) unread: Vec<Unread>,
    /// Connections whose end was not told.
    pub(crate) open: usize,
    pub(crate) slices: u64,
    pub(crate) bytes: u64,
    pub(crate) losses: Losses,
}

impl Recorder {
    pub(crate) fn start(mut feed: Feed) -> Self {
        let (end, ended) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let (mut seen, mut observers) = (Seen::default(), HashMap::new());
            loop {
                let last = ended.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout);
                look(&mut feed, &mut observers, &mut seen);
                if last {
                    seen.open = observers.len();
                    seen.losses = feed.losses();
                    return seen;
                }
            }
        });
        Self { end, thread }
    }

    /// Nothing more comes: takes what is left.
    pub(crate) fn finish(self) -> Seen {
        self.end.send(()).unwrap();
        self.thread.join().unwrap()
    }
}

fn look(feed: &mut Feed, observers: &mut HashMap<FlowId, Observer>, seen: &mut Seen) {
    let mut events = Vec::new();
    while feed.drain(&mut events, BATCH) > 0 {
        for event in events.drain(..) {
            match event {
                Event::Opened(flow) => {
                    seen.flows.insert(flow.id, flow.clone());
                    observers.insert(flow.id, Observer::new(flow));
                }
                Event::Data { flow, slice } => {
                    seen.slices += 1;
                    seen.bytes += slice.bytes.len() as u64;
                    observers.get_mut(&flow).unwrap().push(slice, &mut seen.calls);
                }
                Event::Ended { flow, direction, time } => {
                    observers.get_mut(&flow).unwrap().end(direction, time, &mut seen.calls);
                }
                Event::Closed { flow, close, time } => {
                    observers.remove(&flow).unwrap().close(close, time, &mut seen.calls);
                }
                Event::Unread(unread) => seen.unread.push(*unread),
            }
        }
    }
}
