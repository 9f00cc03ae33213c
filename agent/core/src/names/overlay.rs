//! Names of other conventions, for readers that do not know those of OpenTelemetry.

names! {
    // GenAI conventions, v0.1.0
    CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens";

    // OpenInference
    SPAN_KIND = "openinference.span.kind";
    AGENT_NAME = "agent.name";
    SESSION_ID = "session.id";
    INPUT_VALUE = "input.value";
    INPUT_MIME = "input.mime_type";
    OUTPUT_VALUE = "output.value";
    OUTPUT_MIME = "output.mime_type";
    EMBEDDING_MODEL = "embedding.model_name";
    LLM_MODEL_NAME = "llm.model_name";
    LLM_REQUEST_MODEL = "llm.request.model_name";
    LLM_RESPONSE_MODEL = "llm.response.model_name";
    LLM_PROVIDER = "llm.provider";
    LLM_SYSTEM = "llm.system";
    LLM_PARAMETERS = "llm.invocation_parameters";
    LLM_INPUT_MESSAGES = "llm.input_messages";
    LLM_OUTPUT_MESSAGES = "llm.output_messages";
    LLM_TOOLS = "llm.tools";
    LLM_FINISH_REASON = "llm.finish_reason";
    LLM_PROMPT = "llm.token_count.prompt";
    LLM_COMPLETION = "llm.token_count.completion";
    LLM_TOTAL = "llm.token_count.total";
    LLM_CACHE_READ = "llm.token_count.prompt_details.cache_read";
    LLM_CACHE_WRITE = "llm.token_count.prompt_details.cache_write";
    LLM_REASONING = "llm.token_count.completion_details.reasoning";
    LLM_COST = "llm.cost.total";
    TOOL_NAME = "tool.name";
    TOOL_ID = "tool.id";
    TOOL_DESCRIPTION = "tool.description";
    TOOL_PARAMETERS = "tool.parameters";

    // What came before v1.37, and OpenLLMetry
    SYSTEM = "gen_ai.system";
    PROMPT = "gen_ai.prompt";
    COMPLETION = "gen_ai.completion";
    LEGACY_MODEL = "llm.model";
    LEGACY_PROMPT_TOKENS = "llm.prompt_tokens";
    LEGACY_COMPLETION_TOKENS = "llm.completion_tokens";
    LEGACY_TOTAL_TOKENS = "llm.total_tokens";
    LEGACY_REQUEST_TYPE = "llm.request.type";
    TRACELOOP_KIND = "traceloop.span.kind";
}
