//! Sizes and shapes of the images that models draw.

use std::borrow::Cow;

use serde::Serialize;

use super::request::Raw;
use crate::error::Invalid;

/// `generationConfig.imageConfig`: what is absent, the model chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    aspect_ratio: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_size: Option<&'static str>,
}

/// The shapes that all image models draw: <https://ai.google.dev/gemini-api/docs/image-generation>.
const RATIOS: [(&str, f64); 10] = [
    ("1:1", 1.0),
    ("2:3", 2.0 / 3.0),
    ("3:2", 3.0 / 2.0),
    ("3:4", 3.0 / 4.0),
    ("4:3", 4.0 / 3.0),
    ("4:5", 4.0 / 5.0),
    ("5:4", 5.0 / 4.0),
    ("9:16", 9.0 / 16.0),
    ("16:9", 16.0 / 9.0),
    ("21:9", 21.0 / 9.0),
];

/// About how many pixels the longer side has, from the smallest to the largest. 1K is what all
/// models do unless told otherwise.
const SIZES: [(&str, u32); 3] = [("1K", 1024), ("2K", 2048), ("4K", 4096)];

impl ImageConfig {
    /// What OpenAI's `size` and `quality` are for `model`. The shape is the nearest that there
    /// is, the size the smallest that is not smaller than what was asked for.
    ///
    /// # Errors
    /// When either is not what it may be.
    pub fn of(model: &str, size: Option<&str>, quality: Option<&str>) -> Result<Self, Invalid> {
        let mut config = match size.map(str::trim) {
            None | Some("auto") => Self::default(),
            Some(size) => Self::sized(size)?,
        };
        let at_least = match quality {
            None | Some("auto" | "low" | "medium" | "standard") => None,
            Some("high" | "hd") => Some("2K"),
            Some(other) => {
                return Err(Invalid::new(
                    "quality",
                    format!(
                        "`quality` is \"{other}\"; it must be auto, low, medium, high, standard \
                         or hd."
                    ),
                ));
            }
        };
        let place = |wanted| SIZES.iter().position(|(known, _)| Some(*known) == wanted);
        if place(at_least) > place(config.image_size) {
            config.image_size = at_least;
        }
        // Gemini 2 draws one size only, and refuses the field.
        if model.starts_with("gemini-2") || config.image_size == Some("1K") {
            config.image_size = None;
        }
        Ok(config)
    }

    fn sized(size: &str) -> Result<Self, Invalid> {
        let known = |name: &&(&'static str, u32)| name.0.eq_ignore_ascii_case(size);
        if let Some((name, _)) = SIZES.iter().find(known) {
            return Ok(Self {
                image_size: Some(name),
                ..Self::default()
            });
        }
        let numbers = size
            .split_once(['x', 'X', '*', ':'])
            .and_then(|(width, height)| {
                let number = |text: &str| text.trim().parse::<u32>().ok().filter(|n| *n > 0);
                Some((number(width)?, number(height)?))
            });
        let Some((width, height)) = numbers else {
            let shown: String = size.chars().take(40).collect();
            return Err(Invalid::new(
                "size",
                format!(
                    "`size` is \"{shown}\"; it must be auto, width x height (1024x1024), a shape \
                     (16:9), or one of 1K, 2K and 4K."
                ),
            ));
        };
        let wanted = f64::from(width) / f64::from(height);
        let distance = |ratio: f64| (ratio / wanted).ln().abs();
        let nearest = RATIOS
            .iter()
            .min_by(|(_, one), (_, other)| distance(*one).total_cmp(&distance(*other)));
        // A shape (16:9) has no size. OpenAI's wide formats have up to 1792 pixels, which is
        // what Google calls 1K.
        let longest = width.max(height);
        let image_size = match longest {
            0..=1792 => None,
            _ => SIZES
                .iter()
                .find(|(_, pixels)| *pixels >= longest)
                .or(SIZES.last())
                .map(|(name, _)| *name),
        };
        Ok(Self {
            aspect_ratio: nearest.map(|(name, _)| *name),
            image_size,
        })
    }

    /// As it goes into the generation config; `None` when nothing is asked for.
    pub fn to_raw(self) -> Option<Raw<'static>> {
        (self != Self::default())
            .then(|| serde_json::value::to_raw_value(&self).ok().map(Cow::Owned))
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::ImageConfig;

    #[test]
    fn sizes_become_the_nearest_shape_and_no_smaller_a_size() {
        let of = |model, size, quality| {
            let config = ImageConfig::of(model, size, quality).ok()?;
            Some((config.aspect_ratio, config.image_size))
        };
        let pro = "gemini-3-pro-image";
        for (size, quality, expected) in [
            (None, None, (None, None)),
            (Some("auto"), Some("low"), (None, None)),
            (Some("1024x1024"), None, (Some("1:1"), None)),
            (Some("1024x1024"), Some("high"), (Some("1:1"), Some("2K"))),
            (Some("1536x1024"), Some("auto"), (Some("3:2"), None)),
            (Some("1024x1536"), None, (Some("2:3"), None)),
            (Some("1792x1024"), Some("standard"), (Some("16:9"), None)),
            (Some("1024x1792"), Some("hd"), (Some("9:16"), Some("2K"))),
            (Some("3840x2160"), Some("high"), (Some("16:9"), Some("4K"))),
            (Some("9999x9999"), None, (Some("1:1"), Some("4K"))),
            (Some("256x256"), None, (Some("1:1"), None)),
            (Some("21:9"), None, (Some("21:9"), None)),
            (Some("2k"), None, (None, Some("2K"))),
            (Some("4K"), Some("high"), (None, Some("4K"))),
        ] {
            assert_eq!(
                of(pro, size, quality),
                Some(expected),
                "{size:?} {quality:?}"
            );
        }
        let flash = of("gemini-2.5-flash-image", Some("3840x2160"), Some("hd"));
        assert_eq!(flash, Some((Some("16:9"), None)));
        for (size, quality) in [
            ("big", "auto"),
            ("0x4", "auto"),
            ("1x", "auto"),
            ("auto", "best"),
        ] {
            assert_eq!(of(pro, Some(size), Some(quality)), None, "{size} {quality}");
        }
    }
}
