//! The second factor: codes of an authenticator app (RFC 6238), and recovery codes for when the
//! app is lost.
//!
//! Six digits by SHA-1 every 30 seconds, because that is what every app knows; the step before
//! and the one after are taken, too, as clocks differ. A code is good once: whoever looked over
//! a shoulder cannot use it again. Deliberately absent: where any of it is kept.

use contract::Millis;
use qrcode::QrCode;
use qrcode::render::svg;
use sha2::{Digest as _, Sha256};
use totp_rs::{Builder, Totp};
use vault::Secret;

/// How many recovery codes there are.
const RECOVERY_CODES: usize = 10;
/// The random bytes of a recovery code: enough that its hash cannot be guessed.
const RECOVERY_BYTES: usize = 10;
/// The random bytes of the secret that app and server share (RFC 4226 §4 recommends 160 bits).
const SECRET_BYTES: usize = 20;
/// The length of one step, in seconds.
const STEP: u64 = 30;
/// The smallest side of the QR code, in pixels.
const QR_SIDE: u32 = 220;

/// What an authenticator app is given.
pub(super) struct Enrolment {
    /// The shared secret, in base32.
    pub secret: Secret,
    /// The `otpauth://` link.
    pub link: Secret,
    /// The link as a QR code, the text of an SVG image.
    pub qr_svg: Secret,
}

/// A new secret for an authenticator app, which lists it under `account`. `None` when the
/// system gives no random bytes.
pub(super) fn enrol(account: &str) -> Option<Enrolment> {
    let mut bytes = zeroize::Zeroizing::new([0; SECRET_BYTES]);
    getrandom::fill(&mut *bytes).ok()?;
    // A colon would end the name in the link.
    let totp = totp(&*bytes, &account.replace(':', " "))?;
    let link = totp.to_url().ok()?;
    let qr_svg = QrCode::new(&link)
        .ok()?
        .render::<svg::Color<'_>>()
        .min_dimensions(QR_SIDE, QR_SIDE)
        .build();
    Some(Enrolment {
        secret: Secret::new(totp.secret().to_base32()),
        link: Secret::new(link),
        qr_svg: Secret::new(qr_svg),
    })
}

/// The step that `code` belongs to, if it is right at this moment and later than `used`, the
/// last step whose code was taken.
pub(super) fn check(secret: &Secret, code: &str, now: Millis, used: Option<i64>) -> Option<i64> {
    let secret = totp_rs::Secret::try_from_base32(secret.expose()).ok()?;
    let totp = totp(secret.as_bytes(), "")?;
    let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let now = u64::try_from(now).ok()? / 1_000;
    let step = i64::try_from(totp.check(&code, now)?).ok()?;
    used.is_none_or(|used| step > used).then_some(step)
}

fn totp(secret: &[u8], account: &str) -> Option<Totp> {
    Builder::new()
        .with_secret(secret)
        .with_step_duration(STEP)
        .with_skew(1)
        .with_account_name(account)
        .with_issuer(Some("Gemini Balance"))
        .build()
        .ok()
}

/// New recovery codes, in groups of four characters. `None` when the system gives no random
/// bytes.
pub(super) fn recovery_codes() -> Option<Vec<Secret>> {
    (0..RECOVERY_CODES)
        .map(|_| {
            let mut bytes = zeroize::Zeroizing::new([0; RECOVERY_BYTES]);
            getrandom::fill(&mut *bytes).ok()?;
            let text = totp_rs::Secret::from(bytes.as_slice()).to_base32();
            let mut code = String::with_capacity(text.len() + 3);
            for (at, letter) in text.trim_end_matches('=').chars().enumerate() {
                if at > 0 && at % 4 == 0 {
                    code.push('-');
                }
                code.push(letter.to_ascii_lowercase());
            }
            Some(Secret::new(code))
        })
        .collect()
}

/// Whether it could be a recovery code, by its length: those of the app are much shorter.
pub(super) fn is_recovery_code(code: &str) -> bool {
    code.chars().filter(char::is_ascii_alphanumeric).count() == RECOVERY_BYTES * 8 / 5
}

/// What is kept of a recovery code. Case, spaces and dashes do not matter.
pub(super) fn recovery_hash(code: &str) -> [u8; 32] {
    let plain: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    Sha256::digest(plain.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B: the secret is the ASCII text 12345678901234567890; of the eight
    /// digits there, six are shown here.
    const RFC: [(Millis, &str); 4] = [
        (59_000, "287082"),
        (1_111_111_109_000, "081804"),
        (1_234_567_890_000, "005924"),
        (20_000_000_000_000, "353130"),
    ];

    fn rfc_secret() -> Secret {
        totp_rs::Secret::from(b"12345678901234567890".as_slice())
            .to_base32()
            .as_str()
            .into()
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (now, code) in RFC {
            assert_eq!(
                check(&rfc_secret(), code, now, None),
                Some(now / 30_000),
                "{now}"
            );
            assert_eq!(check(&rfc_secret(), "000000", now, None), None);
        }
    }

    #[test]
    fn a_code_is_good_for_a_step_before_and_after_and_once() {
        let (now, code) = RFC[1];
        let step = now / 30_000;
        for (shift, right) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            let at = now + shift * 30_000;
            assert_eq!(
                check(&rfc_secret(), code, at, None).is_some(),
                right,
                "{shift}"
            );
        }
        assert_eq!(check(&rfc_secret(), code, now, Some(step - 1)), Some(step));
        assert_eq!(check(&rfc_secret(), code, now, Some(step)), None);
        assert_eq!(check(&rfc_secret(), "081 804", now, None), Some(step));
        for bad in ["", "81804", "0818040", "08180x", "０８１８０４"] {
            assert_eq!(check(&rfc_secret(), bad, now, None), None, "{bad}");
        }
    }

    #[test]
    fn an_app_gets_the_secret_as_link_and_picture() {
        let new = enrol("panel at 10.0.0.1:8000").unwrap();
        let link = new.link.expose();
        assert!(
            link.starts_with("otpauth://totp/Gemini%20Balance:panel"),
            "{link}"
        );
        assert!(link.contains(&format!("secret={}", new.secret.expose())));
        assert!(new.qr_svg.expose().contains("<svg"));
        assert_ne!(enrol("x").unwrap().secret, new.secret);
    }

    #[test]
    fn recovery_codes_are_long_different_and_forgiving_to_type() {
        let codes = recovery_codes().unwrap();
        assert_eq!(codes.len(), 10);
        let first = codes[0].expose();
        assert_eq!(first.len(), 19, "{first}");
        assert!(is_recovery_code(first) && !is_recovery_code("123 456"));
        let typed = first.to_uppercase().replace('-', " ");
        assert_eq!(recovery_hash(first), recovery_hash(&typed));
        assert_ne!(recovery_hash(first), recovery_hash(codes[1].expose()));
    }
}
