//! One exchange: its request's body kept while it may be an inference call, its answer read as it comes.

use super::session::Session;
use super::target;
use crate::call::{Call, Completion, Fault, Kind, Llm, ProviderError};
use crate::decode::{
    self, Answer, Body as Json, Ending, Faults, Format, Intake, Label, Sieve, Step, Target, identity, rpc,
    socket,
};
use crate::encoding;
use crate::flow::{Flow, Time};
use crate::http::{Headers, RequestHead, ResponseHead};
use crate::limits;

/// One exchange under way.
#[derive(Debug)]
pub(super) struct Exchange {
    call: Call,
    headers: Headers,
    /// The path as sent. The call's own has what looks like a secret replaced.
    path: String,
    candidates: Vec<&'static dyn Format>,
    body: Body,
    /// The format and what its request said, once the request was read.
    llm: Option<(&'static dyn Format, Box<Llm>)>,
    settled: bool,
    answer: Option<(&'static dyn Format, Box<dyn Answer>, Intake)>,
    /// What may be MCP or A2A, and its answer.
    rpc: Option<Box<rpc::Rpc>>,
    talk: Option<Intake>,
    /// What was wrong with bodies that only [`Exchange::rpc`] reads; no fault of a plain call.
    talk_faults: Faults,
    session: Option<Session>,
    /// Who is charged, as the response says.
    organization: Option<String>,
    faults: Faults,
    /// What was wrong with bodies that a format reads; no fault of a call that turns out to be another's.
    read_faults: Faults,
    ended: bool,
}

/// A request's body, kept for its decoder.
#[derive(Debug)]
enum Body {
    /// Nobody will read it.
    Ignored,
    /// Decoded so far. While there is a gate, it may turn out that nobody will read it.
    Kept { decoder: Box<encoding::Decoder>, sieve: Box<Sieve>, whole: bool, gate: Option<Box<rpc::Gate>> },
    /// Its coding is broken.
    Lost,
}

impl Exchange {
    pub(super) fn new(flow: &Flow, index: u64, head: &RequestHead, first_byte: Time) -> Self {
        let http = target::http(flow, head);
        let (_, _, rest) = target::split(&head.target);
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let place = Target { method: &head.method, path, headers: &head.headers };
        // In HTTP/2, no target is one that was said before the connection was joined.
        let unplaced = head.target.is_empty() && matches!(head.method.as_str(), "" | "POST");
        let candidates = if unplaced {
            decode::unplaced::candidates(&http.host, http.port)
        } else {
            decode::candidates(&place)
        };
        let mark = rpc::Mark::new(&place, query);
        let relevant = !candidates.is_empty() || socket::claims(path);
        let begin = |most, gate| {
            let coding = target::field(&head.headers, "content-encoding");
            Body::Kept {
                decoder: Box::new(encoding::Decoder::new(coding)),
                sieve: Box::new(Sieve::new(most)),
                whole: false,
                gate,
            }
        };
        let body = match &mark {
            _ if !candidates.is_empty() => begin(limits::REQUEST_BODY_BYTES, None),
            Some(mark) if mark.has_body() => {
                let gate = mark.is_gated().then(|| Box::new(rpc::Gate::new(mark.is_said())));
                begin(limits::RPC_BODY_BYTES, gate)
            }
            _ => Body::Ignored,
        };
        let path = path.to_owned();
        Self {
            call: Call {
                flow: flow.id,
                index,
                process: flow.process,
                plane: flow.plane,
                start: first_byte,
                request_end: first_byte,
                first_byte: None,
                first_chunk: None,
                end: first_byte,
                http,
                kind: Kind::Plain,
                completion: Completion::Unanswered,
                faults: Vec::new(),
            },
            headers: if relevant { head.headers.clone() } else { Headers::new() },
            path,
            candidates,
            body,
            llm: None,
            settled: false,
            answer: None,
            rpc: mark.map(|mark| Box::new(rpc::Rpc::new(mark))),
            talk: None,
            talk_faults: Faults::default(),
            session: None,
            organization: None,
            faults: Faults::default(),
            read_faults: Faults::default(),
            ended: false,
        }
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn session(&mut self) -> Option<&mut Session> {
        self.session.as_mut()
    }

    pub(super) fn request_data(&mut self, data: &[u8]) {
        let Body::Kept { decoder, sieve, whole, gate } = &mut self.body else { return };
        if *whole {
            return;
        }
        let mut decoded = Vec::new();
        let bytes = if decoder.is_identity() {
            data
        } else if let Err(error) = decoder.push(data, &mut decoded) {
            let faults =
                if self.candidates.is_empty() { &mut self.talk_faults } else { &mut self.read_faults };
            faults.add(error.kind(), format!("request: {error}"));
            self.body = Body::Lost;
            return;
        } else {
            &decoded
        };
        match gate.as_mut().map(|gate| gate.push(bytes)) {
            Some(rpc::Verdict::No) => {
                self.body = Body::Ignored;
                self.forget_rpc();
                return;
            }
            Some(rpc::Verdict::Yes) => *gate = None,
            Some(rpc::Verdict::More) | None => {}
        }
        *whole = matches!(sieve.push(bytes), Step::Whole(_));
    }

    /// It is neither MCP nor A2A.
    fn forget_rpc(&mut self) {
        (self.rpc, self.talk, self.talk_faults) = (None, None, Faults::default());
    }

    pub(super) fn request_end(&mut self, time: Time) {
        self.call.request_end = time;
        self.ended = true;
        self.settle();
    }

    pub(super) fn response(&mut self, head: &ResponseHead, first_byte: Time) {
        self.call.first_byte = Some(first_byte);
        self.call.http.status = Some(head.status).filter(|status| *status != 0);
        let get = |name: &str| target::field(&head.headers, name);
        self.call.http.content_type = get("content-type").map(str::to_owned);
        self.call.http.request_id = ["x-request-id", "request-id", "apim-request-id", "x-amzn-requestid"]
            .iter()
            .find_map(|name| get(name))
            .filter(|id| !id.is_empty())
            .map(str::to_owned);
        self.organization = ["openai-organization", "anthropic-organization-id"]
            .iter()
            .find_map(|name| get(name))
            .map(str::to_owned);
        self.call.http.attempts = get("x-envoy-attempt-count").and_then(|count| count.trim().parse().ok());
        self.call.http.rate_limits = target::rate_limits(&head.headers);
        if head.status == 101 {
            self.call.http.version = "websocket";
            if socket::claims(&self.path) {
                self.session = Some(Session::new(self.call.clone(), &self.headers));
            }
            return;
        }
        // Before the request is whole, the formats of models come first.
        if let Some(rpc) = &mut self.rpc
            && (self.settled || self.candidates.is_empty())
        {
            rpc.head(head.status, &head.headers);
            self.talk = Some(Intake::new(get("content-encoding"), Label::new(get("content-type"))));
            return;
        }
        // An answer before the whole request: what it answers will be known at the request's end.
        let format = match &self.llm {
            Some((format, _)) => Some(*format),
            None if !self.settled => self.candidates.first().copied(),
            None => None,
        };
        if let Some(format) = format {
            let intake = Intake::new(get("content-encoding"), Label::new(get("content-type")));
            let mut answer = format.answer();
            answer.head(head.status, &head.headers);
            self.answer = Some((format, answer, intake));
        }
    }

    pub(super) fn response_data(&mut self, data: &[u8], time: Time) {
        if let (Some(rpc), Some(intake)) = (&mut self.rpc, &mut self.talk) {
            let news = intake.push(data, rpc.as_mut(), &mut self.talk_faults);
            if rpc.is_other() {
                self.forget_rpc();
            } else if news {
                self.call.first_chunk.get_or_insert(time);
            }
            return;
        }
        if let Some((_, answer, intake)) = &mut self.answer
            && intake.push(data, answer.as_mut(), &mut self.read_faults)
        {
            self.call.first_chunk.get_or_insert(time);
        }
    }

    /// Nothing more comes.
    pub(super) fn finish(mut self, completion: Completion, wire: (u64, u64), time: Time) -> Call {
        if !self.ended {
            self.call.request_end = time;
        }
        self.settle();
        self.call.end = time;
        self.call.completion = completion;
        (self.call.http.request_bytes, self.call.http.response_bytes) = wire;
        let (mut said, mut other) = (self.llm.take(), false);
        if let Some((format, llm)) = &mut said
            && let Some((read, mut answer, mut intake)) = self.answer.take()
            && (read.api(), read.operation()) == (format.api(), format.operation())
        {
            if intake.finish(answer.as_mut(), &mut self.read_faults) {
                self.call.first_chunk.get_or_insert(time);
            }
            llm.stream = intake.is_stream();
            if let Some(charged) = self.organization.take() {
                llm.organization = Some(charged);
            }
            let ending = answer.finish(llm);
            other = ending == Ending::Other;
            // What was neither events nor JSON has no end of its own.
            let ending = if llm.stream { ending } else { Ending::Open };
            self.call.completion = completed(completion, ending);
        }
        if other {
            self.call.first_chunk = None;
        } else {
            std::mem::take(&mut self.read_faults)
                .into_vec()
                .into_iter()
                .for_each(|fault| self.faults.push(fault));
            if let Some((_, llm)) = said {
                self.claim(llm);
            }
        }
        if let Some(mut rpc) = self.rpc.take() {
            let mut stream = false;
            if let Some(mut intake) = self.talk.take() {
                if intake.finish(rpc.as_mut(), &mut self.talk_faults) {
                    self.call.first_chunk.get_or_insert(time);
                }
                stream = intake.is_stream();
            }
            if let Some((kind, ending)) = rpc.into_kind(stream, &mut self.talk_faults) {
                self.call.completion = completed(completion, ending);
                if self.call.completion == Completion::Partial {
                    self.talk_faults.add("truncated", "the answer ended before its end");
                }
                self.talk_faults.into_vec().into_iter().for_each(|fault| self.faults.push(fault));
                // What the message says is nearer to its sender than what the connection says.
                if let Kind::Mcp(mcp) = &kind
                    && mcp.traceparent.is_some()
                {
                    self.call.http.traceparent.clone_from(&mcp.traceparent);
                }
                self.call.kind = kind;
            } else {
                self.call.first_chunk = None;
            }
        }
        self.call.faults = self.faults.into_vec();
        self.call
    }

    /// It is a model's call.
    fn claim(&mut self, mut llm: Box<Llm>) {
        // A refusal whose body says nothing in a known shape is still one.
        let refused = self.call.http.status.filter(|status| *status >= 400);
        if let Some(status) = refused.filter(|_| llm.error.is_none()) {
            let message = format!("HTTP status {status}");
            llm.error = Some(ProviderError { kind: status.to_string(), message });
        }
        if self.call.completion == Completion::Partial {
            self.faults.add("truncated", "the answer ended before its end");
        }
        self.call.kind = Kind::Llm(llm);
    }

    /// Decides what the request is, and reads it. Once.
    fn settle(&mut self) {
        if std::mem::replace(&mut self.settled, true) || self.candidates.is_empty() && self.rpc.is_none() {
            return;
        }
        // What nobody but the decoders of MCP and A2A looks at is no fault of a plain call.
        let mut faults = Faults::default();
        let (mut broken, mut lost) = (false, false);
        let body = match std::mem::replace(&mut self.body, Body::Ignored) {
            Body::Kept { mut decoder, sieve, whole, gate: _ } => {
                // Behind a whole document nothing was decoded, and the end of its coding may stand there.
                if !whole && let Err(error) = decoder.finish() {
                    faults.add(error.kind(), format!("request: {error}"));
                }
                if sieve.is_over() {
                    let claimed = !self.candidates.is_empty();
                    let most = if claimed { limits::REQUEST_BODY_BYTES } else { limits::RPC_BODY_BYTES };
                    faults.add("limit.request_body", format!("longer than {most} bytes"));
                }
                broken = sieve.is_broken() || sieve.len() > 0 && !sieve.is_whole();
                let nothing = sieve.len() == 0 || sieve.shape().is_none();
                (!nothing).then(|| Json::new(*sieve, &mut faults))
            }
            Body::Lost => {
                lost = true;
                None
            }
            Body::Ignored => None,
        };
        let place = Target { method: &self.call.http.method, path: &self.path, headers: &self.headers };
        let fitting = decode::choose(&self.candidates, &place, body.as_ref());
        // What broke off may lack what tells its format.
        let by_path = || decode::choose(&self.candidates, &place, None).filter(|_| broken);
        if let Some(format) = fitting.or_else(by_path) {
            let mut llm = Box::new(decode::begin(format, &self.call.http.host, self.call.http.port));
            identity::from_headers(&self.headers, &mut llm);
            // Paths say something too.
            let body = body.unwrap_or_else(Json::none);
            format.request(&place, &body, &mut llm, &mut faults);
            if broken {
                faults.add("json", "the request is not valid JSON");
            }
            self.llm = Some((format, llm));
            self.forget_rpc();
        } else {
            self.answer = None;
            if let Some(rpc) = &mut self.rpc {
                rpc.request(body.as_ref(), lost, &mut faults);
                if rpc.is_other() {
                    self.forget_rpc();
                }
            }
        }
        let ours = if self.candidates.is_empty() { &mut self.talk_faults } else { &mut self.read_faults };
        if !self.candidates.is_empty() || self.rpc.is_some() {
            faults.into_vec().into_iter().for_each(|fault| ours.push(fault));
        }
        self.headers = Headers::new();
    }
}

/// How a call ended, from how its bytes ended and how its format did.
pub(super) fn completed(transport: Completion, ending: Ending) -> Completion {
    match (transport, ending) {
        (_, Ending::Whole) => Completion::Complete,
        (Completion::Complete, Ending::Cut) => Completion::Partial,
        (transport, _) => transport,
    }
}
