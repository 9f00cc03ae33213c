//! How Google writes paths: a resource, a colon and a verb, as in
//! `/v1/projects/{project}/locations/{location}/publishers/{publisher}/models/{model}:{verb}`. Source: the
//! discovery documents of `generativelanguage` v1beta and `aiplatform` v1, and AIP-136.

use super::{bedrock, segments};
use crate::call::Llm;

/// The verb behind the last colon. Clients of some languages encode the colon.
pub(crate) fn verb(path: &str) -> Option<&str> {
    split(segments(path).next()?).map(|(_, verb)| verb)
}

/// The model before the verb: what stands behind `models`, or the name alone where it stands in another
/// collection (`endpoints`). `tunedModels` are a part of the name.
pub(crate) fn model(path: &str) -> Option<String> {
    let mut parts = segments(path);
    let (last, _) = split(parts.next()?)?;
    let alone = bedrock::decoded(last);
    let mut name = alone.clone();
    for (depth, part) in parts.enumerate() {
        match part {
            "models" => return Some(name),
            "tunedModels" if depth == 0 => name = format!("{part}/{name}"),
            // No collection of models is further away; a gateway's prefix is no part of a name.
            _ if depth >= DEPTH => break,
            _ => name = format!("{}/{name}", bedrock::decoded(part)),
        }
    }
    let tuned = segments(path).nth(1) == Some("tunedModels");
    Some(if tuned { format!("tunedModels/{alone}") } else { alone })
}

/// How many segments a model's name may have beside its last.
const DEPTH: usize = 2;

/// Whose model it is, where the path says so: `google`, `anthropic`, `mistralai`, …
pub(crate) fn publisher(path: &str) -> Option<&str> {
    after(path, "publishers")
}

/// Whether a path is one of Vertex's, whatever the host.
fn is_vertex(path: &str) -> bool {
    publisher(path).is_some() || after(path, "projects").is_some() && after(path, "locations").is_some()
}

/// Notes what a path of Vertex says beside the model: the project, and where the host says nothing the
/// provider.
pub(crate) fn place(path: &str, llm: &mut Llm) {
    if is_vertex(path) {
        if !llm.provider_said {
            "gcp.vertex_ai".clone_into(&mut llm.provider);
        }
        llm.project = llm.project.take().or_else(|| after(path, "projects").map(bedrock::decoded));
    }
}

/// The segment that follows another.
fn after<'a>(path: &'a str, wanted: &str) -> Option<&'a str> {
    let mut later = None;
    for segment in segments(path) {
        if segment == wanted {
            return later;
        }
        later = Some(segment);
    }
    None
}

/// A resource and its verb.
fn split(segment: &str) -> Option<(&str, &str)> {
    let halves =
        segment.rsplit_once(':').or_else(|| ["%3A", "%3a"].iter().find_map(|it| segment.rsplit_once(it)));
    halves.filter(|(resource, verb)| !resource.is_empty() && !verb.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_models_verbs_and_projects() {
        let check = |path: &str, name: &str, is: &str| {
            assert_eq!(model(path).as_deref(), Some(name), "{path}");
            assert_eq!(verb(path), Some(is), "{path}");
        };
        check("/v1beta/models/gemini-2.5-pro:generateContent", "gemini-2.5-pro", "generateContent");
        check("/proxy/v1beta/models/a%2Eb%3AgenerateContent", "a.b", "generateContent");
        check("/v1beta/tunedModels/mine-1:generateContent", "tunedModels/mine-1", "generateContent");
        check("/v1beta/models/tunedModels/mine-1:generateContent", "tunedModels/mine-1", "generateContent");
        check("/v1/projects/p/locations/l/endpoints/12:streamGenerateContent", "12", "streamGenerateContent");
        check("/v1/publishers/anthropic/models/claude-x%401:rawPredict", "claude-x@1", "rawPredict");
        check("/v1beta/models/openai/gpt-5:generateContent", "openai/gpt-5", "generateContent");
        for path in ["/v1/models", "/", "/v1/models/:x", "/v1/models/x:", ""] {
            assert_eq!(model(path), None, "{path}");
            assert_eq!(verb(path), None, "{path}");
        }
    }

    #[test]
    fn paths_of_vertex_name_the_project_and_the_provider() {
        let check = |path: &str, provider: &str, project: Option<&str>| {
            let mut llm = Llm { provider: "gcp.gemini".to_owned(), ..Llm::default() };
            place(path, &mut llm);
            assert_eq!((llm.provider.as_str(), llm.project.as_deref()), (provider, project), "{path}");
        };
        check("/v1/projects/p-1/locations/eu/endpoints/1:generateContent", "gcp.vertex_ai", Some("p-1"));
        check("/v1/publishers/google/models/m:generateContent", "gcp.vertex_ai", None);
        check("/v1beta/models/m:generateContent", "gcp.gemini", None);
        check("/projects/p/models/m:generateContent", "gcp.gemini", None);
    }
}
