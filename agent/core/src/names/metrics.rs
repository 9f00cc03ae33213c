//! Names of metrics and of the attributes that only they carry.

names! {
    // GenAI conventions, v1.41.0 and what came to them before v0.1.0
    CLIENT_TOKEN_USAGE = "gen_ai.client.token.usage";
    CLIENT_DURATION = "gen_ai.client.operation.duration";
    CLIENT_FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk";
    AGENT_DURATION = "gen_ai.invoke_agent.duration";
    AGENT_INFERENCE_CALLS = "gen_ai.invoke_agent.inference_calls";
    AGENT_TOOL_CALLS = "gen_ai.invoke_agent.tool_calls";
    TOOL_DURATION = "gen_ai.execute_tool.duration";
    MCP_DURATION = "mcp.client.operation.duration";
    TOKEN_TYPE = "gen_ai.token.type";

    // GenAI conventions, v0.1.0
    INFERENCE_DURATION = "gen_ai.client.inference.duration";
    INFERENCE_FIRST_CHUNK = "gen_ai.client.inference.time_to_first_chunk";
    INFERENCE_CALL_INPUT = "gen_ai.client.inference.operation.input_tokens";
    INFERENCE_CALL_OUTPUT = "gen_ai.client.inference.operation.output_tokens";
    INFERENCE_INPUT = "gen_ai.client.inference.usage.input_tokens";
    INFERENCE_OUTPUT = "gen_ai.client.inference.usage.output_tokens";
    INFERENCE_CACHE_READ = "gen_ai.client.inference.usage.cache_read.input_tokens";
    INFERENCE_CACHE_WRITE = "gen_ai.client.inference.usage.cache_write.input_tokens";
    INFERENCE_REASONING = "gen_ai.client.inference.usage.reasoning.output_tokens";
    TOKEN_MODALITY = "gen_ai.token.modality";

    // The operator's
    TOKEN_COST = "agent_token_cost_total";
    TOOL_CALLS = "agent_tool_calls_total";
    TOOL_ERRORS = "agent_tool_errors_total";
    TOOL_ERROR_RATE = "agent_tool_error_rate";
    RUNS = "agent_runs_total";
    COMPLETION_RATE = "agent_task_completion_rate";
    RUN_STATUS = "status";

    // The product's own health
    LIMIT_HITS = "trackway.limit.hits";
    LIMIT_NAME = "trackway.limit.name";
    CALLS_UNPRICED = "trackway.calls.without_cost";
    CALLS_UNKNOWN_USAGE = "trackway.calls.without_usage";
    UNREAD = "trackway.connections.unread";
    LOST = "trackway.process_facts.lost";
    COVERAGE_BYTES = "trackway.coverage.bytes";
    COVERAGE_CONNECTIONS = "trackway.coverage.connections";
    COVERAGE_READ = "trackway.coverage.read";

    // OpenTelemetry's mark of the set that takes what found no place
    OVERFLOW = "otel.metric.overflow";
}
