//! Ways that were lost, and joining where they were never known.
//!
//! A loss concerns one direction: its header blocks may be among what was lost, so what they put into the
//! table is unknown, and it is looked for frames again. What the loss may have taken from an exchange ends
//! that exchange, or leaves it in doubt; it is never guessed.

use super::late::Finder;
use super::{Completion, Direction, Exchanges, Fields, Lane, Session, Stream, Time, hpack, opposite};

impl Session {
    /// A connection whose beginning was not seen.
    pub(in crate::http) fn joined() -> Self {
        let mut session = Self::new();
        session.lanes = [Lane::lost(), Lane::lost()];
        session.preface = 0;
        session.joined = true;
        session
    }

    /// A connection that begins with the client's preface, while what the server says may still be another's:
    /// that is looked at until it makes sense.
    pub(in crate::http) fn replacing() -> Self {
        let mut session = Self::new();
        let lane = &mut session.lanes[Direction::ToClient as usize];
        lane.finder = Some(Finder::opening());
        lane.late = true;
        session
    }

    /// Whether the client has said nothing of a frame that is not over.
    pub(in crate::http) fn is_between(&self) -> bool {
        let lane = &self.lanes[Direction::ToOrigin as usize];
        lane.finder.is_some() || lane.frames.is_between()
    }

    /// The highest stream that something may be said of: a server answers what was asked.
    pub(super) fn most(&self, direction: Direction) -> u32 {
        let unsure = self.lanes[Direction::ToOrigin as usize].finder.is_some();
        if direction == Direction::ToOrigin || unsure { u32::MAX } else { self.last }
    }

    /// Bytes were lost.
    pub(super) fn gap(&mut self, direction: Direction, gap: u64, time: Time, exchanges: &mut Exchanges) {
        let detail = format!("{gap} bytes were not seen");
        match self.lanes[direction as usize].frames.skip(gap) {
            Some(stream) => {
                let id = stream.and_then(|stream| self.streams.get(&stream)).map(|s| s.id);
                if let Some(id) = id {
                    exchanges.wire(id, direction, gap);
                }
                exchanges.fault(id, "gap", detail);
            }
            None => self.lose_way(direction, "gap", detail, time, exchanges),
        }
    }

    /// The frames of one direction make no sense until some are found again.
    pub(super) fn lose_way(
        &mut self,
        direction: Direction,
        fault: &'static str,
        detail: impl Into<String>,
        time: Time,
        exchanges: &mut Exchanges,
    ) {
        exchanges.fault(None, fault, detail);
        self.lanes[direction as usize] = Lane::lost();
        // Settings may have been lost too, and they concern what comes the other way.
        self.lanes[opposite(direction) as usize].decoder.grant(u32::MAX);
        if direction == Direction::ToOrigin {
            self.preface = 0;
        }
        for number in self.numbers(|_| true) {
            let Some(stream) = self.streams.get_mut(&number) else { continue };
            match direction {
                Direction::ToOrigin if stream.request_done => {}
                Direction::ToOrigin => {
                    stream.request_done = true;
                    exchanges.damage(stream.id);
                    exchanges.request_end(stream.id, time);
                }
                Direction::ToClient if stream.response_done => {}
                Direction::ToClient if stream.responded => {
                    exchanges.finish(stream.id, Completion::Partial, time);
                    self.streams.remove(&number);
                    continue;
                }
                // A response whose head is still to be seen can be whole all the same.
                Direction::ToClient => {
                    stream.doubt = true;
                    exchanges.doubt(stream.id);
                }
            }
            if stream.request_done && stream.response_done {
                self.streams.remove(&number);
            }
        }
    }

    /// Bytes of the server were given up: they may have been responses to what was asked before.
    pub(super) fn doubt(&mut self, until: Time, exchanges: &mut Exchanges) {
        let concerned = |stream: &&mut Stream| !stream.responded && stream.begun <= until;
        for stream in self.streams.values_mut().filter(concerned) {
            stream.doubt = true;
            exchanges.doubt(stream.id);
        }
    }

    /// The frames or the compression state make no sense from here on, for good.
    pub(super) fn lose(
        &mut self,
        fault: &'static str,
        detail: impl Into<String>,
        time: Time,
        exchanges: &mut Exchanges,
    ) {
        exchanges.fault(None, fault, detail);
        for number in self.numbers(|_| true) {
            if let Some(stream) = self.streams.remove(&number) {
                exchanges.finish(stream.id, Completion::Partial, time);
            }
        }
        self.lanes = Default::default();
        self.lost = true;
    }

    /// Makes room for a stream by ending one whose response has probably passed unseen; false if none is such.
    pub(super) fn give_up_one(&mut self, time: Time, exchanges: &mut Exchanges) -> bool {
        let oldest = self.numbers(|stream| stream.doubt && !stream.responded).first().copied();
        let Some(stream) = oldest.and_then(|number| self.streams.remove(&number)) else { return false };
        exchanges.finish(stream.id, Completion::Partial, time);
        true
    }

    /// A response on a stream that nobody opened here: where the beginning was not seen, it is counted once.
    pub(super) fn stray(&mut self, number: u32, fields: &Fields, exchanges: &mut Exchanges) {
        // Streams that the client opened since are known; an odd number below them is from before.
        let before = self.first.is_none_or(|first| number < first);
        if self.joined && before && number % 2 == 1 && fields.status.is_some() {
            self.joined = false;
            exchanges.fault(None, "join.response", "an answer to a request from before we joined");
        }
    }

    fn numbers(&self, wanted: impl Fn(&Stream) -> bool) -> Vec<u32> {
        let wanted = |(number, stream): (&u32, &Stream)| wanted(stream).then_some(*number);
        let mut numbers: Vec<_> = self.streams.iter().filter_map(wanted).collect();
        numbers.sort_unstable();
        numbers
    }
}

impl Lane {
    fn lost() -> Self {
        Self {
            decoder: hpack::Decoder::late(),
            finder: Some(Finder::default()),
            late: true,
            ..Self::default()
        }
    }
}
