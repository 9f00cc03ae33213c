"""Prints the facts of the package genai-prices as JSON: what matches a model, and what its tokens cost."""

import dataclasses
import json
import sys
from importlib.metadata import version

from genai_prices import data, types

KEYS = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "audio_input",
    "output_audio_mtok": "audio_output",
    "output_reasoning_mtok": "reasoning",
}


def match(clause):
    if clause is None:
        return None
    (field,) = dataclasses.fields(clause)
    value = getattr(clause, field.name)
    name = field.name.rstrip("_")
    # The one use of a look-ahead says what must not match; our engine has none.
    if name == "regex" and value.startswith("^(?!") and value.endswith(")"):
        return {"not": {"regex": "^" + value[len("^(?!") : -1]}}
    return {name: [match(one) for one in value] if isinstance(value, list) else value}


def price(value):
    if isinstance(value, types.TieredPrices):
        return {"base": float(value.base), "tiers": [[tier.start, float(tier.price)] for tier in value.tiers]}
    return float(value)


def prices(entry):
    found = {new: getattr(entry, old, None) for old, new in KEYS.items()}
    return {name: price(value) for name, value in found.items() if value is not None}


def when(constraint):
    if constraint is None:
        return {}
    if isinstance(constraint, types.StartDateConstraint):
        return {"from": constraint.start_date.isoformat()}
    return {"hours": [constraint.start_time.isoformat(), constraint.end_time.isoformat()]}


def entries(model):
    listed = model.prices if isinstance(model.prices, list) else [types.ConditionalPrice(prices=model.prices)]
    for one in listed:
        yield {**when(one.constraint), "prices": prices(one.prices)}
    for variant in model.price_variants or []:
        # Which way of processing, tier or speed was asked for is one word to us.
        (tier,) = variant.when.values() if len(variant.when) == 1 else (None,)
        if isinstance(tier, str):
            yield {"tier": tier, **when(variant.constraint), "prices": prices(variant.prices)}


def models(provider):
    for model in provider.models:
        listed = [entry for entry in entries(model) if entry["prices"]]
        if listed:
            yield {"id": model.id, "match": match(model.match), "entries": listed}


out = {
    "source": f"Facts of genai-prices {version('genai-prices')} (PyPI, github.com/pydantic/genai-prices), "
    "MIT License, Copyright Pydantic Services Inc. 2025 to present. USD for a million tokens. "
    "Made by `cargo xtask prices`.",
    "providers": [
        {
            "id": provider.id,
            "match": match(provider.provider_match),
            "fallback": provider.fallback_model_providers or [],
            "models": list(models(provider)),
        }
        for provider in data.providers
    ],
}
json.dump(out, sys.stdout, separators=(",", ":"), sort_keys=True)
print()
