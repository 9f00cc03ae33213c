//! HTTP/2 (RFC 9113), seen from beside.

use std::collections::HashMap;

use bytes::{Buf, Bytes};

use super::exchange::{Exchanges, Piece};
use super::sniff::PREFACE;
use super::{ExchangeId, RequestHead, ResponseHead};
use crate::call::Completion;
use crate::flow::{Direction, Time};
use crate::limits;

mod block;
mod frame;
mod hpack;
mod huffman;
pub(super) mod late;
mod lost;
mod table;

use block::{Block, Fields};
use frame::{Frame, Frames, Head};
use late::Finder;

/// `SETTINGS_HEADER_TABLE_SIZE`.
const HEADER_TABLE_SIZE: u16 = 1;

// Error codes of RFC 9113, section 7.
const REFUSED_STREAM: u32 = 7;

/// Both directions of an HTTP/2 connection.
#[derive(Debug)]
pub(super) struct Session {
    lanes: [Lane; 2],
    /// Bytes of the client's preface that are still to come.
    preface: usize,
    streams: HashMap<u32, Stream>,
    /// The highest stream that the client has opened.
    last: u32,
    /// The first one that was seen.
    first: Option<u32>,
    /// Whether the beginning was not seen, and answers may come whose requests were not either.
    joined: bool,
    /// Whether the way was lost, for good.
    lost: bool,
}

/// One direction.
#[derive(Debug, Default)]
struct Lane {
    frames: Frames,
    decoder: hpack::Decoder,
    block: Option<Block>,
    /// Looks for the way, while it is lost.
    finder: Option<Finder>,
    /// The way was lost once: what was said meanwhile may be referred to.
    late: bool,
}

#[derive(Debug)]
struct Stream {
    id: ExchangeId,
    begun: Time,
    request_done: bool,
    response_done: bool,
    responded: bool,
    /// The response may have passed unseen.
    doubt: bool,
}

impl Stream {
    fn new(id: ExchangeId, begun: Time) -> Self {
        Self { id, begun, request_done: false, response_done: false, responded: false, doubt: false }
    }
}

impl Session {
    /// A connection that begins with the client's preface.
    pub(super) fn new() -> Self {
        Self {
            lanes: Default::default(),
            preface: PREFACE.len(),
            streams: HashMap::new(),
            last: 0,
            first: None,
            joined: false,
            lost: false,
        }
    }

    /// A connection that an HTTP/1 exchange was upgraded to; it is answered on stream 1.
    pub(super) fn upgraded(id: ExchangeId) -> Self {
        let mut session = Self::new();
        session.last = 1;
        session.streams.insert(1, Stream { request_done: true, ..Stream::new(id, Time::default()) });
        // The client's settings stood in a header field of the request.
        session.lanes[Direction::ToClient as usize].decoder.grant(u32::MAX);
        session
    }

    /// Takes bytes.
    pub(super) fn push(&mut self, mut piece: Piece, exchanges: &mut Exchanges) {
        let direction = piece.direction;
        if self.lost {
            return;
        }
        if piece.gap > 0 && self.lanes[direction as usize].finder.is_none() {
            self.gap(direction, piece.gap, piece.time, exchanges);
            piece.gap = 0;
        }
        let most = self.most(direction);
        let Some(finder) = &mut self.lanes[direction as usize].finder else {
            return self.read(piece, exchanges);
        };
        let found = finder.push(piece, most);
        if let Some(until) = finder.skipped.take()
            && direction == Direction::ToClient
        {
            self.doubt(until, exchanges);
        }
        if let Some(found) = found {
            self.lanes[direction as usize].finder = None;
            for piece in found {
                self.push(piece, exchanges);
            }
        }
    }

    /// Reads what follows in a direction.
    fn read(&mut self, piece: Piece, exchanges: &mut Exchanges) {
        let Piece { direction, mut bytes, time, .. } = piece;
        if direction == Direction::ToOrigin && self.preface > 0 {
            let take = self.preface.min(bytes.len());
            let expected = &PREFACE[PREFACE.len() - self.preface..][..take];
            if bytes[..take] != *expected {
                return self.lose("h2.frame", "the client's preface is wrong", time, exchanges);
            }
            self.preface -= take;
            bytes.advance(take);
        }
        while let Some(frame) = self.lanes[direction as usize].frames.next(&mut bytes, time) {
            let result = match frame {
                Frame::Bad(fault) => Err((fault, "a frame does not fit".to_owned())),
                Frame::Data { stream, bytes } => {
                    self.data(direction, stream, bytes, time, exchanges);
                    Ok(())
                }
                Frame::DataEnd { head } => {
                    if head.flags & frame::END_STREAM != 0 {
                        self.stream_end(direction, head.stream, time, exchanges);
                    }
                    Ok(())
                }
                Frame::Whole { head, payload } => self.frame(direction, head, payload, time, exchanges),
            };
            if let Err((fault, detail)) = result {
                // A way that was found once may have been a wrong one, or be found again.
                if self.lanes[direction as usize].late {
                    return self.lose_way(direction, fault, detail, time, exchanges);
                }
                return self.lose(fault, detail, time, exchanges);
            }
        }
    }

    /// One direction ended: without the server's nothing can be answered.
    pub(super) fn end(
        &mut self,
        direction: Direction,
        client_left: bool,
        time: Time,
        exchanges: &mut Exchanges,
    ) {
        if direction == Direction::ToClient {
            let mut ids: Vec<_> = self.streams.drain().map(|(_, stream)| stream.id).collect();
            ids.sort_unstable();
            for id in ids {
                exchanges.cut(id, client_left, time);
            }
        }
    }

    fn frame(
        &mut self,
        direction: Direction,
        head: Head,
        payload: Vec<u8>,
        time: Time,
        exchanges: &mut Exchanges,
    ) -> Result<(), (&'static str, String)> {
        // RFC 9113, section 6.10: nothing may stand between the frames of one header block.
        let lane = &mut self.lanes[direction as usize];
        if lane.block.is_some() != (head.kind == frame::CONTINUATION) {
            return Err(("h2.frame", "a header block is interrupted".to_owned()));
        }
        match head.kind {
            frame::HEADERS | frame::PUSH_PROMISE => {
                lane.block = Some(Block::new(head, payload));
                self.block(direction, head.flags, time, exchanges)
            }
            frame::CONTINUATION => {
                if !lane.block.as_mut().is_some_and(|block| block.extend(head, &payload)) {
                    return Err(("limit.header_block", "a header block does not fit".to_owned()));
                }
                self.block(direction, head.flags, time, exchanges)
            }
            frame::SETTINGS if head.flags & frame::ACK == 0 => {
                let toward = &mut self.lanes[opposite(direction) as usize].decoder;
                let (settings, _) = payload.as_chunks::<6>();
                for &[a, b, w, x, y, z] in settings {
                    if u16::from_be_bytes([a, b]) == HEADER_TABLE_SIZE {
                        toward.grant(u32::from_be_bytes([w, x, y, z]));
                    }
                }
                Ok(())
            }
            frame::RST_STREAM => {
                let code = payload.first_chunk().map_or(0, |code| u32::from_be_bytes(*code));
                self.reset(direction, head.stream, code, time, exchanges);
                Ok(())
            }
            frame::GOAWAY if direction == Direction::ToClient => {
                let last = payload.first_chunk().map_or(0, |last| u32::from_be_bytes(*last) & 0x7fff_ffff);
                self.go_away(last, time, exchanges);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Decodes the header block that was collected, if it is whole.
    fn block(
        &mut self,
        direction: Direction,
        flags: u8,
        time: Time,
        exchanges: &mut Exchanges,
    ) -> Result<(), (&'static str, String)> {
        if flags & frame::END_HEADERS == 0 {
            return Ok(());
        }
        let lane = &mut self.lanes[direction as usize];
        let Some(Block { head, bytes }) = lane.block.take() else { return Ok(()) };
        let mut fields = Fields::default();
        lane.decoder
            .decode(&bytes, |field| fields.add(field))
            .map_err(|error| ("h2.hpack", error.to_string()))?;
        if head.kind == frame::HEADERS {
            match direction {
                Direction::ToOrigin => self.request(head, fields, time, exchanges),
                Direction::ToClient => self.response(head, fields, time, exchanges),
            }
            if head.flags & frame::END_STREAM != 0 {
                self.stream_end(direction, head.stream, time, exchanges);
            }
        }
        Ok(())
    }

    fn request(&mut self, head: Head, fields: Fields, time: Time, exchanges: &mut Exchanges) {
        // A stream that is not new gets trailers here, or was reset before.
        if head.stream <= self.last || head.stream.is_multiple_of(2) {
            return;
        }
        // Whether it is new is not certain where the way was lost, and trailers have no such fields.
        if self.lanes[Direction::ToOrigin as usize].late && !fields.is_request() {
            return;
        }
        self.last = head.stream;
        self.first.get_or_insert(head.stream);
        if self.streams.len() >= limits::STREAMS && !self.give_up_one(time, exchanges) {
            exchanges.fault(None, "limit.streams", "too many streams are open; this one is not read");
            return;
        }
        let (overflow, unknown) = (fields.overflow, fields.unknown(true));
        // CONNECT has no path.
        let whole = unknown.is_none() || fields.method.as_deref() == Some("CONNECT");
        let authority = fields.authority.or_else(|| {
            fields.headers.iter().find(|(name, _)| name == "host").map(|(_, value)| value.clone())
        });
        let request = RequestHead {
            target: fields.path.or_else(|| authority.clone().filter(|_| whole)).unwrap_or_default(),
            method: fields.method.unwrap_or_default(),
            authority,
            version: "2",
            headers: fields.headers,
        };
        let id = exchanges.request(request, head.first_byte, time);
        if overflow {
            exchanges.fault(Some(id), "limit.headers", "not all fields of the request are kept");
        }
        if let Some(unknown) = unknown {
            exchanges.fault(Some(id), "h2.joined", unknown);
        }
        self.streams.insert(head.stream, Stream::new(id, time));
    }

    fn response(&mut self, head: Head, fields: Fields, time: Time, exchanges: &mut Exchanges) {
        let Some(stream) = self.streams.get_mut(&head.stream) else {
            return self.stray(head.stream, &fields, exchanges);
        };
        if stream.responded {
            return;
        }
        // Trailers have no status; the response was lost then.
        if stream.doubt && fields.status.is_none() {
            exchanges.finish(stream.id, Completion::Partial, time);
            self.streams.remove(&head.stream);
            return;
        }
        let status = fields.status.unwrap_or_default();
        // Informational, unless it ends the stream, which no interim response can.
        if (100..200).contains(&status) && head.flags & frame::END_STREAM == 0 {
            return;
        }
        stream.responded = true;
        let id = stream.id;
        let (overflow, unknown) = (fields.overflow, fields.unknown(false));
        let response = ResponseHead { status, headers: fields.headers };
        exchanges.response(id, response, head.first_byte, time);
        if let Some(unknown) = unknown {
            exchanges.fault(Some(id), "h2.joined", unknown);
        } else if status == 0 {
            exchanges.fault(Some(id), "http.head", "response has no status");
        }
        if overflow {
            exchanges.fault(Some(id), "limit.headers", "not all fields of the response are kept");
        }
    }

    fn data(&self, direction: Direction, stream: u32, bytes: Bytes, time: Time, exchanges: &mut Exchanges) {
        let Some(stream) = self.streams.get(&stream) else { return };
        let open = match direction {
            Direction::ToOrigin => !stream.request_done,
            Direction::ToClient => stream.responded && !stream.response_done,
        };
        if open {
            exchanges.data(stream.id, direction, bytes, time);
        }
    }

    fn stream_end(&mut self, direction: Direction, number: u32, time: Time, exchanges: &mut Exchanges) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        match direction {
            Direction::ToOrigin => {
                stream.request_done = true;
                exchanges.request_end(stream.id, time);
            }
            Direction::ToClient if !stream.responded => {
                exchanges.fault(Some(stream.id), "h2.frame", "stream ends without a response");
                exchanges.cut(stream.id, false, time);
                self.streams.remove(&number);
                return;
            }
            Direction::ToClient => {
                stream.response_done = true;
                exchanges.response_end(stream.id, time);
            }
        }
        if stream.request_done && stream.response_done {
            self.streams.remove(&number);
        }
    }

    fn reset(&mut self, direction: Direction, number: u32, code: u32, time: Time, exchanges: &mut Exchanges) {
        let Some(stream) = self.streams.remove(&number) else { return };
        if stream.response_done {
            // RFC 9113, section 8.1: a server that needs no more of the request says so by NO_ERROR.
            exchanges.cut(stream.id, false, time);
        } else if direction == Direction::ToClient && code == REFUSED_STREAM {
            exchanges.finish(stream.id, Completion::Unanswered, time);
        } else {
            // Whatever its reason, a client that resets wants no more of the answer.
            exchanges.cut(stream.id, direction == Direction::ToOrigin, time);
        }
    }

    /// Streams above the last one were not and will not be processed (RFC 9113, section 6.8).
    fn go_away(&mut self, last: u32, time: Time, exchanges: &mut Exchanges) {
        let mut refused: Vec<_> = self.streams.keys().copied().filter(|&number| number > last).collect();
        refused.sort_unstable();
        for number in refused {
            if let Some(stream) = self.streams.remove(&number) {
                exchanges.cut(stream.id, false, time);
            }
        }
    }
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::ToOrigin => Direction::ToClient,
        Direction::ToClient => Direction::ToOrigin,
    }
}
