//! The instruments, with the buckets that the conventions give them.

use crate::names::metrics as names;

/// What is measured, and how.
#[derive(Debug, PartialEq)]
pub struct Instrument {
    /// Name.
    pub name: &'static str,
    /// Unit. A word in braces says what is counted and is no unit to Prometheus, which would otherwise put it
    /// into the name.
    pub unit: &'static str,
    /// For people.
    pub description: &'static str,
    /// Kind.
    pub kind: Kind,
}

/// The kinds of instruments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A sum that only grows.
    Counter,
    /// The same for money, counted in 10^-12 US dollars and told in dollars.
    Money,
    /// A value as it is now.
    Gauge,
    /// A distribution over buckets, each of which holds its upper bound.
    Histogram(&'static [f64]),
}

/// Seconds of calls and tools.
pub(super) const CALL_SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Tokens.
pub(super) const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Seconds of agents.
pub(super) const AGENT_SECONDS: [f64; 13] =
    [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6];
/// Calls of one agent.
pub(super) const CALLS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
/// Seconds of MCP.
pub(super) const MCP_SECONDS: [f64; 14] =
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];

macro_rules! instruments {
    ($($id:ident = $name:ident, $kind:expr, $unit:literal, $text:literal;)*) => {$(
        pub(super) static $id: Instrument =
            Instrument { name: names::$name, unit: $unit, description: $text, kind: $kind };
    )*};
}

instruments! {
    TOKEN_USAGE = CLIENT_TOKEN_USAGE, Kind::Histogram(&TOKENS), "{token}",
        "Tokens of one call, as the provider states them.";
    CLIENT_DURATION = CLIENT_DURATION, Kind::Histogram(&CALL_SECONDS), "s", "Duration of calls to models.";
    CLIENT_FIRST_CHUNK = CLIENT_FIRST_CHUNK, Kind::Histogram(&CALL_SECONDS), "s",
        "Time from a streaming request to its first chunk.";
    INFERENCE_DURATION = INFERENCE_DURATION, Kind::Histogram(&CALL_SECONDS), "s",
        "Duration of inference calls.";
    INFERENCE_FIRST_CHUNK = INFERENCE_FIRST_CHUNK, Kind::Histogram(&CALL_SECONDS), "s",
        "Time from a streaming inference request to its first chunk.";
    INFERENCE_CALL_INPUT = INFERENCE_CALL_INPUT, Kind::Histogram(&TOKENS), "{token}",
        "Input tokens of one inference call.";
    INFERENCE_CALL_OUTPUT = INFERENCE_CALL_OUTPUT, Kind::Histogram(&TOKENS), "{token}",
        "Output tokens of one inference call.";
    INFERENCE_INPUT = INFERENCE_INPUT, Kind::Counter, "{token}", "Input tokens of inference calls.";
    INFERENCE_OUTPUT = INFERENCE_OUTPUT, Kind::Counter, "{token}", "Output tokens of inference calls.";
    INFERENCE_CACHE_READ = INFERENCE_CACHE_READ, Kind::Counter, "{token}",
        "Input tokens read from a cache.";
    INFERENCE_CACHE_WRITE = INFERENCE_CACHE_WRITE, Kind::Counter, "{token}",
        "Input tokens written to a cache.";
    INFERENCE_REASONING = INFERENCE_REASONING, Kind::Counter, "{token}", "Output tokens of reasoning.";
    AGENT_DURATION = AGENT_DURATION, Kind::Histogram(&AGENT_SECONDS), "s", "Duration of runs of agents.";
    AGENT_INFERENCE_CALLS = AGENT_INFERENCE_CALLS, Kind::Histogram(&CALLS), "{inference_call}",
        "Inference calls of one run.";
    AGENT_TOOL_CALLS = AGENT_TOOL_CALLS, Kind::Histogram(&CALLS), "{tool_call}",
        "Tool calls of one run that the agent executed itself.";
    TOOL_DURATION = TOOL_DURATION, Kind::Histogram(&CALL_SECONDS), "s", "Duration of tool executions.";
    MCP_DURATION = MCP_DURATION, Kind::Histogram(&MCP_SECONDS), "s",
        "Duration of MCP requests as their sender saw them.";
    COST = TOKEN_COST, Kind::Money, "{USD}", "Cost of calls to models in US dollars, where it is known.";
    TOOL_CALLS = TOOL_CALLS, Kind::Counter, "{call}", "Tool calls.";
    TOOL_ERRORS = TOOL_ERRORS, Kind::Counter, "{error}", "Tool calls that failed.";
    // A unit of 1 would end the name in _ratio there.
    TOOL_ERROR_RATE = TOOL_ERROR_RATE, Kind::Gauge, "",
        "Failed tool calls as a part of all, since the last report.";
    RUNS = RUNS, Kind::Counter, "{run}", "Runs of agents that ended.";
    COMPLETION_RATE = COMPLETION_RATE, Kind::Gauge, "",
        "Runs that ended without an error as a part of all that ended.";
    LIMIT_HITS = LIMIT_HITS, Kind::Counter, "{hit}", "How often Trackway met a limit of its own.";
    CALLS_UNPRICED = CALLS_UNPRICED, Kind::Counter, "{call}", "Calls to models whose cost is unknown.";
    CALLS_UNKNOWN_USAGE = CALLS_UNKNOWN_USAGE, Kind::Counter, "{call}",
        "Calls to models whose usage is unknown.";
    UNREAD = UNREAD, Kind::Counter, "{connection}", "Connections that were seen and not read.";
    LOST = LOST, Kind::Counter, "{fact}", "Facts about processes that were lost.";
    COVERAGE_BYTES = COVERAGE_BYTES, Kind::Counter, "By",
        "Bytes of connections: of bodies where they were read, of all that the socket carried where not.";
    COVERAGE_CONNECTIONS = COVERAGE_CONNECTIONS, Kind::Counter, "{connection}",
        "Connections that brought calls, and those that were not read.";
}
