//! A recorded exchange as the events that its bytes would have given.

use bytes::Bytes;

use super::{Exchange, Response, Times};
use crate::call::Call;
use crate::flow::{Flow, FlowId, Plane, Start, Time};
use crate::http::{Event, ResponseHead};
use crate::observe::Reader;

impl Exchange {
    /// What it meant. One call, or several where it became a WebSocket.
    ///
    /// Times that the file does not tell are zero, and the first chunk's is absent.
    pub fn replay(self) -> Vec<Call> {
        let lengths: Vec<usize> =
            self.response.iter().flat_map(|response| &response.chunks).map(|chunk| chunk.length).collect();
        let mut pieces = lengths.into_iter();
        let request = self.request.bytes.len();
        let mut first = request > 0;
        self.replay_cut(
            move |rest| {
                if std::mem::take(&mut first) { rest } else { pieces.next().unwrap_or(rest) }
            },
        )
    }

    /// The same with its bodies cut elsewhere. `cut` is told how much is left of a body, of the request's
    /// first, and says how long its next piece is; what it says is kept between one and the rest.
    pub fn replay_cut(mut self, mut cut: impl FnMut(usize) -> usize) -> Vec<Call> {
        let mut out = Vec::new();
        let mut reader = Reader::new(self.flow());
        let known = self.times;
        let Times { start, request_end, first_byte, end } = known.unwrap_or(Times {
            start: Time(0),
            request_end: Time(0),
            first_byte: Time(0),
            end: Time(0),
        });
        let completion = self.completion();
        let id = 0;
        let head = Box::new(std::mem::take(&mut self.head));
        reader.event(Event::Request { id, head, first_byte: start, time: start }, &mut out);
        for fault in self.faults.drain(..) {
            reader.event(Event::Fault { id: Some(id), fault }, &mut out);
        }
        let wire_request = self.request.wire.unwrap_or(self.request.bytes.len() as u64);
        for bytes in pieces(self.request.bytes, &mut cut) {
            reader.event(Event::RequestData { id, bytes, time: request_end }, &mut out);
        }
        reader.event(Event::RequestEnd { id, time: request_end }, &mut out);
        let mut wire_response = 0;
        let mut chunked = false;
        if let Some(Response { head, body, chunks }) = self.response {
            let ResponseHead { status, headers } = head;
            let head = Box::new(ResponseHead { status, headers });
            reader.event(Event::Response { id, head, first_byte, time: first_byte }, &mut out);
            wire_response = body.wire.unwrap_or(body.bytes.len() as u64);
            chunked = !chunks.is_empty();
            let mut arrived = chunks.iter();
            let (mut there, mut time, mut passed) = (0, end, 0);
            for bytes in pieces(body.bytes, &mut cut) {
                passed += bytes.len();
                while there < passed
                    && let Some(chunk) = arrived.next()
                {
                    there += chunk.length;
                    time = chunk.time;
                }
                reader.event(Event::ResponseData { id, bytes, time }, &mut out);
            }
        }
        for message in self.messages {
            let (direction, text, bytes) = (message.direction, message.text, message.bytes);
            let time = message.time.unwrap_or(end);
            reader.event(Event::Message { id, direction, text, bytes, time }, &mut out);
        }
        reader.event(Event::End { id, completion, wire_request, wire_response, time: end }, &mut out);
        if !chunked {
            // A body in one piece does not tell when its first event came.
            out.iter_mut()
                .filter(|call| call.http.version != "websocket")
                .for_each(|call| call.first_chunk = None);
        }
        out
    }

    fn flow(&self) -> Flow {
        Flow {
            id: FlowId(0),
            process: None,
            plane: Plane::Explicit,
            start: Start::Seen,
            host: (!self.host.is_empty()).then(|| self.host.clone()),
            destination: None,
            port: self.port.unwrap_or(if self.tls { 443 } else { 80 }),
            tls: self.tls,
            alpn: None,
            opened: self.times.map_or(Time(0), |times| times.start),
        }
    }
}

fn pieces(mut rest: Bytes, cut: &mut impl FnMut(usize) -> usize) -> Vec<Bytes> {
    let mut out = Vec::new();
    while !rest.is_empty() {
        let length = cut(rest.len()).clamp(1, rest.len());
        out.push(rest.split_to(length));
    }
    out
}
