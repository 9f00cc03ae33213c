//! One set of prices, and when it holds.

use serde::Deserialize;

use super::Unpriced;
use crate::call::Usage;
use crate::flow::Time;

/// Prices with their conditions.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    #[serde(default)]
    tier: Option<String>,
    /// The first day, in UTC.
    #[serde(default)]
    from: Option<Day>,
    /// From and to, as times of the day in UTC; the end may lie before the start, on the next day.
    #[serde(default)]
    hours: Option<[Hour; 2]>,
    pub(super) prices: Prices,
}

/// Dollars for a million tokens.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Prices {
    input: Option<Price>,
    output: Option<Price>,
    cache_read: Option<Price>,
    cache_write: Option<Price>,
    cache_write_1h: Option<Price>,
    audio_input: Option<Price>,
    audio_output: Option<Price>,
    reasoning: Option<Price>,
}

/// One price, or one that depends on how long the input is. The tier that the whole input reaches holds for
/// all of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Price {
    Flat(f64),
    Tiers { base: f64, tiers: Vec<(u64, f64)> },
}

impl Price {
    fn at(&self, input: u64) -> f64 {
        match self {
            Self::Flat(price) => *price,
            Self::Tiers { base, tiers } => tiers
                .iter()
                .filter(|(start, _)| input > *start)
                .map(|(_, price)| *price)
                .next_back()
                .unwrap_or(*base),
        }
    }
}

impl Prices {
    /// The same whatever the length.
    pub(super) fn flat(
        input: f64,
        output: Option<f64>,
        cache_read: Option<f64>,
        cache_write: Option<f64>,
        cache_write_1h: Option<f64>,
    ) -> Self {
        let price = |price: Option<f64>| price.map(Price::Flat);
        Self {
            input: Some(Price::Flat(input)),
            output: price(output),
            cache_read: price(cache_read),
            cache_write: price(cache_write),
            cache_write_1h: price(cache_write_1h),
            ..Self::default()
        }
    }

    /// These prices, and what they do not say as another list has it.
    pub(super) fn over(&self, usual: &Self) -> Self {
        let or = |own: &Option<Price>, usual: &Option<Price>| own.as_ref().or(usual.as_ref()).cloned();
        Self {
            input: or(&self.input, &usual.input),
            output: or(&self.output, &usual.output),
            cache_read: or(&self.cache_read, &usual.cache_read),
            cache_write: or(&self.cache_write, &usual.cache_write),
            cache_write_1h: or(&self.cache_write_1h, &usual.cache_write_1h),
            audio_input: or(&self.audio_input, &usual.audio_input),
            audio_output: or(&self.audio_output, &usual.audio_output),
            reasoning: or(&self.reasoning, &usual.reasoning),
        }
    }

    /// What was used, at these prices. Parts that are priced apart are taken out of the whole first.
    pub(super) fn sum(&self, usage: &Usage) -> Result<f64, Unpriced> {
        let (input, output) = (usage.input.unwrap_or(0), usage.output.unwrap_or(0));
        let read = usage.cache_read.unwrap_or(0);
        let write = usage.cache_write.unwrap_or(0);
        let hour = usage.cache_write_1h.unwrap_or(0).min(write);
        let heard = usage.audio_input.filter(|_| self.audio_input.is_some()).unwrap_or(0);
        let spoken = usage.audio_output.filter(|_| self.audio_output.is_some()).unwrap_or(0);
        let thought = usage.reasoning.filter(|_| self.reasoning.is_some()).unwrap_or(0);
        // A part that is larger than the whole is nothing that can be priced.
        let plain =
            input.checked_sub(read.saturating_add(write).saturating_add(heard)).ok_or(Unpriced::Counts)?;
        let said = output.checked_sub(spoken.saturating_add(thought)).ok_or(Unpriced::Counts)?;
        let price = |price: &Option<Price>| price.as_ref().map(|price| price.at(input));
        let part = |count: u64, one: Option<f64>| match (count, one) {
            (0, _) => Ok(0.0),
            #[expect(clippy::cast_precision_loss, reason = "counts of tokens are far below 2^53")]
            (count, Some(one)) => Ok(count as f64 * one / 1e6),
            (_, None) => Err(Unpriced::Part),
        };
        // Nobody says that a cache without a price of its own costs what input costs.
        let cached = |count, own| part(count, price(own)).map_err(|_| Unpriced::Cache);
        Ok(part(plain, price(&self.input))?
            + cached(read, &self.cache_read)?
            + cached(write - hour, &self.cache_write)?
            + cached(hour, &self.cache_write_1h)?
            + part(heard, price(&self.audio_input))?
            + part(said, price(&self.output))?
            + part(spoken, price(&self.audio_output))?
            + part(thought, price(&self.reasoning))?)
    }
}

impl Entry {
    /// An entry of the operator's.
    pub(super) fn new(
        tier: Option<String>,
        from: Option<String>,
        prices: Prices,
    ) -> Result<Self, &'static str> {
        let from = from.map(Day::try_from).transpose()?;
        Ok(Self { tier, from, hours: None, prices })
    }

    /// Whether it holds at a time for a tier.
    pub(super) fn holds(&self, time: Time, tier: Option<&str>) -> bool {
        const DAY: u64 = 86_400;
        let seconds = time.0 / 1_000_000_000;
        let same = match (self.tier.as_deref(), tier) {
            (None, None) => true,
            (Some(own), None) => own == "default",
            (Some(own), Some(asked)) => own.eq_ignore_ascii_case(asked),
            (None, Some(_)) => false,
        };
        let begun = self.from.as_ref().is_none_or(|day| seconds / DAY >= day.0);
        let hour = self.hours.as_ref().is_none_or(|[from, to]| {
            let now = seconds % DAY;
            if from.0 <= to.0 { (from.0..to.0).contains(&now) } else { now >= from.0 || now < to.0 }
        });
        same && begun && hour
    }
}

/// Days since the Unix epoch, from `YYYY-MM-DD`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Day(u64);

impl TryFrom<String> for Day {
    type Error = &'static str;

    /// Howard Hinnant's `days_from_civil`.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "`from` is a day like 2026-01-31";
        let parts: Vec<u64> = text.split('-').filter_map(|part| part.parse().ok()).collect();
        let [year, month, day] = parts[..] else { return Err(WRONG) };
        if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(WRONG);
        }
        let shifted = if month > 2 { year } else { year - 1 };
        let (era, of_era) = (shifted / 400, shifted % 400);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
        days.checked_sub(719_468).map(Self).ok_or(WRONG)
    }
}

/// Seconds since midnight, from `HH:MM:SS`, with or without a `Z`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Hour(u64);

impl TryFrom<String> for Hour {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let text = text.split(['+', 'Z']).next().unwrap_or_default();
        let parts: Vec<u64> = text.split(':').filter_map(|part| part.parse().ok()).collect();
        match parts[..] {
            [hour, minute, second] => Ok(Self(hour * 3600 + minute * 60 + second)),
            _ => Err("a time of the day is like 16:30:00"),
        }
    }
}
