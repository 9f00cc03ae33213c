//! WebSocket (RFC 6455) with permessage-deflate (RFC 7692), seen from beside.

use bytes::{Buf, Bytes};

use super::exchange::{Exchanges, Piece};
use super::{Event, ExchangeId};
use crate::encoding::inflate::Inflate;
use crate::flow::{Direction, Time};
use crate::limits;

mod find;

// Opcodes of RFC 6455, section 5.2.
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;

/// What ends each compressed message in full and is left out on the wire (RFC 7692, section 7.2.1).
const TAIL: &[u8] = &[0, 0, 0xff, 0xff];

/// Compressed bytes that are inflated before the message's size is looked at.
const PIECE: usize = 1024;

/// Longest header: two bytes, eight of length, four of mask.
const HEADER: usize = 14;

/// Both directions after the upgrade.
#[derive(Debug)]
pub(super) struct Session {
    id: ExchangeId,
    lanes: [Lane; 2],
    /// Whether a close frame was seen.
    closing: bool,
}

/// One direction.
#[derive(Debug, Default)]
struct Lane {
    state: State,
    message: Option<Message>,
    deflate: Option<Deflate>,
    /// The frames make no sense any more.
    lost: bool,
}

#[derive(Debug)]
enum State {
    Header { seen: [u8; HEADER], length: usize },
    Payload { left: u64, mask: [u8; 4], position: usize, control: bool, last: bool },
}

#[derive(Debug)]
struct Message {
    text: bool,
    compressed: bool,
    bytes: Vec<u8>,
    /// Why it will not be delivered.
    broken: bool,
}

/// The sender's compression.
struct Deflate {
    inflate: Inflate,
    /// Whether each message refers to the ones before it.
    takeover: bool,
    /// What later messages refer to is gone.
    broken: bool,
}

impl std::fmt::Debug for Deflate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deflate").field("takeover", &self.takeover).finish_non_exhaustive()
    }
}

impl Default for State {
    fn default() -> Self {
        State::Header { seen: [0; HEADER], length: 0 }
    }
}

impl Session {
    /// The session that a 101 began, with its `Sec-WebSocket-Extensions`.
    pub(super) fn new(id: ExchangeId, extensions: &str) -> Self {
        let mut lanes = [Lane::default(), Lane::default()];
        for extension in extensions.split(',') {
            let mut params = extension.split(';').map(str::trim);
            if !params.next().is_some_and(|name| name.eq_ignore_ascii_case("permessage-deflate")) {
                continue;
            }
            // The negotiated window bits only shrink what a sender refers back to: an inflater with the
            // largest window reads them all.
            let (mut client, mut server) = (true, true);
            for param in params {
                client &= !param.eq_ignore_ascii_case("client_no_context_takeover");
                server &= !param.eq_ignore_ascii_case("server_no_context_takeover");
            }
            lanes[Direction::ToOrigin as usize].deflate = Some(Deflate::new(client));
            lanes[Direction::ToClient as usize].deflate = Some(Deflate::new(server));
            break;
        }
        Self { id, lanes, closing: false }
    }

    /// Takes bytes.
    pub(super) fn push(&mut self, piece: Piece, exchanges: &mut Exchanges) {
        let Piece { direction, gap, mut bytes, time } = piece;
        let id = self.id;
        let lane = &mut self.lanes[direction as usize];
        if lane.lost {
            if !find::begins(&bytes, direction) {
                return;
            }
            // Whoever pairs messages has to know that some are missing.
            exchanges.fault(Some(id), "websocket", "frames were found again behind what was lost");
            lane.lost = false;
        } else if gap > 0 {
            exchanges.fault(Some(id), "gap", format!("{gap} bytes were not seen"));
            if !lane.skip(gap) {
                exchanges.damage(id);
                lane.lose();
                // What comes with the gap may begin with a frame.
                return self.push(Piece { direction, gap: 0, bytes, time }, exchanges);
            }
            exchanges.wire(id, direction, gap);
        }
        loop {
            if let State::Payload { left: 0, control, last, .. } = lane.state {
                lane.state = State::default();
                if !control && last {
                    lane.deliver(id, direction, time, exchanges);
                }
            }
            if bytes.is_empty() {
                return;
            }
            match &mut lane.state {
                State::Header { seen, length } => {
                    seen[*length] = bytes.get_u8();
                    *length += 1;
                    if *length < size(seen, *length) {
                        continue;
                    }
                    let header = *seen;
                    match lane.begin(&header) {
                        Ok(opcode) => self.closing |= opcode == CLOSE,
                        Err(detail) => {
                            exchanges.fault(Some(id), "websocket", detail);
                            exchanges.damage(id);
                            lane.lose();
                            return;
                        }
                    }
                }
                State::Payload { left, mask, position, control, .. } => {
                    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    let part = bytes.split_to(take);
                    let (mask, from, control) = (*mask, *position, *control);
                    *left -= take as u64;
                    *position = (from + take) % 4;
                    if !control {
                        exchanges.wire(id, direction, take as u64);
                        lane.payload(&unmask(part, mask, from), id, exchanges);
                    }
                }
            }
        }
    }

    /// The connection ended: whole if the peers took leave.
    pub(super) fn close(&self, time: Time, exchanges: &mut Exchanges) {
        if self.closing {
            exchanges.response_end(self.id, time);
        }
    }
}

impl Lane {
    /// Reads a frame's header, which is whole; gives its opcode.
    fn begin(&mut self, header: &[u8; HEADER]) -> Result<u8, &'static str> {
        let (last, compressed, opcode) = (header[0] & 0x80 != 0, header[0] & 0x40 != 0, header[0] & 0x0f);
        if header[0] & 0x30 != 0 {
            return Err("a frame uses reserved bits");
        }
        let control = opcode >= CLOSE;
        let (left, behind) = match header[1] & 0x7f {
            126 => (u64::from(u16::from_be_bytes([header[2], header[3]])), 4),
            127 => {
                let [_, _, a, b, c, d, e, f, g, h, ..] = *header;
                (u64::from_be_bytes([a, b, c, d, e, f, g, h]), 10)
            }
            short => (u64::from(short), 2),
        };
        let mask = if header[1] & 0x80 == 0 {
            [0; 4]
        } else {
            [header[behind], header[behind + 1], header[behind + 2], header[behind + 3]]
        };
        match opcode {
            CONTINUATION if self.message.is_none() => return Err("a fragment continues no message"),
            CONTINUATION if compressed => return Err("a frame uses reserved bits"),
            TEXT | BINARY if self.message.is_some() => return Err("a message begins inside another"),
            TEXT | BINARY if compressed && self.deflate.is_none() => {
                return Err("a message is compressed and nobody agreed to that");
            }
            TEXT | BINARY => {
                let broken = compressed && self.deflate.as_ref().is_some_and(|deflate| deflate.broken);
                self.message = Some(Message { text: opcode == TEXT, compressed, bytes: Vec::new(), broken });
            }
            CONTINUATION => {}
            8..=10 if left > 125 || !last || compressed => return Err("a control frame is malformed"),
            8..=10 => {}
            _ => return Err("a frame of an unknown kind"),
        }
        self.state = State::Payload { left, mask, position: 0, control, last };
        Ok(opcode)
    }

    /// The frames make no sense until some are found again. What later messages refer to is gone.
    fn lose(&mut self) {
        let mut deflate = self.deflate.take();
        if let Some(deflate) = &mut deflate {
            deflate.broken = deflate.takeover;
            deflate.inflate.reset();
        }
        *self = Self { lost: true, deflate, ..Self::default() };
    }

    /// Takes part of a message.
    fn payload(&mut self, bytes: &[u8], id: ExchangeId, exchanges: &mut Exchanges) {
        let Some(message) = &mut self.message else { return };
        let was_broken = message.broken;
        match &mut self.deflate {
            Some(deflate) if message.compressed => {
                if deflate.broken {
                    message.broken = true;
                    return;
                }
                // A message that is too long is inflated all the same, for those that refer to it.
                if !deflate.push(bytes, message) {
                    message.broken = true;
                    deflate.broken = true;
                    exchanges.fault(Some(id), "encoding", "a compressed message is corrupt");
                    return;
                }
            }
            _ if !message.broken => {
                if message.bytes.len() + bytes.len() > limits::FRAME_BYTES {
                    message.broken = true;
                } else {
                    message.bytes.extend_from_slice(bytes);
                }
            }
            _ => {}
        }
        if message.broken {
            message.bytes = Vec::new();
            if !was_broken {
                exchanges.fault(Some(id), "limit.frame", "a message is too long");
            }
        }
    }

    /// A message is whole.
    fn deliver(&mut self, id: ExchangeId, direction: Direction, time: Time, exchanges: &mut Exchanges) {
        if self.message.as_ref().is_some_and(|message| message.compressed) {
            self.payload(TAIL, id, exchanges);
            if let Some(deflate) = &mut self.deflate
                && !deflate.takeover
            {
                // The next message stands alone, so nothing of this one can hurt it.
                deflate.inflate.reset();
                deflate.broken = false;
            }
        }
        if let Some(Message { text, bytes, broken: false, .. }) = self.message.take() {
            let bytes = Bytes::from(bytes);
            exchanges.events.push(Event::Message { id, direction, text, bytes, time });
        }
    }

    /// Bytes were lost: true where they all lay in the current payload.
    fn skip(&mut self, count: u64) -> bool {
        let State::Payload { left, position, control, .. } = &mut self.state else { return false };
        if *left < count {
            return false;
        }
        *left -= count;
        *position = (*position + usize::try_from(count % 4).unwrap_or(0)) % 4;
        if !*control && let Some(message) = &mut self.message {
            message.broken = true;
            message.bytes = Vec::new();
            if message.compressed
                && let Some(deflate) = &mut self.deflate
            {
                deflate.broken = true;
            }
        }
        true
    }
}

impl Deflate {
    fn new(takeover: bool) -> Self {
        Self { inflate: Inflate::new(false, usize::MAX, "permessage-deflate"), takeover, broken: false }
    }

    /// Inflates part of a message, piece by piece so that one piece cannot expand without bound.
    fn push(&mut self, mut bytes: &[u8], message: &mut Message) -> bool {
        while !bytes.is_empty() {
            let piece = &bytes[..bytes.len().min(PIECE)];
            let mut unlimited = 0;
            let Ok(step) = self.inflate.push(piece, &mut message.bytes, &mut unlimited) else { return false };
            bytes = &bytes[step.used..];
            if step.done {
                // A final block ends the stream inside a message, and an empty one follows it (RFC 7692,
                // section 7.2.3.4).
                self.inflate.reset();
            }
            if message.broken || message.bytes.len() > limits::FRAME_BYTES {
                message.broken = true;
                message.bytes.clear();
            }
        }
        true
    }
}

/// How long the header is that begins so.
fn size(seen: &[u8; HEADER], length: usize) -> usize {
    if length < 2 {
        return 2;
    }
    let extended = match seen[1] & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + extended + if seen[1] & 0x80 == 0 { 0 } else { 4 }
}

fn unmask(part: Bytes, mask: [u8; 4], from: usize) -> Bytes {
    if mask == [0; 4] {
        return part;
    }
    part.iter().enumerate().map(|(index, byte)| byte ^ mask[(from + index) % 4]).collect()
}
