//! Numbers in few columns.

use crate::sink::console::text;

/// `950`, `1.2k`, `34k`, `1.2M`
#[must_use]
pub fn short(number: u64) -> String {
    let scaled = |unit: u64, sign: &str| match number / unit {
        whole @ 0..10 => format!("{whole}.{}{sign}", number % unit * 10 / unit),
        whole => format!("{whole}{sign}"),
    };
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => scaled(1_000, "k"),
        1_000_000..1_000_000_000 => scaled(1_000_000, "M"),
        _ => scaled(1_000_000_000, "G"),
    }
}

/// `+1.2k`, `-300`
#[must_use]
pub fn signed(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "+" };
    format!("{sign}{}", short(number.unsigned_abs()))
}

/// `4s`, `3m05`, `2h10`, `3d`
#[must_use]
pub fn time(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `$1.23`, `$0.0042`; with `+` where there are calls of unknown cost.
#[must_use]
pub fn money(pico: u64, unpriced: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "dollars to twelve places")]
    let usd = pico as f64 / 1e12;
    let words = if usd >= 1.0 { format!("${usd:.2}") } else { text::dollars(usd) };
    match (pico, unpriced) {
        (0, _) => String::new(),
        (_, 0) => words,
        _ => words + "+",
    }
}

/// `81%`, of nothing nothing.
#[must_use]
pub fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => String::new(),
        _ => format!("{}%", u128::from(part) * 100 / u128::from(whole)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_few_columns() {
        let check = |number, words: &str| assert_eq!(short(number), words);
        check(0, "0");
        check(999, "999");
        check(1_000, "1.0k");
        check(9_999, "9.9k");
        check(10_000, "10k");
        check(999_999, "999k");
        check(1_250_000, "1.2M");
        check(3_000_000_000, "3.0G");
        assert_eq!((signed(-300), signed(1_500)), ("-300".to_owned(), "+1.5k".to_owned()));
        assert_eq!(time(59_999_999_999), "59s");
        assert_eq!((time(61_000_000_000), time(7_260_000_000_000)), ("1m01".to_owned(), "2h01".to_owned()));
        assert_eq!(time(200_000_000_000_000), "2d");
    }

    #[test]
    fn money_says_what_is_unknown() {
        assert_eq!(money(0, 3), "");
        assert_eq!(money(12_300_000_000, 0), "$0.0123");
        assert_eq!(money(12_500_000_000_000, 2), "$12.50+");
        assert_eq!((share(1, 0), share(1, 3)), (String::new(), "33%".to_owned()));
    }
}
