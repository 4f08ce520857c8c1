//! What a request would have cost on the paid tier. The one table of prices.
//!
//! From <https://ai.google.dev/gemini-api/docs/pricing>, as transcribed by
//! `api-evangelist/deepmind` (read 2026-10-07), checked against the catalogues of TokenMeter
//! 0.13–0.17 and LiteLLM (discussions 39357 and 46238); put together on 2026-11-25. Standard
//! prices for text, in US dollars.
//!
//! Deliberately absent: audio input, images, search and the storage of caches, which are
//! counted in other units or at other prices; and aliases such as `gemini-flash-latest`, which
//! Google points elsewhere from time to time. It is an estimate, not an invoice.

use contract::Millis;

use super::RequestRecord;

/// Prices in thousandths of a dollar for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Price {
    input: u64,
    /// Thoughts included.
    output: u64,
    /// Input that came from Google's cache.
    cached: u64,
}

/// When other prices hold.
#[derive(Clone, Copy, Debug)]
enum Change {
    Never,
    /// For a whole request whose input is longer than [`LONG_PROMPT`].
    Long(Price),
    /// From this moment on.
    From(Millis, Price),
}

/// Input tokens above which some models have other prices.
const LONG_PROMPT: u32 = 200_000;
/// 2026-12-01T00:00Z.
const DECEMBER_2026: Millis = 1_796_083_200_000;
/// 2027-01-01T00:00Z.
const JANUARY_2027: Millis = 1_798_761_600_000;

const fn price(input: u64, output: u64, cached: u64) -> Price {
    Price {
        input,
        output,
        cached,
    }
}

const FLASH_UNTIL_2027: Price = price(750, 3_750, 75);
const FLASH_FROM_2027: Change = Change::From(JANUARY_2027, price(1_500, 7_500, 150));
const PRO_3: Price = price(2_000, 12_000, 200);
const PRO_3_LONG: Change = Change::Long(price(4_000, 18_000, 400));

/// By family: the name of a model, which a version or a date may follow.
const PRICES: [(&str, Price, Change); 17] = [
    (
        "gemini-4-argon",
        price(2_000, 10_000, 100),
        Change::From(DECEMBER_2026, price(4_000, 20_000, 200)),
    ),
    ("gemini-4-neon", price(3_000, 15_000, 150), Change::Never),
    ("gemini-4-hydrogen", price(1_500, 7_500, 75), Change::Never),
    ("gemini-3.8-flash", FLASH_UNTIL_2027, FLASH_FROM_2027),
    ("gemini-3.7-flash", FLASH_UNTIL_2027, FLASH_FROM_2027),
    ("gemini-3.6-flash", FLASH_UNTIL_2027, FLASH_FROM_2027),
    (
        "gemini-3.5-flash-lite",
        price(300, 2_500, 30),
        Change::Never,
    ),
    ("gemini-3.5-flash", price(1_500, 9_000, 150), Change::Never),
    ("gemini-3.1-pro", PRO_3, PRO_3_LONG),
    ("gemini-3-pro", PRO_3, PRO_3_LONG),
    (
        "gemini-3.1-flash-lite",
        price(250, 1_500, 25),
        Change::Never,
    ),
    ("gemini-3-flash", price(500, 3_000, 50), Change::Never),
    (
        "gemini-2.5-pro",
        price(1_250, 10_000, 125),
        Change::Long(price(2_500, 15_000, 250)),
    ),
    ("gemini-2.5-flash-lite", price(100, 400, 10), Change::Never),
    ("gemini-2.5-flash", price(300, 2_500, 30), Change::Never),
    ("gemini-2.0-flash-lite", price(75, 300, 75), Change::Never),
    ("gemini-2.0-flash", price(100, 400, 25), Change::Never),
];

/// Words after a family's name that make it another family.
const OTHERS: [&str; 7] = [
    "lite",
    "image",
    "tts",
    "live",
    "audio",
    "native",
    "customtools",
];

/// The estimate in millionths of a dollar, from what is noted in a record that has ended.
/// `None` when the price of the model is not known.
pub fn cost_micros(record: &RequestRecord) -> Option<u64> {
    let (_, usual, change) = PRICES
        .iter()
        .find(|(family, ..)| is_of(&record.model, family))?;
    let price = match change {
        Change::Long(price) if record.prompt_tokens > LONG_PROMPT => price,
        Change::From(at, price) if record.at >= *at => price,
        _ => usual,
    };
    let cached = record.cached_tokens.min(record.prompt_tokens);
    let thousandths = u64::from(record.prompt_tokens - cached) * price.input
        + u64::from(cached) * price.cached
        + (u64::from(record.output_tokens) + u64::from(record.thought_tokens)) * price.output;
    // A thousandth of a dollar for a million tokens is a thousandth of a millionth for one.
    Some(thousandths.div_ceil(1_000))
}

fn is_of(model: &str, family: &str) -> bool {
    let Some(rest) = model.strip_prefix(family) else {
        return false;
    };
    rest.is_empty() || rest.starts_with('-') && !rest.split('-').any(|word| OTHERS.contains(&word))
}

#[cfg(test)]
mod tests {
    use contract::admin::Surface;

    use super::*;

    fn cost(model: &str, at: Millis, [input, cached, output, thoughts]: [u32; 4]) -> Option<u64> {
        cost_micros(&RequestRecord {
            model: model.into(),
            at,
            prompt_tokens: input,
            cached_tokens: cached,
            output_tokens: output,
            thought_tokens: thoughts,
            ..RequestRecord::blank(Surface::Gemini)
        })
    }

    #[test]
    fn a_million_tokens_cost_what_the_table_says() {
        const M: u32 = 1_000_000;
        assert_eq!(cost("gemini-2.5-flash", 0, [M, 0, 0, 0]), Some(300_000));
        assert_eq!(cost("gemini-2.5-flash", 0, [0, 0, M, 0]), Some(2_500_000));
        assert_eq!(cost("gemini-2.5-flash", 0, [0, 0, 0, M]), Some(2_500_000));
        assert_eq!(cost("gemini-2.5-flash", 0, [M, M, 0, 0]), Some(30_000));
        assert_eq!(cost("gemini-2.5-flash", 0, [1, 0, 0, 0]), Some(1));
        assert_eq!(cost("gemini-2.5-flash", 0, [0; 4]), Some(0));
        let most = [u32::MAX; 4];
        assert!(cost("gemini-4-argon", JANUARY_2027, most).is_some());
    }

    #[test]
    fn long_prompts_and_later_days_have_their_own_prices() {
        let pro = |input| cost("gemini-2.5-pro", 0, [input, 0, 100_000, 0]);
        assert_eq!(pro(200_000), Some(250_000 + 1_000_000));
        assert_eq!(pro(200_001), Some(500_003 + 1_500_000));
        let argon = |at| cost("gemini-4-argon", at, [1_000, 0, 0, 0]);
        assert_eq!(argon(DECEMBER_2026 - 1), Some(2_000));
        assert_eq!(argon(DECEMBER_2026), Some(4_000));
    }

    #[test]
    fn a_family_has_its_versions_and_no_other_family() {
        let is_known = |model| cost(model, 0, [1; 4]).is_some();
        for model in [
            "gemini-3.1-pro-preview",
            "gemini-2.5-flash-lite-preview-09-2025",
            "gemini-2.0-flash-001",
        ] {
            assert!(is_known(model), "{model}");
        }
        for model in [
            "",
            "gemini-2.5-flash-image",
            "gemini-2.5-pro-preview-tts",
            "gemini-3.8-flash-lite",
            "gemini-2.5-flashy",
            "gemini-flash-latest",
            "gemma-4",
        ] {
            assert!(!is_known(model), "{model}");
        }
        let lite = cost("gemini-2.5-flash-lite", 0, [1_000_000, 0, 0, 0]);
        assert_eq!(lite, Some(100_000));
    }
}
