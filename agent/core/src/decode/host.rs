//! Names of providers by host. The host names the provider and nothing else: what format a call has is
//! judged by its path and body.

/// Exact hosts and suffixes (with their leading dot) and their `gen_ai.provider.name`.
const HOSTS: &[(&str, &str)] = &[
    ("api.openai.com", "openai"),
    (".api.openai.com", "openai"),
    ("chatgpt.com", "openai"),
    (".chatgpt.com", "openai"),
    (".openai.azure.com", "azure.ai.openai"),
    (".cognitiveservices.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    (".models.ai.azure.com", "azure.ai.inference"),
    (".inference.ai.azure.com", "azure.ai.inference"),
    ("api.anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    (".aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("-aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral_ai"),
    ("codestral.mistral.ai", "mistral_ai"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "x_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.moonshot.ai", "moonshot_ai"),
    ("api.moonshot.cn", "moonshot_ai"),
    ("openrouter.ai", "openrouter"),
    ("api.together.xyz", "together_ai"),
    ("api.together.ai", "together_ai"),
    ("api.fireworks.ai", "fireworks"),
    ("api.cerebras.ai", "cerebras"),
    ("api.z.ai", "zai"),
    ("router.huggingface.co", "huggingface"),
    ("ollama.com", "ollama"),
];

/// The provider that a host belongs to.
pub(crate) fn provider(host: &str) -> Option<&'static str> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let known = HOSTS
        .iter()
        .find(|(name, _)| if name.starts_with(['.', '-']) { host.ends_with(name) } else { host == *name });
    known.map(|(_, provider)| *provider).or_else(|| {
        let bedrock = host.starts_with("bedrock-") && host.ends_with(".amazonaws.com")
            || host.starts_with("bedrock-mantle.") && host.ends_with(".api.aws");
        bedrock.then_some("aws.bedrock")
    })
}

#[cfg(test)]
mod tests {
    use super::provider;

    #[test]
    fn hosts_name_providers() {
        assert_eq!(provider("api.openai.com"), Some("openai"));
        assert_eq!(provider("us.API.openai.com"), Some("openai"));
        assert_eq!(provider("x.openai.azure.com"), Some("azure.ai.openai"));
        assert_eq!(provider("us-east5-aiplatform.googleapis.com"), Some("gcp.vertex_ai"));
        assert_eq!(provider("bedrock-mantle.us-east-1.api.aws"), Some("aws.bedrock"));
        assert_eq!(provider("evilapi.openai.com.example"), None);
        assert_eq!(provider("localhost"), None);
    }
}
