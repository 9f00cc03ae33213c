//! The evidence of a tie.

/// How a tie was found, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The request names the response that it continues.
    PreviousResponse,
    /// The answer is the response that an earlier call began.
    SameResponse,
    /// The request carries the result for an id that the answer gave out.
    ToolCallId,
    /// The wire had no id: the result's name, and its place in the history.
    NameAndOrder,
    /// The request begins with all that was said before, answer included.
    History,
    /// The wire names the conversation, which the server keeps.
    ConversationId,
    /// All that the model said before is there, what it was told is not the same any more. Inferred.
    HistoryAnswers,
    /// The first message and the last answer are there. Inferred.
    HistoryTail,
    /// The history begins with the words of a summary of what was said before. Inferred.
    Compaction,
    /// The wire names the same session.
    Session,
    /// The result of the tool call names the sub-agent, as the sub-agent's requests do.
    AgentId,
    /// The wire says that it is a sub-agent's, and of which session or thread; not which tool call started it.
    SubAgent,
    /// The first message of the conversation stands in the arguments of an open tool call.
    PromptInArguments,
    /// A tool server is called by the name and with the arguments of an open tool call.
    NameAndArguments,
    /// The client counts how often it has tried.
    RetryCount,
    /// The same was asked again after it had failed.
    SameRequest,
    /// The same was asked twice at once, and one of the two was given up.
    Hedge,
}

impl Rule {
    /// Its name in `trackway.link.rule`.
    pub fn word(self) -> &'static str {
        match self {
            Rule::PreviousResponse => "previous_response_id",
            Rule::SameResponse => "response_id",
            Rule::ToolCallId => "tool_call_id",
            Rule::NameAndOrder => "name_and_order",
            Rule::History => "history",
            Rule::ConversationId => "conversation_id",
            Rule::HistoryAnswers => "history_answers",
            Rule::HistoryTail => "history_tail",
            Rule::Compaction => "compaction",
            Rule::Session => "session",
            Rule::AgentId => "agent_id",
            Rule::SubAgent => "sub_agent",
            Rule::PromptInArguments => "prompt_in_arguments",
            Rule::NameAndArguments => "name_and_arguments",
            Rule::RetryCount => "retry_count",
            Rule::SameRequest => "same_request",
            Rule::Hedge => "hedge",
        }
    }

    /// Whether the bytes say it, so that it cannot be otherwise.
    pub fn exact(self) -> bool {
        !matches!(
            self,
            Rule::HistoryAnswers
                | Rule::HistoryTail
                | Rule::Compaction
                | Rule::PromptInArguments
                | Rule::SameRequest
        )
    }
}
