use std::borrow::Cow;

use super::*;

#[test]
fn secrets_in_text_are_replaced() {
    let check = |input: &str, expect: &str| assert_eq!(text(input), expect);
    check("key sk-proj-abc123DEF456ghi789jkl!", "key [redacted]!");
    check("sk-ant-api03-AAAA1111bbbb2222", "[redacted]");
    check("AIzaSyA1234567890abcdefghijklmnopqrstu", "[redacted]");
    check("id AKIAIOSFODNN7EXAMPLE.", "id [redacted].");
    check("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted]");
    check("github_pat_11ABCDEFG0abcdefghijkl_mnop", "[redacted]");
    check("xoxb-1234567890-abcdef", "[redacted]");
    check("glpat-abcdefghij1234567890", "[redacted]");
    check("hf_abcdefghijklmnopqrstuvwxyzABCDEF", "[redacted]");
    check("Authorization: Bearer abc.def-123456789", "Authorization: Bearer [redacted]");
    check("basic dXNlcjpwYXNzd29yZA==", "basic [redacted]");
    check("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLXg", "[redacted]");
    check("password=hunter2x", "password=[redacted]");
    check(r#"{"api_key": "abcdef123456"}"#, r#"{"api_key": "[redacted]"}"#);
    check(r#"{\"client_secret\":\"abcdef123456\"}"#, r#"{\"client_secret\":\"[redacted]\"}"#);
    check("OPENAI_API_KEY=abcd1234efgh curl x", "OPENAI_API_KEY=[redacted] curl x");
    check("curl 'https://h/x?key=abc12345&n=1'", "curl 'https://h/x?key=[redacted]&n=1'");
    check("https://user:pa55@host/x", "https://[redacted]@host/x");
    check("tool --api-key 'abc123def' go", "tool --api-key '[redacted]' go");
    check("/bot123456789:AAabcdefghijklmnopqrstuvwxyz0123456/send", "/bot[redacted]/send");
    check("/services/T01234567/B01234567/abcdefghijklmnopqrstuvwx", "/services/[redacted]");
    check("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb", "a\n[redacted]\nb");
    check("-----BEGIN PRIVATE KEY-----\\nMIIE", "[redacted]");
    check("ü sk-abcdefghijklmnop1234 ü", "ü [redacted] ü");
}

#[test]
fn prose_and_code_stay_as_they_are() {
    for input in [
        "",
        "The password: required, at least eight characters",
        "basic understanding of tokens: 4096",
        "max_tokens: 4096, total_tokens=1234567",
        "api_key=os.environ[\"OPENAI_API_KEY\"]",
        "token = get_token(request)",
        "password: string; secret: boolean",
        "sk-learn-is-a-python-library",
        "risk-assessment-for-2024-projects and ask-me-anything-123456789",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
        "https://host/path?page=2&limit=10#top",
        "user@example.com wrote: key points",
        "sort --key=2 --token-count",
        "items.sort(key=str2int) and code=E1234",
        "call_abc123DEF456ghi789 toolu_01ABCdef234567890",
        "eyJust words. And more.",
        "Bearer of bad news",
    ] {
        assert!(matches!(text(input), Cow::Borrowed(_)), "{input} became {}", text(input));
    }
}

#[test]
fn queries_lose_the_values_of_secret_parameters() {
    let check = |input: &str, expect: &str| assert_eq!(query(input), expect);
    check("key=AIza&alt=sse", "key=[redacted]&alt=sse");
    check("API_KEY=1&api-version=2024", "API_KEY=[redacted]&api-version=2024");
    check("X-Amz-Signature=ff&X-Amz-Date=1", "X-Amz-Signature=[redacted]&X-Amz-Date=1");
    check("code=4/abc&state=s", "code=[redacted]&state=s");
    check("access_token=&sig=x&refresh%5Ftoken=y", "access_token=&sig=[redacted]&refresh%5Ftoken=[redacted]");
    check("beta=true", "beta=true");
    assert!(matches!(query("a=1&b=2"), Cow::Borrowed(_)));
}

#[test]
fn urls_lose_user_and_secrets() {
    let check = |input: &str, expect: &str| assert_eq!(url(input), expect);
    check(
        "https://u:p@h:1/a?token=x#access_token=y",
        "https://[redacted]@h:1/a?token=[redacted]#access_token=[redacted]",
    );
    check("https://ghp@h/a", "https://[redacted]@h/a");
    check("https://h/a@b?x=1", "https://h/a@b?x=1");
    check("/v1/x?key=1", "/v1/x?key=[redacted]");
}

#[test]
fn arguments_lose_the_values_of_secret_options() {
    let check = |input: &[&str], expect: &[&str]| {
        let argv: Vec<String> = input.iter().map(|&a| a.to_owned()).collect();
        assert_eq!(arguments(&argv), expect, "{input:?}");
    };
    check(&["tool", "--api-key", "x", "-v"], &["tool", "--api-key", "[redacted]", "-v"]);
    check(&["tool", "--token=x", "--key=2"], &["tool", "--token=[redacted]", "--key=2"]);
    check(&["curl", "-H", "Authorization: Bearer x"], &["curl", "-H", "Authorization: [redacted]"]);
    check(
        &["curl", "-HX-Api-Key:x", "-u", "me:pw"],
        &["curl", "-HX-Api-Key: [redacted]", "-u", "me:[redacted]"],
    );
    check(&["docker", "-u", "1000:1000"], &["docker", "-u", "1000:1000"]);
    check(&["env", "DB_PASSWORD=pw", "PATH=/bin"], &["env", "DB_PASSWORD=[redacted]", "PATH=/bin"]);
    check(&["git", "clone", "https://x:tok@h/r"], &["git", "clone", "https://[redacted]@h/r"]);
    check(
        &["sh", "-c", "curl -H 'x-api-key: abc123def456' h"],
        &["sh", "-c", "curl -H 'x-api-key: [redacted]' h"],
    );
}

#[test]
fn values_are_cleaned_in_place() {
    let mut json = serde_json::json!({"cmd": "export A_TOKEN=abc123456", "password": "x", "n": [1, "sk-abcdefghijklmnop1234"]});
    value(&mut json);
    assert_eq!(
        json,
        serde_json::json!({"cmd": "export A_TOKEN=[redacted]", "password": "[redacted]", "n": [1, "[redacted]"]})
    );
}

#[test]
fn hostile_text_takes_linear_time() {
    for unit in
        ["eyJaaaaaaaaaa.", "Bearer ", "://a:", "-----BEGIN ", "--token ", "password=", "sk-", "a=", "\"'\\"]
    {
        let long = unit.repeat(2_000_000 / unit.len());
        let begin = std::time::Instant::now();
        let _clean = text(&long);
        assert!(begin.elapsed().as_secs() < 20, "{unit}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_cut_at_characters(input in "\\PC*") {
        let once = text(&input).into_owned();
        let _twice = text(&once);
        let _query = query(&input);
        let _url = url(&input);
        let _arguments = arguments(&[input]);
    }
}
