use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A call of a model with these counts.
fn call(provider: &str, model: &str, usage: Usage) -> Llm {
    Llm {
        operation: "chat",
        provider: provider.to_owned(),
        provider_said: true,
        response_model: Some(model.to_owned()),
        usage,
        ..Llm::default()
    }
}

fn tokens(input: u64, output: u64) -> Usage {
    Usage { input: Some(input), output: Some(output), ..Usage::default() }
}

/// Seconds since the Unix epoch.
fn at(seconds: u64) -> Time {
    Time(seconds * 1_000_000_000)
}

const NOV_2026: u64 = 1_793_491_200;

fn usd(llm: &Llm) -> f64 {
    Book::new().cost(llm, at(NOV_2026)).unwrap().usd
}

fn close(got: f64, want: f64) {
    assert!((got - want).abs() < 1e-9, "got {got}, want {want}");
}

#[test]
fn the_table_can_be_read_and_says_where_it_comes_from() {
    let table = Table::built_in().unwrap();
    assert!(table.source.contains("genai-prices") && table.source.contains("MIT"));
    assert_eq!(table.source, source());
}

#[test]
fn published_prices_give_published_costs() {
    // 2.50 in, 1.25 cached, 10 out.
    let usage = Usage { cache_read: Some(400), ..tokens(1000, 100) };
    close(
        usd(&call("openai", "gpt-4o-2024-08-06", usage)),
        (600.0 * 2.5 + 400.0 * 1.25 + 100.0 * 10.0) / 1e6,
    );
    // 3 in, 0.30 read, 3.75 and 6 written, 15 out; the counts of cached tokens are inside the input.
    let usage = Usage {
        cache_read: Some(500),
        cache_write: Some(300),
        cache_write_1h: Some(100),
        ..tokens(1000, 50)
    };
    let want = (200.0 * 3.0 + 500.0 * 0.3 + 200.0 * 3.75 + 100.0 * 6.0 + 50.0 * 15.0) / 1e6;
    close(usd(&call("anthropic", "claude-sonnet-4-5-20250929", usage)), want);
    // 1.25 in and 10 out up to 200,000 tokens of input, then twice and one and a half times that for all.
    close(usd(&call("gcp.gemini", "gemini-2.5-pro", tokens(200_000, 10))), (200_000.0 * 1.25 + 100.0) / 1e6);
    close(
        usd(&call("gcp.vertex_ai", "gemini-2.5-pro", tokens(200_001, 10))),
        (200_001.0 * 2.5 + 150.0) / 1e6,
    );
}

#[test]
fn what_is_not_known_has_no_cost_and_a_reason() {
    let cost = |llm: &Llm| Book::new().cost(llm, at(NOV_2026));
    assert_eq!(cost(&call("openai", "gpt-4o", Usage::default())), Err(Unpriced::Counts));
    assert_eq!(cost(&call("openai", "no-such-model", tokens(1, 1))), Err(Unpriced::Model));
    let odd = Llm { service_tier: Some("odd".into()), ..call("openai", "gpt-4o", tokens(1, 1)) };
    assert_eq!(cost(&odd), Err(Unpriced::Tier));
    // A host that says nothing may be anybody's.
    let anybody = Llm { provider_said: false, ..call("openai", "gpt-4o", tokens(1, 1)) };
    assert_eq!(cost(&anybody), Err(Unpriced::Model));
    // A search that the provider made is billed by the search.
    let part = crate::call::Part::ServerTool { id: None, name: "web_search".into(), item: Value::Null };
    let message = crate::call::Message { parts: vec![part], ..Default::default() };
    let searched = Llm { output: vec![message], ..call("openai", "gpt-4o", tokens(1, 1)) };
    assert_eq!(cost(&searched), Err(Unpriced::Part));
    // More cached than sent is no count.
    let usage = Usage { cache_read: Some(11), ..tokens(10, 1) };
    assert_eq!(cost(&call("openai", "gpt-4o", usage)), Err(Unpriced::Counts));
}

#[test]
fn tiers_are_laid_over_the_usual_list_and_lent_to_nobody() {
    let tiered = |provider: &str, model: &str, tier: &str, usage: Usage| {
        let llm = Llm { service_tier: Some(tier.into()), ..call(provider, model, usage) };
        Book::new().cost(&llm, at(NOV_2026)).map(|cost| cost.usd)
    };
    // Half of 2.50 for what is not cached; the list says nothing of cached tokens in a batch, so 1.25 stays.
    let usage = Usage { cache_read: Some(400), ..tokens(1000, 0) };
    close(tiered("openai", "gpt-4o", "batch", usage).unwrap(), (600.0 * 1.25 + 400.0 * 1.25) / 1e6);
    let usage = Usage { cache_read: Some(400), ..tokens(1000, 0) };
    close(tiered("openai", "gpt-4.1", "batch", usage).unwrap(), (600.0 * 1.0 + 400.0 * 0.5) / 1e6);
    // Azure has OpenAI's list, not its tiers.
    assert!(Book::new().cost(&call("azure.ai.openai", "gpt-4o", tokens(1, 1)), at(NOV_2026)).is_ok());
    for tier in ["batch", "flex", "priority"] {
        assert_eq!(tiered("azure.ai.openai", "gpt-4o", tier, tokens(1, 1)), Err(Unpriced::Tier), "{tier}");
    }
    // Vertex has words of its own for them.
    assert_eq!((tier(Some("ON_DEMAND_FLEX")), tier(Some("ON_DEMAND"))), (Some("flex"), None));
}

#[test]
fn a_cache_without_a_price_has_no_cost() {
    let book = Book::with(&json!({"models": [{"match": "house", "input": 1, "output": 2}]})).unwrap();
    let cost = |usage: Usage| book.cost(&call("", "house", usage), at(0));
    assert!(cost(Usage { cache_read: Some(0), ..tokens(2, 1) }).is_ok());
    assert_eq!(cost(Usage { cache_read: Some(1), ..tokens(2, 1) }), Err(Unpriced::Cache));
    assert_eq!(cost(Usage { cache_write: Some(1), ..tokens(2, 1) }), Err(Unpriced::Cache));
    // A list that says that they cost as input is believed.
    let batch =
        |usage| Llm { service_tier: Some("batch".into()), ..call("groq", "openai/gpt-oss-120b", usage) };
    let usage = Usage { cache_read: Some(1000), ..tokens(1000, 0) };
    close(usd(&batch(usage)), usd(&batch(tokens(1000, 0))));
}

#[test]
fn what_was_billed_beside_is_part_of_the_whole() {
    let beside = crate::call::Outside { kind: "compaction".into(), model: None, usage: tokens(1000, 0) };
    let other = crate::call::Outside { model: Some("claude-3-haiku-20240307".into()), ..beside.clone() };
    let llm = Llm { outside: vec![beside, other], ..call("anthropic", "claude-sonnet-4-5", tokens(1000, 0)) };
    close(Book::new().whole(&llm, at(NOV_2026)).unwrap().usd, (1000.0 * 3.0 * 2.0 + 1000.0 * 0.25) / 1e6);
    let unknown = crate::call::Outside { model: Some("nobody's".into()), ..llm.outside[0].clone() };
    let llm = Llm { outside: vec![unknown], ..llm };
    assert_eq!(Book::new().whole(&llm, at(NOV_2026)), Err(Unpriced::Model));
}

#[test]
fn a_stated_cost_wins() {
    let llm = Llm { stated_cost: Some(0.25), ..call("openai", "gpt-4o", tokens(1, 1)) };
    assert_eq!(Book::new().cost(&llm, at(0)), Ok(Cost { usd: 0.25, source: Source::Stated }));
    let stated = |value: Value| stated(value.as_object().unwrap());
    assert_eq!(stated(json!({"cost": 0.5})), Some(0.5));
    assert_eq!(stated(json!({"cost": "0.5"})), Some(0.5));
    assert_eq!(stated(json!({"cost": {"total_cost": 0.006}})), Some(0.006));
    assert_eq!(stated(json!({"cost_in_usd_ticks": 20_000_000_000_u64})), Some(2.0));
    assert_eq!(stated(json!({"cost": -1})), None);
    assert_eq!(stated(json!({"cost": 0.1, "is_byok": true})), None);
    assert_eq!(stated(json!({})), None);
}

#[test]
fn the_operator_overrides_and_adds() {
    let book = Book::with(&json!({"models": [
        {"match": "house", "input": 1, "output": 2},
        {"match": {"starts_with": "gpt-4o"}, "input": 10, "output": 20, "cache_read": 1},
        {"match": {"contains": "old"}, "from": "2026-06-01", "input": 1, "output": 1},
    ]}))
    .unwrap();
    let house = Llm { provider_said: false, ..call("openai", "house", tokens(1_000_000, 1_000_000)) };
    assert_eq!(book.cost(&house, at(0)), Ok(Cost { usd: 3.0, source: Source::Operator }));
    let usage = Usage { cache_read: Some(500_000), ..tokens(1_000_000, 0) };
    let cost = book.cost(&call("openai", "gpt-4o", usage), at(0)).unwrap();
    close(cost.usd, 5.5);
    let old = call("openai", "old", tokens(1, 1));
    // The first of June 2026 began 1,780,272,000 seconds after the epoch.
    assert!(book.cost(&old, at(1_780_272_000)).is_ok());
    assert_eq!(book.cost(&old, at(1_780_271_999)), Err(Unpriced::Tier));
    for (broken, word) in [
        (json!({}), "models"),
        (json!({"models": [{"match": "a"}]}), "input"),
        (json!({"models": [{"match": "a", "input": -1}]}), "less than 0"),
        (json!({"models": [{"match": "a", "input": 1, "price": 2}]}), "price"),
        (json!({"models": [{"match": "a", "input": 1, "from": "yesterday"}]}), "2026-01-31"),
    ] {
        let said = Book::with(&broken).unwrap_err().to_string();
        assert!(said.contains(word), "{said}");
    }
}

proptest! {
    #[test]
    fn more_tokens_never_cost_less(input in 0u64..400_000, output in 0u64..100_000, more in 0u64..100_000, cached in 0u64..1000) {
        for (provider, model) in [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5"), ("gcp.gemini", "gemini-2.5-pro")] {
            let usage = |extra: u64| Usage { cache_read: Some(cached.min(input)), ..tokens(input + extra, output + extra) };
            let (less, much) = (usd(&call(provider, model, usage(0))), usd(&call(provider, model, usage(more))));
            prop_assert!(less.is_finite() && less >= 0.0 && much >= less);
        }
    }
}
