//! Names whose values are secrets.

/// Names that mean a secret wherever something is assigned to them.
const ASSIGNED: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "apikey",
    "authorization",
    "bearer",
    "jwt",
    "credential",
    "credentials",
    "privatekey",
];

/// Endings that mean the same: `OPENAI_API_KEY`, `client-secret`, `dbPassword`.
const ENDINGS: &[&str] = &[
    "_password",
    "_passwd",
    "_passphrase",
    "_pwd",
    "_secret",
    "_token",
    "_api_key",
    "_apikey",
    "_access_key",
    "_secret_key",
    "_private_key",
    "_auth_key",
    "_encryption_key",
    "_signing_key",
    "_subscription_key",
    "_credentials",
];

/// Names that mean a secret in the query of a URL, where shorter words are in use.
const PARAMETERS: &[&str] = &[
    "key",
    "auth",
    "sig",
    "signature",
    "code",
    "assertion",
    "session",
    "sessionid",
    "session_id",
    "x_amz_signature",
    "x_amz_credential",
    "x_amz_security_token",
    "x_goog_signature",
    "x_goog_credential",
    "client_assertion",
];

/// Headers that carry credentials beside those whose names tell.
const HEADERS: &[&str] = &["cookie", "set_cookie", "proxy_authorization", "x_auth", "authentication"];

/// Whether a variable, field or option of this name holds a secret.
pub(super) fn assigned(name: &str) -> bool {
    let name = plain(name);
    ASSIGNED.contains(&name.as_str()) || {
        let whole = format!("_{name}");
        ENDINGS.iter().any(|ending| whole.ends_with(ending))
    }
}

/// Whether a query parameter of this name holds a secret.
pub(super) fn parameter(name: &str) -> bool {
    let decoded = name.replace("%5F", "_").replace("%5f", "_").replace("%2D", "-").replace("%2d", "-");
    PARAMETERS.contains(&plain(&decoded).as_str()) || assigned(&decoded)
}

/// Whether a header of this name holds a secret.
pub(super) fn header(name: &str) -> bool {
    HEADERS.contains(&plain(name).as_str()) || assigned(name)
}

/// Lower case, with one sign between words: `apiKey`, `API-Key` and `api_key` are one name.
fn plain(name: &str) -> String {
    let mut out = String::new();
    let mut lower_before = false;
    // Names are short; what is longer is none.
    for c in name.chars().take(128) {
        if c.is_ascii_uppercase() && lower_before {
            out.push('_');
        }
        lower_before = c.is_ascii_lowercase() || c.is_ascii_digit();
        out.push(if matches!(c, '-' | '.' | ' ') { '_' } else { c.to_ascii_lowercase() });
    }
    out
}
