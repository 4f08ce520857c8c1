//! The wall clocks that the browser knows.

use contract::Millis;

use super::local;
use crate::text::Zone;

/// The wall clock of whoever looks at the page.
pub fn zone_here() -> Zone {
    Zone::new(local)
}

/// The wall clock of a zone by its IANA name; of whoever looks at the page where the
/// browser does not know the name.
pub fn zone_of(name: &str) -> Zone {
    let name = name.to_owned();
    Zone::new(
        move |at| match shown_in(&name, at).as_deref().and_then(minutes_ahead) {
            Some(minutes) => at + Millis::from(minutes) * 60_000,
            None => local(at),
        },
    )
}

/// A moment with the zone's distance from UTC, in English. Called by reflection, because
/// the binding of js-sys does not catch the exception that an unknown zone throws.
#[cfg(target_arch = "wasm32")]
fn shown_in(zone: &str, at: Millis) -> Option<String> {
    use js_sys::{Date, Function, Object, Reflect};
    use wasm_bindgen::JsCast as _;

    let options = Object::new();
    Reflect::set(&options, &"timeZone".into(), &zone.into()).ok()?;
    Reflect::set(&options, &"timeZoneName".into(), &"longOffset".into()).ok()?;
    let date = Date::new(&(at as f64).into());
    let show = Reflect::get(&date, &"toLocaleDateString".into()).ok()?;
    let show = show.dyn_into::<Function>().ok()?;
    show.call2(&date, &"en-US".into(), &options)
        .ok()?
        .as_string()
}

/// Natively, where only tests render, no zone is known.
#[cfg(not(target_arch = "wasm32"))]
fn shown_in(_zone: &str, _at: Millis) -> Option<String> {
    None
}

/// The distance in `11/25/2026, GMT+08:00`, in minutes; plain `GMT` is none.
fn minutes_ahead(shown: &str) -> Option<i32> {
    let (_, distance) = shown.rsplit_once("GMT")?;
    if distance.is_empty() {
        return Some(0);
    }
    let (hours, minutes) = distance.split_once(':')?;
    let hours: i32 = hours.parse().ok()?;
    let minutes: i32 = minutes.parse().ok()?;
    let west = distance.starts_with('-');
    Some(hours * 60 + if west { -minutes } else { minutes })
}

#[cfg(test)]
mod tests {
    use super::minutes_ahead;

    #[test]
    fn the_distance_of_a_zone_is_read_from_what_browsers_write() {
        for (shown, minutes) in [
            ("11/25/2026, GMT+08:00", Some(480)),
            ("11/25/2026, GMT-03:30", Some(-210)),
            ("11/25/2026, GMT", Some(0)),
            ("11/25/2026, GMT-00:30", Some(-30)),
            ("11/25/2026", None),
        ] {
            assert_eq!(minutes_ahead(shown), minutes, "{shown}");
        }
    }
}
