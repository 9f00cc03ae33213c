//! Writing one run: a batch is a transaction.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use prost::Message as _;
use rusqlite::{Connection, TransactionBehavior, params};
use trackway_core::flow::Time;
use trackway_core::run::{Identity, Totals};
use trackway_core::telemetry::{AttributeValue, Content, Resource, Span, Status, TraceId};
use trackway_core::{names, redact};

use super::alive::Owner;
use super::pieces::Pieces;
use super::query::Kind;
use super::text::Texts;
use super::{Error, Store, days, id, limits, restore, whole};
use crate::sink::translate;

/// What is known of a run when it begins.
#[derive(Clone, Debug)]
pub struct Birth {
    /// Its trace.
    pub trace: TraceId,
    /// The agent's name.
    pub agent: String,
    /// The command as it was given.
    pub command: Vec<String>,
    /// The service that it counts as.
    pub service: Option<String>,
    /// When.
    pub start: Time,
}

impl From<&Identity> for Birth {
    fn from(identity: &Identity) -> Self {
        let service = identity.resource.attributes.iter().find(|it| it.key == names::SERVICE_NAME);
        Self {
            trace: identity.trace,
            agent: identity.name.clone(),
            command: redact::arguments(&identity.command),
            service: service.and_then(|it| it.value.as_text()).map(str::to_owned),
            start: identity.start,
        }
    }
}

/// What is written at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Batch<'a> {
    /// The run, the first time.
    pub birth: Option<&'a Birth>,
    /// Its spans.
    pub spans: &'a [Span],
    /// Its end, the last time.
    pub end: Option<&'a Totals>,
    /// Spans that could not be kept, so far.
    pub unstored: u64,
}

/// Writes a run at a time. Where its conversations are traces of their own, each is a run in the store.
#[derive(Debug)]
pub struct Writer {
    store: Store,
    policy: Content,
    birth: Option<Birth>,
    run: Option<Open>,
    conversations: HashMap<TraceId, Open>,
}

/// The run in hand, and what is remembered of what it said.
#[derive(Debug, Default)]
struct Open {
    id: i64,
    trace: Option<TraceId>,
    spans: i64,
    texts: i64,
    resources: Vec<(Arc<Resource>, i64)>,
    next_resource: i64,
    pieces: Pieces,
    said: Texts,
    tags: HashSet<(i64, String)>,
    unstored: u64,
    /// Whether conversations of it are runs of their own, so that the totals of all are not its own.
    split: bool,
}

impl Open {
    /// A transaction came to nothing: what it stored is not there. Its ids are not used again.
    fn forget(&mut self) {
        self.resources.clear();
        self.pieces.forget();
        self.said.forget();
        self.tags.clear();
    }
}

impl Writer {
    /// Opens the store for writing.
    pub fn create(path: &Path, policy: Content) -> Result<Self, Error> {
        Ok(Self {
            store: Store::create(path)?,
            policy,
            birth: None,
            run: None,
            conversations: HashMap::new(),
        })
    }

    /// The store it writes to.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Marks earlier runs whose process is gone.
    pub fn settle(&self) -> Result<(), Error> {
        self.store.settle()
    }

    /// Writes a batch: all of it or nothing.
    pub fn write(&mut self, batch: Batch<'_>) -> Result<(), Error> {
        let transaction =
            rusqlite::Transaction::new_unchecked(&self.store.db, TransactionBehavior::Immediate)?;
        let begun = match batch.birth {
            Some(birth) => Some(begin(&transaction, birth)?),
            None => None,
        };
        let fresh = begun.is_some();
        let mut run = match begun {
            Some(open) => open,
            None => match self.run.take() {
                Some(open) => open,
                None => return Ok(()),
            },
        };
        if let Some(birth) = batch.birth {
            self.birth = Some(birth.clone());
        }
        let (birth, others) = (self.birth.as_ref(), &mut self.conversations);
        let result = parted(&transaction, &mut run, others, birth, batch, self.policy)
            .and_then(|()| Ok(transaction.commit()?));
        if result.is_err() {
            run.forget();
            // Whether they were there before this transaction is not known any more.
            self.conversations.clear();
        }
        // A run that did not begin begins again with the next try.
        if result.is_ok() || !fresh {
            self.run = Some(run);
        }
        result
    }
}

/// Gives each span to the run whose trace it stands in.
fn parted(
    db: &Connection,
    run: &mut Open,
    others: &mut HashMap<TraceId, Open>,
    birth: Option<&Birth>,
    batch: Batch<'_>,
    policy: Content,
) -> Result<(), Error> {
    let own = |span: &&Span| run.trace.is_none_or(|trace| trace == span.trace);
    let Some(birth) = birth.filter(|_| !batch.spans.iter().all(|span| own(&span))) else {
        return run.write(db, batch, policy);
    };
    let mut foreign: BTreeMap<TraceId, Vec<Span>> = BTreeMap::new();
    let mut ours = Vec::new();
    for span in batch.spans {
        if own(&span) {
            ours.push(span.clone());
        } else {
            foreign.entry(span.trace).or_default().push(span.clone());
        }
    }
    for (trace, spans) in foreign {
        let mut open = match others.remove(&trace) {
            Some(open) => open,
            None => {
                let start = spans.iter().map(|span| span.start).min().unwrap_or(birth.start);
                begin(db, &Birth { trace, start, ..birth.clone() })?
            }
        };
        open.write(db, Batch { spans: &spans, ..Batch::default() }, policy)?;
        if spans.iter().any(Span::is_root) {
            ended(db, open.id)?;
            days::add(db, open.id)?;
        } else {
            others.insert(trace, open);
        }
    }
    run.split = true;
    run.write(db, Batch { spans: &ours, ..batch }, policy)
}

/// Says how a run ended, as its root has told it.
fn ended(db: &Connection, run: i64) -> Result<(), Error> {
    db.prepare_cached(
        "UPDATE runs SET status = CASE WHEN end IS NULL THEN 'lost' WHEN reason IS NULL THEN 'ok' ELSE 'error' END,
                end = coalesce(end, start) WHERE id = ?1",
    )?
    .execute([run])?;
    Ok(())
}

fn begin(db: &Connection, birth: &Birth) -> Result<Open, Error> {
    let me = Owner::me();
    let mut name = birth.trace.to_string();
    // Several runs may stand in one trace of somebody else.
    let taken: i64 = db
        .prepare_cached("SELECT count(*) FROM runs WHERE trace >= ?1 AND trace < ?1 || '.'")?
        .query_row([&name], |row| row.get(0))?;
    if taken > 0 {
        write!(name, "-{}", taken + 1).ok();
    }
    db.prepare_cached(
        "INSERT INTO runs (trace, agent, service, command, start, status, pid, born, boot)
         VALUES (?1, ?2, ?3, ?4, ?5, 'running', ?6, ?7, ?8)",
    )?
    .execute(params![
        name,
        birth.agent,
        birth.service,
        serde_json::to_string(&birth.command).unwrap_or_default(),
        whole(birth.start.0),
        me.pid,
        me.born,
        me.boot,
    ])?;
    Ok(Open { id: db.last_insert_rowid(), trace: Some(birth.trace), ..Open::default() })
}

impl Open {
    fn write(&mut self, db: &Connection, batch: Batch<'_>, policy: Content) -> Result<(), Error> {
        let mut sum = Sum::default();
        for span in batch.spans {
            if self.spans >= limits::NUMBERS {
                self.unstored += 1;
                continue;
            }
            let facts = Facts::of(span, policy);
            self.span(db, span, &facts, policy)?;
            self.find_by(db, span, policy)?;
            sum.add(span, &facts);
            if span.is_root() && Some(span.trace) == self.trace {
                self.root_span(db, span, policy)?;
            }
        }
        sum.store(db, self.id, self.unstored + batch.unstored)?;
        match batch.end {
            Some(_) if self.split => {
                ended(db, self.id)?;
                days::add(db, self.id)?;
            }
            Some(totals) => end(db, self.id, totals)?,
            None => {}
        }
        Ok(())
    }

    fn span(&mut self, db: &Connection, span: &Span, facts: &Facts, policy: Content) -> Result<(), Error> {
        let resource = self.resource(db, &span.resource, policy)?;
        let mut proto = translate::span(span, policy).span;
        self.pieces.take(db, self.id, &mut proto)?;
        let mut classes: Vec<u8> = restore::classes(&span.attributes, policy).collect();
        for event in &span.events {
            classes.extend(restore::classes(&event.attributes, policy));
        }
        let at = id(self.id, self.spans);
        self.spans += 1;
        let (failed, error) = match &span.status {
            Status::Unset => (false, None),
            Status::Error(message) => (true, Some(message)),
        };
        db.prepare_cached(
            "INSERT INTO spans VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
                                       ?18, ?19, ?20, ?21, ?22)",
        )?
        .execute(params![
            at,
            span.id.0,
            span.parent.map(|parent| parent.0),
            whole(span.start.0),
            whole(span.end.0),
            span.name,
            facts.op,
            facts.model,
            facts.tool,
            failed,
            error,
            facts.counts,
            facts.input,
            facts.output,
            facts.cached,
            facts.written,
            facts.reasoning,
            facts.cost,
            facts.unpriced,
            resource,
            proto.encode_to_vec(),
            classes,
        ])?;
        for (place, text) in self.said.of(span, policy) {
            if self.texts < limits::NUMBERS {
                db.prepare_cached("INSERT INTO said (rowid, body, span, place) VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![id(self.id, self.texts), text, at, place.code()])?;
                self.texts += 1;
            }
        }
        Ok(())
    }

    fn resource(&mut self, db: &Connection, resource: &Arc<Resource>, policy: Content) -> Result<i64, Error> {
        let same = |(known, _): &&(Arc<Resource>, i64)| Arc::ptr_eq(known, resource) || known == resource;
        if let Some((_, id)) = self.resources.iter().rev().find(same) {
            return Ok(*id);
        }
        let at = id(self.id, self.next_resource.min(limits::NUMBERS - 1));
        self.next_resource += 1;
        let proto = ProtoResource {
            attributes: translate::attributes(&resource.attributes, policy),
            ..ProtoResource::default()
        };
        let classes: Vec<u8> = restore::classes(&resource.attributes, policy).collect();
        db.prepare_cached("INSERT OR IGNORE INTO resources VALUES (?1, ?2, ?3)")?.execute(params![
            at,
            proto.encode_to_vec(),
            classes
        ])?;
        // The latest are the ones that come again.
        if self.resources.len() >= 64 {
            self.resources.remove(0);
        }
        self.resources.push((Arc::clone(resource), at));
        Ok(at)
    }

    /// The names by which the run is found.
    fn find_by(&mut self, db: &Connection, span: &Span, policy: Content) -> Result<(), Error> {
        let asked = text(span, names::REQUEST_MODEL, policy);
        let answered = text(span, names::RESPONSE_MODEL, policy);
        let named = [
            (Kind::Model, answered.or(asked)),
            (Kind::Asked, asked.filter(|asked| answered.is_some_and(|answered| answered != *asked))),
            (Kind::Provider, text(span, names::PROVIDER_NAME, policy)),
            (Kind::Tool, text(span, names::TOOL_NAME, policy)),
            (Kind::User, text(span, names::USER_ID, policy)),
            (Kind::Session, text(span, names::CONVERSATION_ID, policy)),
            (Kind::Session, text(span, names::MCP_SESSION_ID, policy)),
        ];
        for (kind, value) in named {
            let Some(value) = value else { continue };
            let value = value.get(..value.floor_char_boundary(limits::TAG_BYTES)).unwrap_or_default();
            let key = (kind as i64, value.to_owned());
            let many = self.tags.iter().filter(|(known, _)| *known == key.0).count();
            if value.is_empty() || many >= limits::TAGS || self.tags.contains(&key) {
                continue;
            }
            db.prepare_cached("INSERT OR IGNORE INTO tags VALUES (?1, ?2, ?3)")?
                .execute(params![key.0, key.1, self.id])?;
            self.tags.insert(key);
        }
        Ok(())
    }

    /// The root tells how the run ended. It stays `running` until its totals are there too.
    fn root_span(&self, db: &Connection, span: &Span, policy: Content) -> Result<(), Error> {
        let reason = match &span.status {
            Status::Unset => None,
            Status::Error(message) => Some(message),
        };
        let number = |key| span.attribute(key).and_then(AttributeValue::as_int);
        db.prepare_cached(
            "UPDATE runs SET start = ?2, end = ?3, reason = ?4, exit = ?5, signal = ?6,
                    agent = coalesce(?7, agent), task = coalesce(?8, task) WHERE id = ?1",
        )?
        .execute(params![
            self.id,
            whole(span.start.0),
            whole(span.end.0),
            reason,
            number(names::PROCESS_EXIT_CODE),
            number(names::EXIT_SIGNAL),
            text(span, names::AGENT_NAME, policy),
            text(span, names::INPUT_MESSAGES, policy).and_then(task),
        ])?;
        Ok(())
    }
}

/// The first words of the question that the run answers.
fn task(messages: &str) -> Option<String> {
    let messages: serde_json::Value = serde_json::from_str(messages).ok()?;
    let parts = messages.get(0)?.get("parts")?.as_array()?;
    let text = parts.iter().find_map(|part| part.get("content")?.as_str())?.trim();
    Some(text.get(..text.floor_char_boundary(limits::TASK_BYTES))?.to_owned())
}

fn text<'a>(span: &'a Span, key: &str, policy: Content) -> Option<&'a str> {
    let attribute = span.attributes.iter().find(|it| it.key == key && policy.shows(it.class))?;
    attribute.value.as_text()
}

/// The columns of a span.
#[derive(Default)]
struct Facts {
    op: Option<String>,
    model: Option<String>,
    tool: Option<String>,
    /// Whether it is an inference call that counts.
    counts: bool,
    input: Option<i64>,
    output: Option<i64>,
    cached: Option<i64>,
    written: Option<i64>,
    reasoning: Option<i64>,
    cost: Option<i64>,
    unpriced: bool,
}

impl Facts {
    fn of(span: &Span, policy: Content) -> Self {
        let owned = |key| text(span, key, policy).map(str::to_owned);
        let number = |key| span.attribute(key).and_then(AttributeValue::as_int);
        let op = owned(names::OPERATION_NAME);
        let counts = op.as_deref().is_some_and(|op| op != "execute_tool" && op != "invoke_agent")
            && span.attribute(names::HTTP_AUXILIARY).is_none();
        let cost = match span.attribute(names::COST) {
            #[expect(clippy::cast_possible_truncation, reason = "saturates, and no call costs that much")]
            Some(AttributeValue::Double(usd)) => Some((usd * 1e12).round() as i64),
            _ => None,
        };
        Self {
            counts,
            model: owned(names::RESPONSE_MODEL).or_else(|| owned(names::REQUEST_MODEL)),
            tool: owned(names::TOOL_NAME),
            input: number(names::INPUT_TOKENS),
            output: number(names::OUTPUT_TOKENS),
            cached: number(names::CACHE_READ_TOKENS),
            written: number(names::CACHE_WRITE_TOKENS),
            reasoning: number(names::REASONING_TOKENS),
            unpriced: counts && cost.is_none() && span.attribute(names::COST_UNKNOWN).is_some(),
            cost,
            op,
        }
    }
}

/// What a batch adds to the run's row. When the run ends, its own totals take the place.
#[derive(Default)]
struct Sum {
    spans: i64,
    failed: i64,
    llm_calls: i64,
    tool_calls: i64,
    tool_errors: i64,
    http_calls: i64,
    unread: i64,
    processes: i64,
    input: i64,
    output: i64,
    cached: i64,
    written: i64,
    reasoning: i64,
    cost: i64,
    unpriced: i64,
}

impl Sum {
    fn add(&mut self, span: &Span, facts: &Facts) {
        let failed = i64::from(span.status != Status::Unset);
        let has = |key| span.attribute(key).is_some();
        self.spans += 1;
        self.failed += failed;
        if facts.counts {
            self.llm_calls += 1;
            self.input += facts.input.unwrap_or(0);
            self.output += facts.output.unwrap_or(0);
            self.cached += facts.cached.unwrap_or(0);
            self.written += facts.written.unwrap_or(0);
            self.reasoning += facts.reasoning.unwrap_or(0);
            self.cost = self.cost.saturating_add(facts.cost.unwrap_or(0));
            self.unpriced += i64::from(facts.unpriced);
        } else if facts.op.as_deref() == Some("execute_tool")
            && !has(names::HTTP_METHOD)
            && !has(names::MCP_METHOD_NAME)
        {
            self.tool_calls += 1;
            self.tool_errors += failed;
        } else if has(names::UNREAD_REASON) {
            self.unread += 1;
        } else if has(names::HTTP_METHOD) && !has(names::HTTP_AUXILIARY) {
            self.http_calls += 1;
        } else if facts.op.is_none() && has(names::PROCESS_EXECUTABLE) {
            self.processes += 1;
        }
    }

    fn store(&self, db: &Connection, run: i64, unstored: u64) -> Result<(), Error> {
        db.prepare_cached(
            "UPDATE runs SET spans = spans + ?2, failed = failed + ?3, unstored = ?4, llm_calls = llm_calls + ?5,
                    tool_calls = tool_calls + ?6, tool_errors = tool_errors + ?7, http_calls = http_calls + ?8,
                    unread = unread + ?9, processes = processes + ?10, input = input + ?11, output = output + ?12,
                    cached = cached + ?13, written = written + ?14, reasoning = reasoning + ?15, cost = cost + ?16,
                    unpriced = unpriced + ?17 WHERE id = ?1",
        )?
        .execute(params![
            run,
            self.spans,
            self.failed,
            whole(unstored),
            self.llm_calls,
            self.tool_calls,
            self.tool_errors,
            self.http_calls,
            self.unread,
            self.processes,
            self.input,
            self.output,
            self.cached,
            self.written,
            self.reasoning,
            self.cost,
            self.unpriced,
        ])?;
        Ok(())
    }
}

fn end(db: &Connection, run: i64, totals: &Totals) -> Result<(), Error> {
    ended(db, run)?;
    db.prepare_cached(
        "UPDATE runs SET llm_calls = ?2, tool_calls = ?3, tool_errors = ?4, http_calls = ?5,
                unread = ?6, processes = ?7, input = ?8, output = ?9, cached = ?10, reasoning = ?11, cost = ?12,
                unpriced = ?13, uncounted = ?14, lost_facts = ?15, written = ?16, loops = ?17, retries = ?18,
                unanswered = ?19 WHERE id = ?1",
    )?
    .execute(params![
        run,
        whole(totals.llm_calls),
        whole(totals.tool_calls),
        whole(totals.tool_errors),
        whole(totals.http_calls),
        whole(totals.unread),
        whole(totals.processes),
        whole(totals.input_tokens),
        whole(totals.output_tokens),
        whole(totals.cache_read_tokens),
        whole(totals.reasoning_tokens),
        whole(totals.cost_pico_usd),
        whole(totals.calls_without_cost),
        whole(totals.calls_without_usage),
        whole(totals.lost_facts),
        whole(totals.cache_write_tokens),
        whole(totals.loops),
        whole(totals.retries),
        whole(totals.tools_unanswered),
    ])?;
    days::add(db, run)
}
