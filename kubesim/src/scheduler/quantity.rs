//! `resource.Quantity`: the numbers in requests, limits and capacities.

use serde_json::Value;

/// A quantity in thousandths of its unit: `250m` of CPU is 250, `1Gi` of memory is 1024³ · 1000.
/// Wide enough for any memory size in milli-bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(i128);

impl Quantity {
    /// Reads a quantity as a manifest has it: a string such as `1500m`, `2`, `1.5`, `4Gi`, `1e3`, or a
    /// JSON number. `None` when it is neither.
    #[must_use]
    pub fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    /// Reads the string form. Suffixes: `n u m k M G T P E`, `Ki Mi Gi Ti Pi Ei`, and `e`/`E` exponents.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let end = text
            .char_indices()
            .find(|(i, c)| !(c.is_ascii_digit() || *c == '.' || (*i == 0 && (*c == '-' || *c == '+'))))
            .map_or(text.len(), |(i, _)| i);
        let (number, suffix) = text.split_at(end);
        let (numerator, denominator) = multiplier(suffix)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.len() > 18 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        if whole.trim_start_matches(['-', '+']).is_empty() && fraction.is_empty() {
            return None;
        }
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let milli = digits.checked_mul(numerator)?.checked_mul(1000)?;
        // Rounded up, as the real type does with what is finer than it can hold.
        let divisor = scale.checked_mul(denominator)?;
        Some(Self(milli.div_euclid(divisor) + i128::from(milli.rem_euclid(divisor) != 0)))
    }

    /// Thousandths of the unit.
    #[must_use]
    pub fn milli(self) -> i128 {
        self.0
    }

    /// From thousandths of the unit.
    #[must_use]
    pub fn from_milli(milli: i128) -> Self {
        Self(milli)
    }
}

fn multiplier(suffix: &str) -> Option<(i128, i128)> {
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1_000),
        "k" => (1_000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let power = 10_i128.checked_pow(exponent.unsigned_abs()).filter(|_| exponent.abs() <= 18)?;
            if exponent < 0 { (1, power) } else { (power, 1) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_reads_as_the_same_amount() {
        for (text, milli) in [
            ("1", 1_000),
            ("1.5", 1_500),
            ("1500m", 1_500),
            ("0", 0),
            ("100u", 1),
            ("1e3", 1_000_000),
            ("1E", 1_000_000_000_000_000_000_000),
            ("1Ki", 1_024_000),
            ("0.5Gi", 536_870_912_000),
            ("-2", -2_000),
            (".5", 500),
        ] {
            assert_eq!(Quantity::parse(text), Some(Quantity(milli)), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "-", "one", "1 Gi", "1gi", "1.2.3", "0x10", "1e99", "."] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }
}
