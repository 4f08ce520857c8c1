//! Kubernetes' numbers with units: `250m`, `512Mi`, `3Gi`.

/// A quantity in thousandths, and whether it was written with a binary unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Quantity {
    pub millis: i128,
    binary: bool,
}

impl Quantity {
    pub const fn count(number: i128) -> Self {
        Self {
            millis: number * 1000,
            binary: false,
        }
    }

    /// Reads one; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let end = text
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+')))
            .unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(end)?;
        let (factor, binary): (i128, bool) = match unit {
            "m" => (1, false),
            "" => (1000, false),
            "k" => (1_000_000, false),
            "M" => (1_000_000_000, false),
            "G" => (1_000_000_000_000, false),
            "T" => (1_000_000_000_000_000, false),
            "Ki" => (1000 << 10, true),
            "Mi" => (1000 << 20, true),
            "Gi" => (1000 << 30, true),
            "Ti" => (1000 << 40, true),
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let mut millis = match whole {
            "" => 0,
            whole => whole.parse::<i128>().ok()?.checked_mul(factor)?,
        };
        if !fraction.is_empty() {
            let digits = u32::try_from(fraction.len()).ok()?;
            let part = fraction.parse::<i128>().ok()?.checked_mul(factor)?;
            millis += part / 10_i128.checked_pow(digits)?;
        } else if whole.is_empty() {
            return None;
        }
        Some(Self { millis, binary })
    }

    pub const fn plus(self, other: Self) -> Self {
        Self {
            millis: self.millis + other.millis,
            binary: self.binary || other.binary,
        }
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.millis % 1000 != 0 {
            return write!(f, "{}m", self.millis);
        }
        let mut number = self.millis / 1000;
        if number == 0 {
            return f.write_str("0");
        }
        let (base, units) = if self.binary {
            (1024, ["", "Ki", "Mi", "Gi", "Ti"])
        } else {
            (1000, ["", "k", "M", "G", "T"])
        };
        let mut unit = 0;
        while number % base == 0 && unit + 1 < units.len() {
            number /= base;
            unit += 1;
        }
        write!(f, "{number}{}", units.get(unit).unwrap_or(&""))
    }
}

#[cfg(test)]
mod tests {
    use super::Quantity;

    #[test]
    fn quantities_are_read_and_written_as_kubernetes_does() {
        for (given, shown) in [
            ("250m", "250m"),
            ("0.2", "200m"),
            ("1000m", "1"),
            ("512Mi", "512Mi"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1000", "1k"),
            ("0", "0"),
        ] {
            assert_eq!(
                Quantity::parse(given).unwrap().to_string(),
                shown,
                "{given}"
            );
        }
        for wrong in ["", "Gi", "1 Gi", "one", "1X"] {
            assert_eq!(Quantity::parse(wrong), None, "{wrong}");
        }
        let sum = Quantity::parse("512Mi")
            .unwrap()
            .plus(Quantity::parse("1Gi").unwrap());
        assert_eq!(sum.to_string(), "1536Mi");
    }
}
