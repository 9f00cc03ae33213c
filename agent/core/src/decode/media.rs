//! Media without their bytes.

use super::sieve::length;
use crate::call::Part;

/// A part for what stands at a URL; a `data:` URL gives its type and size only.
pub(crate) fn from_url(modality: &'static str, url: &str) -> Part {
    match url.strip_prefix("data:") {
        Some(data) => {
            let (kind, body) = data.split_once(',').unwrap_or((data, ""));
            let mime = kind.split(';').next().filter(|mime| !mime.is_empty());
            inline(modality, mime.map(str::to_owned), length(body))
        }
        None => Part::Media {
            modality,
            mime_type: None,
            uri: Some(crate::redact::url(url).into_owned()),
            bytes: 0,
        },
    }
}

/// A part for bytes that stood in the message.
pub(crate) fn inline(modality: &'static str, mime_type: Option<String>, bytes: u64) -> Part {
    Part::Media { modality, mime_type, uri: None, bytes }
}

/// A part for a file that the provider keeps.
pub(crate) fn stored(modality: &'static str, id: &str) -> Part {
    Part::Media { modality, mime_type: None, uri: Some(id.to_owned()), bytes: 0 }
}
