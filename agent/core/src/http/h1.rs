//! HTTP/1.0 and 1.1 (RFC 9112), seen from beside.

use std::collections::VecDeque;

use super::chunk::Step;
use super::exchange::{Exchanges, Piece};
use super::sniff::{is_request_start, is_response_start};
use super::{ExchangeId, Next, Switch};
use crate::call::Completion;
use crate::flow::{Direction, Time};
use crate::limits;

mod head;
mod lane;
mod lost;

use head::{Body, Taken};
use lane::{Lane, State, split};

/// Both directions of an HTTP/1 connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    request: Lane,
    response: Lane,
    /// The request that is being read, or was read last.
    current: Option<ExchangeId>,
    /// Requests whose response is not whole yet, in order.
    queue: VecDeque<Pending>,
    /// After a gap in the requests, responses may come whose requests were lost.
    doubt: bool,
    /// Whether such a response was spoken of.
    stray: bool,
    /// Whether another connection may follow on this one unannounced.
    joined: bool,
}

#[derive(Debug)]
struct Pending {
    id: ExchangeId,
    head_only: bool,
    connect: bool,
    upgrade: bool,
}

impl Session {
    /// Takes bytes; tells when the connection leaves HTTP/1.
    pub(super) fn push(&mut self, piece: Piece, exchanges: &mut Exchanges) -> Option<Switch> {
        let mut work = VecDeque::from([piece]);
        while let Some(piece) = work.pop_front() {
            let switch = match piece.direction {
                Direction::ToOrigin => self.requests(piece, exchanges),
                Direction::ToClient => self.responses(piece, exchanges),
            };
            if let Some(mut switch) = switch {
                switch.rest.append(&mut self.response.held);
                switch.rest.append(&mut self.request.held);
                switch.rest.extend(work);
                return Some(switch);
            }
            // What one direction waited for may have come with these bytes.
            if !matches!(self.request.state, State::Await) {
                self.request.release(&mut work);
            }
            if !self.queue.is_empty() || self.response.lost {
                self.response.release(&mut work);
            }
        }
        None
    }

    /// One direction ended.
    pub(super) fn end(
        &mut self,
        direction: Direction,
        client_left: bool,
        time: Time,
        exchanges: &mut Exchanges,
    ) {
        if direction == Direction::ToClient {
            self.close(true, time, exchanges);
            for pending in self.queue.drain(..) {
                exchanges.cut(pending.id, client_left, time);
            }
            self.response = Lane { lost: true, ..Lane::default() };
        }
    }

    /// The connection ended; a body that lasts until then is whole where the end was orderly.
    pub(super) fn close(&mut self, orderly: bool, time: Time, exchanges: &mut Exchanges) {
        if orderly
            && matches!(self.response.state, State::UntilClose)
            && let Some(pending) = self.queue.pop_front()
        {
            exchanges.response_end(pending.id, time);
            self.response.state = State::Head;
        }
        if !self.response.held.is_empty() {
            exchanges.fault(None, "http.unsolicited", "a response without a request");
            self.response.held.clear();
        }
    }

    fn requests(&mut self, piece: Piece, exchanges: &mut Exchanges) -> Option<Switch> {
        let Piece { gap, mut bytes, time, .. } = piece;
        if matches!(self.request.state, State::Await) {
            return self.hold(Piece { direction: Direction::ToOrigin, gap, bytes, time }, exchanges);
        }
        if gap > 0 && !self.request.absorb(gap, self.current, Direction::ToOrigin, exchanges) {
            self.lose_requests(time, exchanges);
        }
        if matches!(self.request.state, State::Length(0)) {
            self.request_end(time, exchanges);
        }
        if self.request.lost {
            if !is_request_start(&bytes) {
                return None;
            }
            self.request.lost = false;
        }
        let replaces = self.joined && !self.queue.is_empty() && self.request.is_between();
        if replaces && is_request_start(&bytes) {
            self.replace(time, exchanges);
        }
        while !bytes.is_empty() {
            let id = self.current.unwrap_or_default();
            match &mut self.request.state {
                State::Head => match self.request.head.take(&mut bytes, time) {
                    Taken::More => {}
                    Taken::TooLong => {
                        exchanges.fault(None, "limit.head", "request head is too long");
                        self.lose_requests(time, exchanges);
                        return None;
                    }
                    Taken::Whole { head, first_byte } => {
                        if let Err(fault) = self.request_head(&head, first_byte, time, exchanges) {
                            exchanges.fault(None, fault, "request head cannot be read");
                            self.lose_requests(time, exchanges);
                            return None;
                        }
                        if self.queue.len() > limits::PIPELINE {
                            exchanges.fault(None, "limit.pipeline", "too many requests wait for an answer");
                            for pending in self.queue.drain(..) {
                                exchanges.damage(pending.id);
                                exchanges.cut(pending.id, false, time);
                            }
                            return Some(Switch { next: Next::Silence, rest: Vec::new() });
                        }
                    }
                },
                State::Length(left) => {
                    exchanges.data(id, Direction::ToOrigin, split(&mut bytes, left), time);
                    if *left == 0 {
                        self.request_end(time, exchanges);
                    }
                }
                State::Chunked(chunked) => match chunked.step(&bytes) {
                    Step::Framing(count) => drop(bytes.split_to(count)),
                    Step::Data(count) => {
                        exchanges.data(id, Direction::ToOrigin, bytes.split_to(count), time);
                    }
                    Step::End(count) => {
                        drop(bytes.split_to(count));
                        self.request_end(time, exchanges);
                    }
                    Step::Bad => {
                        exchanges.fault(Some(id), "http.chunk", "request body is not chunked as announced");
                        self.lose_requests(time, exchanges);
                        return None;
                    }
                },
                State::Await | State::UntilClose => {
                    let direction = Direction::ToOrigin;
                    return self.hold(Piece { direction, gap: 0, bytes, time }, exchanges);
                }
            }
        }
        None
    }

    fn responses(&mut self, piece: Piece, exchanges: &mut Exchanges) -> Option<Switch> {
        let Piece { gap, mut bytes, time, .. } = piece;
        let front = self.queue.front().map(|p| p.id);
        if gap > 0 && !self.response.absorb(gap, front, Direction::ToClient, exchanges) {
            self.lose_responses(time, exchanges);
        }
        if matches!(self.response.state, State::Length(0)) {
            self.response_end(time, exchanges);
        }
        if self.response.lost {
            let begins = is_response_start(&bytes);
            if self.queue.is_empty() {
                // Before the first request it is an answer from before, or the rest of one.
                if begins || self.joined && self.current.is_none() {
                    self.stray(exchanges);
                }
                return None;
            }
            if !begins && !self.response.opens(&bytes, time) {
                return None;
            }
            self.response.lost = false;
        }
        while !bytes.is_empty() {
            let Some(front) = self.queue.front() else {
                if self.doubt {
                    if is_response_start(&bytes) {
                        self.stray(exchanges);
                    }
                    self.response.lost = true;
                    return None;
                }
                return self.hold(Piece { direction: Direction::ToClient, gap: 0, bytes, time }, exchanges);
            };
            let id = front.id;
            match &mut self.response.state {
                State::Head => match self.response.head.take(&mut bytes, time) {
                    Taken::More => {}
                    Taken::TooLong => {
                        exchanges.fault(Some(id), "limit.head", "response head is too long");
                        self.lose_responses(time, exchanges);
                        return None;
                    }
                    Taken::Whole { head, first_byte } => {
                        match self.response_head(&head, first_byte, time, exchanges) {
                            Ok(None) => {}
                            Ok(Some(next)) => {
                                let piece = Piece { direction: Direction::ToClient, gap: 0, bytes, time };
                                return Some(Switch { next, rest: vec![piece] });
                            }
                            Err(fault) => {
                                exchanges.fault(Some(id), fault, "response head cannot be read");
                                self.lose_responses(time, exchanges);
                                return None;
                            }
                        }
                    }
                },
                State::Length(left) => {
                    exchanges.data(id, Direction::ToClient, split(&mut bytes, left), time);
                    if *left == 0 {
                        self.response_end(time, exchanges);
                    }
                }
                State::Chunked(chunked) => match chunked.step(&bytes) {
                    Step::Framing(count) => drop(bytes.split_to(count)),
                    Step::Data(count) => {
                        exchanges.data(id, Direction::ToClient, bytes.split_to(count), time);
                    }
                    Step::End(count) => {
                        drop(bytes.split_to(count));
                        self.response_end(time, exchanges);
                    }
                    Step::Bad => {
                        exchanges.fault(Some(id), "http.chunk", "response body is not chunked as announced");
                        self.lose_responses(time, exchanges);
                        return None;
                    }
                },
                State::UntilClose | State::Await => {
                    exchanges.data(id, Direction::ToClient, std::mem::take(&mut bytes), time);
                }
            }
        }
        None
    }

    fn request_head(
        &mut self,
        head: &[u8],
        first_byte: Time,
        time: Time,
        exchanges: &mut Exchanges,
    ) -> Result<(), &'static str> {
        let request = head::request(head)?;
        let pending = Pending {
            id: exchanges.request(request.head, first_byte, time),
            head_only: request.head_only,
            connect: request.connect,
            upgrade: request.upgrade,
        };
        if request.doubtful {
            exchanges.fault(Some(pending.id), "http.framing", "both transfer-encoding and content-length");
        }
        self.current = Some(pending.id);
        self.queue.push_back(pending);
        self.request.state = request.body.into();
        if matches!(self.request.state, State::Length(0)) {
            self.request_end(time, exchanges);
        }
        Ok(())
    }

    fn request_end(&mut self, time: Time, exchanges: &mut Exchanges) {
        let Some(id) = self.current else { return };
        exchanges.request_end(id, time);
        let waits = self.queue.back().is_some_and(|p| p.id == id && (p.connect || p.upgrade));
        self.request.state = if waits { State::Await } else { State::Head };
    }

    fn response_head(
        &mut self,
        head: &[u8],
        first_byte: Time,
        time: Time,
        exchanges: &mut Exchanges,
    ) -> Result<Option<Next>, &'static str> {
        let Some(front) = self.queue.front() else { return Ok(None) };
        let id = front.id;
        let response = head::response(head, front.head_only, front.connect)?;
        let status = response.head.status;
        // RFC 9110, section 15.2: any number of informational responses precede the final one.
        if (100..200).contains(&status) && status != 101 {
            return Ok(None);
        }
        self.doubt = false;
        let upgrade = head::find(&response.head.headers, "upgrade").map(str::to_owned);
        let extensions = head::all(&response.head.headers, "sec-websocket-extensions");
        // An upgrade to HTTP/2 is answered there: the 101 is not the answer.
        if status == 101 && upgrade.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("h2c")) {
            exchanges.request_end(id, time);
            return Ok(Some(Next::Http2(id)));
        }
        exchanges.response(id, response.head, first_byte, time);
        if response.doubtful {
            exchanges.fault(Some(id), "http.framing", "both transfer-encoding and content-length");
        }
        if status == 101 || response.body == Body::Tunnel {
            exchanges.request_end(id, time);
            if status == 101 && upgrade.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("websocket"))
            {
                return Ok(Some(Next::WebSocket(id, extensions)));
            }
            exchanges.response_end(id, time);
            return Ok(Some(Next::Silence));
        }
        // The other protocol was declined: the client goes on in HTTP/1.
        if matches!(self.request.state, State::Await) && self.current == Some(id) {
            self.request.state = State::Head;
        }
        if let Some(front) = self.queue.front_mut() {
            (front.connect, front.upgrade) = (false, false);
        }
        self.response.state = response.body.into();
        if matches!(self.response.state, State::Length(0)) {
            self.response_end(time, exchanges);
        }
        Ok(None)
    }

    fn response_end(&mut self, time: Time, exchanges: &mut Exchanges) {
        self.response.state = State::Head;
        if let Some(pending) = self.queue.pop_front() {
            exchanges.response_end(pending.id, time);
        }
    }

    /// Keeps bytes until the other direction has said what they are.
    fn hold(&mut self, piece: Piece, exchanges: &mut Exchanges) -> Option<Switch> {
        let lane = match piece.direction {
            Direction::ToOrigin => &mut self.request,
            Direction::ToClient => &mut self.response,
        };
        lane.held_bytes += piece.bytes.len();
        lane.held.push(piece);
        if lane.held_bytes > limits::HELD_BYTES || lane.held.len() > limits::HELD_PIECES {
            if lane.held.first().is_some_and(|piece| {
                piece.direction == Direction::ToClient && is_response_start(&piece.bytes)
            }) {
                self.disown(exchanges);
                return None;
            }
            exchanges.fault(None, "limit.held", "too many bytes that the other direction does not explain");
            return Some(Switch { next: Next::Silence, rest: Vec::new() });
        }
        None
    }
}
