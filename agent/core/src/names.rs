//! Every attribute name that Trackway writes. Profile `compat`: GenAI conventions v1.41.0.
#![allow(missing_docs, reason = "each constant is the name that it holds")]

/// The event at which a loop is recognised.
pub const LOOP: &str = "trackway.loop";

macro_rules! names {
    ($($name:ident = $text:literal;)*) => {
        $(pub const $name: &str = $text;)*

        /// All of them.
        pub const ALL: &[&str] = &[$($text),*];
    };
}

/// The constant that equals a name which was read from somewhere.
pub fn find(name: &str) -> Option<&'static str> {
    ALL.iter().copied().find(|known| *known == name)
}

pub mod metrics;
pub mod overlay;

names! {
    // GenAI, semantic-conventions v1.41.0
    OPERATION_NAME = "gen_ai.operation.name";
    PROVIDER_NAME = "gen_ai.provider.name";
    REQUEST_MODEL = "gen_ai.request.model";
    RESPONSE_MODEL = "gen_ai.response.model";
    RESPONSE_ID = "gen_ai.response.id";
    FINISH_REASONS = "gen_ai.response.finish_reasons";
    TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk";
    REQUEST_STREAM = "gen_ai.request.stream";
    REQUEST_TEMPERATURE = "gen_ai.request.temperature";
    REQUEST_TOP_P = "gen_ai.request.top_p";
    REQUEST_TOP_K = "gen_ai.request.top_k";
    REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens";
    REQUEST_FREQUENCY_PENALTY = "gen_ai.request.frequency_penalty";
    REQUEST_PRESENCE_PENALTY = "gen_ai.request.presence_penalty";
    REQUEST_SEED = "gen_ai.request.seed";
    REQUEST_STOP = "gen_ai.request.stop_sequences";
    REQUEST_CHOICES = "gen_ai.request.choice.count";
    REQUEST_REASONING_LEVEL = "gen_ai.request.reasoning.level";
    PREVIOUS_RESPONSE_ID = "gen_ai.request.previous_response.id";
    OUTPUT_TYPE = "gen_ai.output.type";
    CONVERSATION_ID = "gen_ai.conversation.id";
    CONVERSATION_COMPACTED = "gen_ai.conversation.compacted";
    AGENT_NAME = "gen_ai.agent.name";
    INPUT_TOKENS = "gen_ai.usage.input_tokens";
    OUTPUT_TOKENS = "gen_ai.usage.output_tokens";
    CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens";
    CACHE_WRITE_TOKENS = "gen_ai.usage.cache_creation.input_tokens";
    REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens";
    INPUT_MESSAGES = "gen_ai.input.messages";
    OUTPUT_MESSAGES = "gen_ai.output.messages";
    SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions";
    TOOL_DEFINITIONS = "gen_ai.tool.definitions";
    EMBEDDING_DIMENSIONS = "gen_ai.embeddings.dimension.count";
    TOOL_NAME = "gen_ai.tool.name";
    TOOL_TYPE = "gen_ai.tool.type";
    TOOL_DESCRIPTION = "gen_ai.tool.description";
    TOOL_CALL_ID = "gen_ai.tool.call.id";
    TOOL_ARGUMENTS = "gen_ai.tool.call.arguments";
    TOOL_RESULT = "gen_ai.tool.call.result";
    OPENAI_API_TYPE = "openai.api.type";
    OPENAI_REQUEST_TIER = "openai.request.service_tier";
    OPENAI_RESPONSE_TIER = "openai.response.service_tier";
    OPENAI_FINGERPRINT = "openai.response.system_fingerprint";

    // General conventions
    ERROR_TYPE = "error.type";
    SERVER_ADDRESS = "server.address";
    SERVER_PORT = "server.port";
    HTTP_METHOD = "http.request.method";
    HTTP_METHOD_ORIGINAL = "http.request.method_original";
    HTTP_STATUS = "http.response.status_code";
    HTTP_REQUEST_BODY_SIZE = "http.request.body.size";
    HTTP_RESPONSE_BODY_SIZE = "http.response.body.size";
    HTTP_RESEND_COUNT = "http.request.resend_count";
    URL_FULL = "url.full";
    URL_PATH = "url.path";
    URL_SCHEME = "url.scheme";
    NETWORK_TRANSPORT = "network.transport";
    NETWORK_PROTOCOL = "network.protocol.name";
    NETWORK_PROTOCOL_VERSION = "network.protocol.version";
    USER_AGENT = "user_agent.original";
    USER_ID = "user.id";
    PROCESS_PID = "process.pid";
    PROCESS_PARENT_PID = "process.parent_pid";
    PROCESS_CREATION_TIME = "process.creation.time";
    PROCESS_EXECUTABLE = "process.executable.name";
    PROCESS_EXECUTABLE_PATH = "process.executable.path";
    PROCESS_COMMAND = "process.command";
    PROCESS_COMMAND_ARGS = "process.command_args";
    PROCESS_EXIT_CODE = "process.exit.code";
    PROCESS_WORKING_DIRECTORY = "process.working_directory";
    SERVICE_NAME = "service.name";
    CONTAINER_ID = "container.id";
    SERVICE_INSTANCE_ID = "service.instance.id";
    HOST_NAME = "host.name";
    OS_TYPE = "os.type";
    SDK_NAME = "telemetry.sdk.name";
    SDK_LANGUAGE = "telemetry.sdk.language";
    SDK_VERSION = "telemetry.sdk.version";

    MCP_METHOD_NAME = "mcp.method.name";
    MCP_SESSION_ID = "mcp.session.id";
    MCP_PROTOCOL_VERSION = "mcp.protocol.version";
    MCP_RESOURCE_URI = "mcp.resource.uri";
    PROMPT_NAME = "gen_ai.prompt.name";
    JSONRPC_REQUEST_ID = "jsonrpc.request.id";
    RPC_METHOD = "rpc.method";
    RPC_STATUS = "rpc.response.status_code";

    // The product's own contract
    DECISION_RATIONALE = "agent.decision_rationale";
    RUN_LLM_CALLS = "agent.run.llm_calls";
    RUN_TOOL_CALLS = "agent.run.tool_calls";
    RUN_TOOL_ERRORS = "agent.run.tool_errors";
    RUN_INPUT_TOKENS = "agent.run.input_tokens";
    RUN_OUTPUT_TOKENS = "agent.run.output_tokens";
    RUN_CACHE_READ_TOKENS = "agent.run.cache_read_tokens";
    RUN_REASONING_TOKENS = "agent.run.reasoning_tokens";
    COST = "gen_ai.usage.cost";
    COST_SOURCE = "trackway.cost.source";
    COST_UNKNOWN = "trackway.cost.unknown";
    RUN_COST = "agent.run.cost_usd";
    RUN_UNPRICED = "agent.run.calls_without_cost";
    RUN_UNKNOWN_USAGE = "agent.run.calls_without_usage";
    RUN_HTTP_CALLS = "agent.run.http_calls";
    RUN_PIPE_CALLS = "agent.run.pipe_calls";
    RUN_PROCESSES = "agent.run.processes";
    RUN_UNREAD = "agent.run.unread_connections";
    PROVIDER_INFERRED = "trackway.provider.inferred";
    LINK_RULE = "trackway.link.rule";
    PREVIOUS_SPAN = "trackway.previous.span_id";
    PREVIOUS_RULE = "trackway.previous.rule";
    RETRY_OF = "trackway.retry.span_id";
    RETRY_RULE = "trackway.retry.rule";
    LOOP_LENGTH = "trackway.loop.length";
    LOOP_ROUNDS = "trackway.loop.rounds";
    LOOP_TOOLS = "trackway.loop.tools";
    CONTEXT_GROWTH = "trackway.context.growth_tokens";
    RUN_LOOPS = "agent.run.loops";
    RUN_LOOPED_CALLS = "agent.run.looped_tool_calls";
    RUN_REPEATED_CALLS = "agent.run.repeated_tool_calls";
    RUN_REPEATED_TOOL = "agent.run.repeated_tool";
    RUN_REPEATED_MOST = "agent.run.repeated_tool_most";
    RUN_REPEATED_FAILURES = "agent.run.repeated_tool_failures";
    RUN_REPEATED_ERRORS = "agent.run.repeated_errors";
    RUN_CONTEXT_FIRST = "agent.run.context.first_tokens";
    RUN_CONTEXT_LAST = "agent.run.context.last_tokens";
    RUN_CONTEXT_MOST = "agent.run.context.max_tokens";
    RUN_CACHED_SHARE = "agent.run.context.cached_share";
    RUN_MODEL_SHARE = "agent.run.time.model_share";
    RUN_TOOL_SHARE = "agent.run.time.tool_share";
    RUN_IDLE_SHARE = "agent.run.time.idle_share";
    RUN_CACHE_WRITE_TOKENS = "agent.run.cache_creation_tokens";
    RUN_STATUS = "agent.run.status";
    RUN_STATUS_REASON = "agent.run.status_reason";
    RUN_RETRIES = "agent.run.retries";
    RUN_UNANSWERED = "agent.run.tools_unanswered";
    TOOL_TIMES = "trackway.tool.times";
    CAPTURE_PLANE = "trackway.capture.plane";
    CAPTURE_LIBRARY = "trackway.capture.library";
    CAPTURE_METHOD = "trackway.capture.method";
    CONNECTION_REQUEST = "trackway.connection.request";
    COVERAGE_PLANES = "trackway.coverage.planes";
    COVERAGE_UNREAD_BYTES = "trackway.coverage.unread_bytes";
    COMPLETION = "trackway.completion";
    FAULTS = "trackway.faults";
    UNREAD_REASON = "trackway.unread.reason";
    UNREAD_BYTES_OUT = "trackway.unread.bytes_sent";
    UNREAD_BYTES_IN = "trackway.unread.bytes_received";
    LOST_FACTS = "trackway.lost.process_facts";
    LOST_MESSAGES = "trackway.lost.pipe_messages";
    MCP_SERVER_PID = "trackway.mcp.server.pid";
    EXIT_SIGNAL = "trackway.process.signal";
    ARGS_TRUNCATED = "trackway.process.args_truncated";
    THREAD_ID = "trackway.thread.id";
    THREAD_PARENT_ID = "trackway.thread.parent_id";
    LIMIT_SPANS = "trackway.limit.spans_unplaced";
    LIMIT_TOOLS = "trackway.limit.tools_unwatched";
    LIMIT_PROCESSES = "trackway.limit.processes_forgotten";
    LIMIT_TRACES = "trackway.limit.traces_ended";
    LIMIT_CONVERSATIONS = "trackway.limit.conversations_unfollowed";
    HTTP_AUXILIARY = "trackway.auxiliary";
    TRUNCATED = "trackway.truncated";
}
