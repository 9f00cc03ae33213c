//! Message content: a string, or a list of typed parts.

use serde_json::Value;

use crate::call::Part;
use crate::decode::json::{Get, Object, take_text};
use crate::decode::media;
use crate::decode::sieve::length;
use crate::limits;

/// Appends the parts of a message's content.
pub(super) fn read(content: Value, out: &mut Vec<Part>) {
    match content {
        Value::String(text) if !text.is_empty() => out.push(Part::Text(text)),
        Value::Array(list) => {
            for entry in list {
                if out.len() >= limits::PARTS {
                    return;
                }
                match entry {
                    Value::Object(part) => out.extend(one(part)),
                    Value::String(text) => out.push(Part::Text(text)),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn one(mut part: Object) -> Option<Part> {
    let kind = take_text(&mut part, "type").unwrap_or_else(|| "text".to_owned());
    Some(match kind.as_str() {
        "text" | "input_text" | "output_text" | "summary_text" => Part::Text(take_text(&mut part, "text")?),
        "refusal" => Part::Refusal(take_text(&mut part, "refusal")?),
        "reasoning_text" => Part::Reasoning(take_text(&mut part, "text")?),
        "thinking" => Part::Reasoning(thinking(&part)),
        "image_url" | "input_image" | "computer_screenshot" => image(&part),
        "input_audio" | "audio" => {
            let audio = part.object("input_audio").unwrap_or(&part);
            let bytes = audio.text("data").map_or(0, length);
            media::inline("audio", audio.text("format").map(|format| format!("audio/{format}")), bytes)
        }
        "file" | "input_file" => file(part.object("file").unwrap_or(&part)),
        _ => Part::Other(kind),
    })
}

/// `thinking` holds text, or a list of text parts.
fn thinking(part: &Object) -> String {
    match part.member("thinking") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => list.iter().filter_map(|entry| entry.text("text")).collect(),
        _ => String::new(),
    }
}

fn image(part: &Object) -> Part {
    let url = part.text("image_url").or_else(|| part.object("image_url")?.text("url"));
    match (url, part.filled("file_id")) {
        (Some(url), _) => media::from_url("image", url),
        (None, Some(id)) => media::stored("image", id),
        (None, None) => media::inline("image", None, 0),
    }
}

fn file(file: &Object) -> Part {
    if let Some(id) = file.filled("file_id") {
        media::stored("document", id)
    } else if let Some(url) = file.filled("file_url") {
        media::from_url("document", url)
    } else {
        let data = file.text("file_data").unwrap_or_default();
        if data.starts_with("data:") {
            media::from_url("document", data)
        } else {
            media::inline("document", None, length(data))
        }
    }
}
