//! Quantities such as `500m`, `1Gi` and `2e3`, in thousandths.

/// The pattern that the API's error text names.
pub(crate) const PATTERN: &str = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$";

/// A quantity's value in thousandths; what is smaller is rounded up. `None` when it is none.
pub(crate) fn parse(text: &str) -> Option<i128> {
    let text = text.trim();
    let digits =
        text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let negative = number.starts_with('-');
    let number = number.strip_prefix(['+', '-']).unwrap_or(number);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 12 || whole.len() > 20 {
        return None;
    }
    let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let (up, down): (i128, u32) = match suffix {
        "n" => (1, 9),
        "u" => (1, 6),
        "m" => (1, 3),
        "" => (1, 0),
        "k" => (10_i128.pow(3), 0),
        "M" => (10_i128.pow(6), 0),
        "G" => (10_i128.pow(9), 0),
        "T" => (10_i128.pow(12), 0),
        "P" => (10_i128.pow(15), 0),
        "E" => (10_i128.pow(18), 0),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        exponent => {
            let exponent: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            match u32::try_from(exponent) {
                Ok(up) if up <= 18 => (10_i128.pow(up), 0),
                Err(_) if exponent >= -9 => (1, exponent.unsigned_abs()),
                _ => return None,
            }
        }
    };
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()? + down);
    let thousandths = digits.checked_mul(up)?.checked_mul(1000)?;
    let rounded = (thousandths + scale - 1) / scale;
    Some(if negative { -rounded } else { rounded })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn quantities_read_as_documented() {
        for (text, thousandths) in [
            ("1", Some(1000)),
            ("500m", Some(500)),
            ("1.5", Some(1500)),
            ("1Ki", Some(1_024_000)),
            ("2e3", Some(2_000_000)),
            ("100n", Some(1)),
            ("-1", Some(-1000)),
            ("", None),
            ("x", None),
            ("1Zi", None),
            ("1 Gi", None),
        ] {
            assert_eq!(parse(text), thousandths, "{text}");
        }
    }
}
