//! The operator's prices, from a file.

use std::path::{Path, PathBuf};

use trackway_core::price::{Book, Broken};

use crate::limits;

/// Prices that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened or read.
    #[error("the prices in {} cannot be read: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is longer than a list of prices would be.
    #[error("the prices in {} are longer than {} bytes; is it the right file?", path.display(), limits::PRICES_BYTES)]
    Long {
        /// The file.
        path: PathBuf,
    },
    /// It is not JSON.
    #[error("the prices in {} are not JSON: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where it goes wrong.
        source: serde_json::Error,
    },
    /// It is JSON of another shape.
    #[error("the prices in {}: {source}; see `Prices` in the README", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Broken,
    },
}

/// The built-in prices, and before them those of a file, where one is named.
pub fn book(file: Option<&Path>) -> Result<Book, Error> {
    let Some(path) = file else { return Ok(Book::new()) };
    let path = path.to_path_buf();
    let long = std::fs::metadata(&path).is_ok_and(|about| about.len() > limits::PRICES_BYTES);
    if long {
        return Err(Error::Long { path });
    }
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(source) => return Err(Error::Io { path, source }),
    };
    let value = match serde_json::from_slice(&text) {
        Ok(value) => value,
        Err(source) => return Err(Error::Json { path, source }),
    };
    Book::with(&value).map_err(|source| Error::Shape { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prices.json");
        let said = |text: &str| {
            std::fs::write(&file, text).unwrap();
            book(Some(&file)).unwrap_err().to_string()
        };
        assert!(said("models:").contains("are not JSON"));
        assert!(said("{}").contains("`models` is missing"));
        assert!(said(r#"{"models":[{"match":"a"}]}"#).contains("missing field `input`"));
        std::fs::write(&file, r#"{"models":[{"match":"a","input":1}]}"#).unwrap();
        assert!(book(Some(&file)).is_ok() && book(None).is_ok());
        assert!(book(Some(&folder.path().join("none"))).unwrap_err().to_string().contains("cannot be read"));
    }
}
