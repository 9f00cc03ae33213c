//! What each input changes.

use std::sync::Arc;

use super::ask::same;
use super::attributes::Attributes;
use super::evidence::{Haystack, Needle};
use super::order::Input;
use super::outcome::{self, Failure};
use super::process::Image;
use super::{Above, Run, Scope, Spoken, chat, http, rpc};
use crate::call::{Call, Kind, Llm, Mcp, ToolCall};
use crate::flow::{Time, Unread};
use crate::lineage::Step;
use crate::process::{ProcessFact, ProcessKey};
use crate::telemetry::{Class, Event, SpanId, SpanKind};
use crate::{limits, names};

impl Run {
    pub(super) fn tie(&mut self, input: Input) {
        match input {
            Input::Fact(fact) => self.fact(fact),
            Input::Call(call) => self.tie_call(&call),
            Input::Unread(unread) => self.tie_unread(&unread),
            Input::Pipe(piped) => self.tie_pipe(&piped),
        }
    }

    fn fact(&mut self, fact: ProcessFact) {
        match fact {
            ProcessFact::Fork { parent, child, time } => {
                self.heard(time);
                self.processes.entry(child).parent.get_or_insert(parent);
                self.make_room();
            }
            ProcessFact::Exec { process, filename, argv, truncated, cwd, time } => {
                self.heard(time);
                let needle = Needle::new(&argv);
                let image = Image { filename, argv, truncated, cwd, time };
                if self.processes.exec(process, image)
                    && let Some(needle) = needle
                {
                    self.attach(process, &needle, time, true);
                }
                self.make_room();
            }
            ProcessFact::Exit { process, status, time } => {
                self.heard(time);
                self.processes.exit(process, status, time);
                self.settle(process);
            }
            ProcessFact::Lost { count, time } => {
                self.heard(time);
                self.totals.lost_facts += count;
            }
        }
    }

    pub(super) fn heard(&mut self, time: Time) {
        self.latest = self.latest.max(time);
    }

    fn tie_call(&mut self, call: &Call) {
        self.heard(call.end);
        match &call.kind {
            Kind::Llm(llm) => self.tie_llm(call, llm),
            Kind::Mcp(_) | Kind::A2a(_) | Kind::Plain => self.tie_plain(call),
        }
    }

    fn tie_llm(&mut self, call: &Call, llm: &Llm) {
        let (mut parent, mut rule) = self.caller(call.process);
        let id = self.call_id(call);
        // What only warms a cache is part of nothing, unless it begins a response that others continue.
        let step = (!llm.auxiliary || llm.response_id.is_some()).then(|| self.lineage.take(call, llm));
        let mut set = Attributes::default();
        let mut links = Vec::new();
        chat::attributes(call, llm, &mut set);
        if let Some(step) = &step {
            if self.identity.scope == Scope::Conversation {
                (parent, rule) = (self.enter(call, step, id), "conversation");
            }
            (parent, rule) = self.below(step, (parent, rule));
            for (conversation, tool) in &step.started {
                self.started(*conversation, *tool);
            }
            self.answer(call, llm, step);
            if !llm.auxiliary {
                self.conversations.add(call, llm, step, self.is_sub(step.conversation));
            }
            self.continues(step, id, &mut set, &mut links);
        }
        links.extend(self.named(call.http.traceparent.as_deref(), parent));
        let failure = outcome::of_call(call);
        let loops = step.as_ref().map(|step| self.signal(call, llm, (step, id), failure.as_ref(), &mut set));
        if !llm.auxiliary {
            self.count(llm, id, failure.is_some());
        }
        if self.identity.content.shows(Class::Content) {
            chat::content(call, llm, &mut set);
        }
        http::exchange(call, &mut set);
        set.int(names::CONNECTION_REQUEST, call.index);
        self.tally(id, |totals| totals.planes.add(call.plane));
        set.plain(names::LINK_RULE, rule);
        let resource = self.resource(call.process);
        let draft = self.draft(id, parent, chat::name(llm), call.start..call.end, set, &resource);
        let draft = draft.events(loops.unwrap_or_default()).links(links);
        self.emit(draft.kind(SpanKind::Client).failed(failure));
        self.ask(call, llm, id, parent, step.as_ref());
        self.let_go(false);
    }

    /// The root of the trace of a call's conversation, in which its span stands from now on.
    fn enter(&mut self, call: &Call, step: &Step, id: SpanId) -> SpanId {
        // What we added ourselves names no caller.
        let above = call.http.traceparent.as_deref().and_then(Above::read);
        let above = above.filter(|above| above.trace != self.base.id);
        let (trace, surplus) = self.traces.of_group(self.base.id, step, above, call.start);
        self.traces.keep(id, trace);
        if let Some(surplus) = surplus {
            self.hits.traces += 1;
            self.ended(&surplus);
        }
        self.trace_of(id).root
    }

    /// Counts what a call and its tool calls tell of the run. Gives the loops that it closes.
    fn signal(
        &mut self,
        call: &Call,
        llm: &Llm,
        (step, id): (&Step, SpanId),
        failure: Option<&Failure>,
        set: &mut Attributes,
    ) -> Vec<Event> {
        if llm.auxiliary {
            return Vec::new();
        }
        let kind = failure.map(|failure| failure.kind.as_str());
        let trace = self.trace_of(id);
        trace.end = trace.end.max(call.end);
        if let Some(grown) = trace.signals.called(step, llm, (call.start, call.end), kind) {
            set.int(names::CONTEXT_GROWTH, grown);
        }
        let asked = |tool: &ToolCall| {
            let same = same(&tool.name, &tool.arguments);
            trace.signals.asked(step.conversation, &tool.name, same, call.end)
        };
        let loops: Vec<Event> = llm.tool_calls().filter_map(asked).collect();
        self.tally(id, |totals| totals.loops += loops.len() as u64);
        loops
    }

    fn count(&mut self, llm: &Llm, id: SpanId, failed: bool) {
        // A call that the provider refused used nothing.
        let refused = failed && llm.output.is_empty();
        self.tally(id, |totals| totals.add(llm, refused));
        if let Some(name) = &llm.agent {
            self.spoken = match std::mem::take(&mut self.spoken) {
                Spoken::Nothing => Spoken::Name(name.clone()),
                Spoken::Name(other) if other == *name => Spoken::Name(other),
                _ => Spoken::Disagree,
            };
        }
    }

    fn tie_plain(&mut self, call: &Call) {
        let (mut parent, mut rule) = self.caller(call.process);
        let whole = format!("{}{}", http::origin(&call.http), call.http.path);
        let mut urls = vec![whole.trim_end_matches('/').to_owned()];
        urls.extend(call.http.query.as_ref().map(|query| format!("{whole}?{query}")));
        let carried = |mcp| self.carried_out(mcp, call.start, call.process);
        if let Some((tool, named)) = tool_call(call).and_then(carried) {
            (parent, rule) = (tool, named);
        } else if let Some(tool) = self.tools.holding(&urls, call.start, call.process) {
            (parent, rule) = (tool, "url_in_arguments");
        } else if let Some(tool) = self.tools.only(call.start, call.process, Haystack::says) {
            // A process that waits for one tool alone is taken to work for it; not where the tool is a command,
            // whose requests come from its own process.
            (parent, rule) = (tool, "window");
        }
        self.tally(parent, |totals| {
            totals.http_calls += 1;
            totals.planes.add(call.plane);
        });
        let id = self.call_id(call);
        self.exchange(call, id, parent, rule);
        for (ordinal, other) in (1..).zip(rpc::batch(call)) {
            let id = self.tool_id(id, ordinal);
            self.exchange(&other, id, parent, rule);
        }
    }

    /// The tool that a call of a tool server carries out.
    pub(super) fn carried_out(
        &mut self,
        mcp: &Mcp,
        start: Time,
        process: Option<ProcessKey>,
    ) -> Option<(SpanId, &'static str)> {
        if let Some((tool, rule)) = self.lineage.carried_out(mcp, start, process) {
            return Some((self.tools.span(tool)?, rule.word()));
        }
        let tool = self.tools.calling(mcp.tool_name.as_deref()?, start, process)?;
        Some((tool, "call_in_arguments"))
    }

    /// The span of an exchange that is no call of a model.
    fn exchange(&mut self, call: &Call, id: SpanId, parent: SpanId, rule: &'static str) {
        let mut set = Attributes::default();
        http::plain(call, &mut set);
        http::exchange(call, &mut set);
        // The others of a batch travelled in the same request.
        if id == self.call_id(call) {
            set.int(names::CONNECTION_REQUEST, call.index);
        }
        set.plain(names::LINK_RULE, rule);
        let name = rpc::attributes(call, &mut set)
            .unwrap_or_else(|| http::method(&call.http).unwrap_or("HTTP").to_owned());
        let resource = self.resource(call.process);
        let links = self.named(call.http.traceparent.as_deref(), parent).into_iter().collect();
        let draft = self.draft(id, parent, name, call.start..call.end, set, &resource).links(links);
        self.emit(draft.kind(SpanKind::Client).failed(outcome::of_call(call)));
    }

    fn tie_unread(&mut self, unread: &Unread) {
        self.heard(unread.closed);
        let flow = &unread.flow;
        let (parent, rule) = self.caller(flow.process);
        self.tally(parent, |totals| {
            totals.unread += 1;
            totals.unread_bytes += unread.bytes_to_origin + unread.bytes_to_client;
        });
        let mut set = Attributes::default();
        let failure: Option<Failure> = http::unread(unread, &mut set);
        set.plain(names::LINK_RULE, rule);
        let id = self.id(&[b"unread", &flow.id.0.to_le_bytes(), &flow.opened.0.to_le_bytes()]);
        let resource = self.resource(flow.process);
        let name = format!("unread {}", http::host(flow));
        let draft = self.draft(id, parent, name, flow.opened..unread.closed, set, &resource);
        self.emit(draft.kind(SpanKind::Client).failed(failure));
    }

    pub(super) fn resource(&mut self, process: Option<ProcessKey>) -> Arc<crate::telemetry::Resource> {
        let known = process.filter(|key| !self.processes.is_root(*key) && self.processes.get(*key).is_some());
        if let Some(key) = known {
            if self.resources.len() >= limits::PROCESSES {
                // Those of processes that were forgotten, which is counted there.
                self.resources.retain(|key, _| self.processes.get(*key).is_some());
            }
            let image = self.processes.get(key).and_then(|process| process.images.back());
            let make = || super::resource::of(&self.identity, Some(key), image);
            return Arc::clone(self.resources.entry(key).or_insert_with(make));
        }
        let root = self.identity.root;
        let image = root.and_then(|key| self.processes.get(key)).and_then(|process| process.images.back());
        let make = || super::resource::of(&self.identity, root, image);
        Arc::clone(self.own.get_or_insert_with(make))
    }
}

/// What a call asks of a tool server.
fn tool_call(call: &Call) -> Option<&Mcp> {
    if let Kind::Mcp(mcp) = &call.kind { Some(mcp) } else { None }
}
