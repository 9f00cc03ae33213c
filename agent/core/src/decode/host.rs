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
    ("api.together.xyz", "together"),
    ("api.together.ai", "together"),
    ("api.fireworks.ai", "fireworks"),
    ("api.cerebras.ai", "cerebras"),
    ("api.z.ai", "zai"),
    ("router.huggingface.co", "huggingface"),
    ("ollama.com", "ollama"),
    ("api.voyageai.com", "voyageai"),
    ("api.jina.ai", "jina_ai"),
    ("api.writer.com", "writer"),
    (".snowflakecomputing.com", "snowflake"),
    (".inference.heroku.com", "heroku"),
    ("api.inference.crusoecloud.com", "crusoe"),
    (".ml.cloud.ibm.com", "ibm.watsonx.ai"),
    ("api.ai21.com", "ai21"),
    ("integrate.api.nvidia.com", "nvidia"),
    ("api.sambanova.ai", "sambanova"),
    ("api.deepinfra.com", "deepinfra"),
    ("api.hyperbolic.xyz", "hyperbolic"),
    ("api.studio.nebius.ai", "nebius"),
    ("ai-gateway.vercel.sh", "vercel"),
    ("api.githubcopilot.com", "github_copilot"),
    (".githubcopilot.com", "github_copilot"),
    ("models.github.ai", "github_models"),
    ("models.inference.ai.azure.com", "github_models"),
    ("open.bigmodel.cn", "zai"),
    (".aliyuncs.com", "alibaba_cloud"),
    ("api.minimax.io", "minimax"),
];

/// Programs that people run themselves, by the name that their host usually has (a service of Compose or of
/// Kubernetes) and by the port that is theirs by default.
const SERVERS: &[(&str, Option<u16>, &str)] =
    &[("ollama", Some(11434), "ollama"), ("gpustack", None, "gpustack")];

/// The provider that a host belongs to.
pub(crate) fn provider(host: &str, port: u16) -> Option<&'static str> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let known = HOSTS
        .iter()
        .find(|(name, _)| if name.starts_with(['.', '-']) { host.ends_with(name) } else { host == *name });
    known.map(|(_, provider)| *provider).or_else(|| {
        let bedrock = host.starts_with("bedrock-") && host.ends_with(".amazonaws.com")
            || host.starts_with("bedrock-mantle.") && host.ends_with(".api.aws");
        let first = host.split('.').next().unwrap_or_default();
        let server = SERVERS.iter().find(|(name, default, _)| first == *name || *default == Some(port));
        bedrock.then_some("aws.bedrock").or(server.map(|(_, _, provider)| *provider))
    })
}

#[cfg(test)]
mod tests {
    use super::provider;

    #[test]
    fn hosts_name_providers() {
        assert_eq!(provider("api.openai.com", 443), Some("openai"));
        assert_eq!(provider("us.API.openai.com", 443), Some("openai"));
        assert_eq!(provider("x.openai.azure.com", 443), Some("azure.ai.openai"));
        assert_eq!(provider("us-east5-aiplatform.googleapis.com", 443), Some("gcp.vertex_ai"));
        assert_eq!(provider("bedrock-mantle.us-east-1.api.aws", 443), Some("aws.bedrock"));
        assert_eq!(provider("evilapi.openai.com.example", 443), None);
        assert_eq!(provider("localhost", 443), None);
        assert_eq!(provider("localhost", 11434), Some("ollama"));
        assert_eq!(provider("ollama.default.svc", 80), Some("ollama"));
    }
}
