//! Every bound of the core, in one place. Sizes in bytes unless the name says otherwise.

/// Longest HTTP/1 head (start line and headers) that is read.
pub const HEAD_BYTES: usize = 64 * 1024;
/// Most headers of one message.
pub const HEADERS: usize = 256;
/// Most bytes of one direction that wait for the other to say what they are.
pub const HELD_BYTES: usize = 256 * 1024;
/// Most pieces that such bytes may be cut into.
pub const HELD_PIECES: usize = 4096;
/// Bytes of a slice by which it is told whether it goes on with the first line of a response that others began.
pub const OPENING_BYTES: usize = 16;
/// Longest HTTP/2 header block before decompression, over all its CONTINUATION frames.
pub const HEADER_BLOCK_BYTES: usize = 256 * 1024;
/// Most HTTP/2 streams that one connection tracks at once.
pub const STREAMS: usize = 1024;
/// Largest HPACK dynamic table that a peer may ask for.
pub const HPACK_TABLE_BYTES: usize = 64 * 1024;
/// Most bytes of one direction of HTTP/2 that wait until they are certain to begin with a frame, where the
/// beginning of the connection was not seen.
pub const LATE_BYTES: usize = 64 * 1024;
/// Most slices that such bytes may be cut into.
pub const LATE_PIECES: usize = 64;
/// Longest frame that is believed in there.
pub const LATE_FRAME_BYTES: usize = 16 * 1024;
/// Longest DATA frame that is believed in there (what Go's server allows its clients).
pub const LATE_DATA_BYTES: usize = 1024 * 1024;
/// Most bytes held for out-of-order or partial HTTP/2 frames and WebSocket messages.
pub const FRAME_BYTES: usize = 16 * 1024 * 1024;
/// Most exchanges in flight on one pipelined HTTP/1 connection.
pub const PIPELINE: usize = 128;
/// Most decoded bytes of one request body that are kept for its decoder.
pub const REQUEST_BODY_BYTES: usize = 32 * 1024 * 1024;
/// Most decoded bytes of one non-streamed response body that are kept for its decoder.
pub const RESPONSE_BODY_BYTES: usize = 32 * 1024 * 1024;
/// Most bytes that are kept of a JSON body behind the place where it became too long.
pub const TAIL_BYTES: usize = 1024 * 1024;
/// Most members of one JSON object that are told apart.
pub const MEMBERS: usize = 1024;
/// A JSON string of this length without white space and escapes is encoded media, and left out.
pub const MEDIA_BYTES: usize = 64 * 1024;
/// Most bytes that one compressed body may expand to before decoding stops.
pub const DECODED_BYTES: usize = 256 * 1024 * 1024;
/// Most content codings that are stacked on one body.
pub const CODINGS: usize = 4;
/// Longest single server-sent event.
pub const EVENT_BYTES: usize = 16 * 1024 * 1024;
/// Most text accumulated for one streamed message, reasoning or tool argument.
pub const PART_BYTES: usize = 4 * 1024 * 1024;
/// Most parts, messages or tool calls that one call holds.
pub const PARTS: usize = 16 * 1024;
/// Deepest JSON that is read.
pub const JSON_DEPTH: usize = 128;
/// Most bytes of a request, or of a line of a pipe, that may be JSON-RPC and nothing else.
pub const RPC_BODY_BYTES: usize = 4 * 1024 * 1024;
/// Most messages of one batch of JSON-RPC.
pub const RPC_BATCH: usize = 1024;
/// Most states and texts of one task that are kept.
pub const RPC_STATES: usize = 1024;
/// Longest method of JSON-RPC.
pub const RPC_METHOD_BYTES: usize = 256;
/// Most bytes at the start of a body, or of a pipe, that are looked at for a method of MCP or A2A.
pub const RPC_LOOK_BYTES: usize = 256 * 1024;
/// Most bytes that one exchange of MCP or A2A keeps of what was answered, over all its messages.
pub const RPC_KEPT_BYTES: usize = 4 * 1024 * 1024;
/// Most messages of an answer that wait for the request to be whole.
pub const RPC_EARLY: usize = 64;
/// Most requests that wait for their answers on one pair of pipes.
pub const RPC_OPEN: usize = 1024;
/// Most bytes of lines whose requests wait for their answers on one pair of pipes.
pub const RPC_OPEN_BYTES: usize = 16 * 1024 * 1024;
/// Most choices of one answer (`n`).
pub const CHOICES: usize = 256;
/// Most fields about rate limits that one call keeps.
pub const RATE_FIELDS: usize = 32;
/// Longest line of a file of recorded exchanges: both bodies at their limits, in base64 or with escapes.
pub const CAPTURE_LINE_BYTES: usize = 256 * 1024 * 1024;
/// Most entries of one archive of recorded exchanges.
pub const CAPTURE_ENTRIES: usize = 1_000_000;
/// Most WebSocket messages of one recorded exchange.
pub const CAPTURE_MESSAGES: usize = 65_536;
/// Most of an error's text that is kept where the text is of no known shape.
pub const ERROR_BYTES: usize = 4096;
/// Most faults that one call keeps.
pub const FAULTS: usize = 32;
/// Longest single attribute value that is kept.
pub const ATTRIBUTE_BYTES: usize = 1024 * 1024;
/// Most processes that one run remembers.
pub const PROCESSES: usize = 65_536;
/// Most tool calls that one run holds open while they wait for their results.
pub const OPEN_TOOLS: usize = 8_192;
/// Most spans that one run holds back until their place is certain.
pub const HELD_SPANS: usize = 65_536;
/// Most bytes of one process's arguments.
pub const ARGV_BYTES: usize = 64 * 1024;
/// Most earlier images that one process remembers after it replaced them.
pub const IMAGES: usize = 8;
/// Most text of one tool call's arguments that is searched for commands and URLs.
pub const EVIDENCE_BYTES: usize = 64 * 1024;
/// Most conversations, and responses remembered to continue them, of one run.
pub const CONVERSATIONS: usize = 8_192;
/// Most different tool calls of one run that are counted.
pub const SIGNAL_CALLS: usize = 65_536;
/// Most separate times in which a model or a tool of one run worked.
pub const SIGNAL_TIMES: usize = 65_536;
/// How long a conversation that is a trace of its own may be silent before its root span goes out, in
/// nanoseconds. What comes later gets a root of its own in the same trace.
pub const IDLE_NANOS: u64 = 600_000_000_000;
/// How long an input waits for slower ones with an earlier time, in nanoseconds. Kernel facts and decoded
/// calls travel through different queues, each of which is emptied many times in this span.
pub const SETTLE_NANOS: u64 = 500_000_000;
/// How far the clocks of two sources may disagree about an order, in nanoseconds.
pub const SKEW_NANOS: u64 = 100_000_000;
/// Most calls that are remembered to tie later ones to them, and most tool calls whose asker is remembered.
pub const LINEAGE_CALLS: usize = 32_768;
/// Most calls that are told apart where all that was said is the same.
pub const LINEAGE_ALIKE: usize = 1_024;
/// Most calls before a call that are looked at.
pub const LINEAGE_ANCESTORS: usize = 4_096;
/// Letters of an answer from which it is recognised out of its place.
pub const TAIL_WEIGHT: usize = 32;
/// Letters of an answer that another provider's request repeats, from which it is taken to be the same.
pub const ALIEN_WEIGHT: usize = 200;
/// Letters from which a first message is looked for in the arguments of tool calls.
pub const PROMPT_LETTERS: usize = 24;
/// Letters of a summary from which it is recognised in a history that begins with it.
pub const SUMMARY_LETTERS: usize = 200;
/// Most answers of one run that are remembered because they may be summaries.
pub const SUMMARIES: usize = 64;
/// Letters from which the id of a sub-agent is taken to be given out once.
pub const AGENT_LETTERS: usize = 6;
/// Longest result of a tool call in which any UUID may be the id of a sub-agent that it started.
pub const AGENT_RESULT_BYTES: usize = 1024;
/// Letters from which an id of a tool call is taken to be given out once.
pub const ID_LETTERS: usize = 12;
/// Most attribute sets of one metric, one for the rest among them (the default of OpenTelemetry's SDKs). Each
/// service has a rest of its own.
pub const METRIC_SETS: usize = 2000;
/// Longest text of one attribute of a metric.
pub const METRIC_TEXT_BYTES: usize = 256;
/// Most services whose metrics are kept apart.
pub const METRIC_ORIGINS: usize = 256;
/// Most traces whose tool calls are counted at once for the metric of their agent.
pub const METRIC_TRACES: usize = 65_536;
/// Most messages, and most tools, that an overlay numbers one by one. The newest are taken.
pub const OVERLAY_ITEMS: usize = 512;
/// Smallest limit of attribute values: JSON of the conventions' shapes has to find place in it.
pub const SHORTEST_ATTRIBUTE: usize = 64;
