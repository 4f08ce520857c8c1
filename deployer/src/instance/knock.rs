//! A sign of life of an instance, and what a provider answers in its place.

use contract::ApiError;
use http::HeaderMap;

use super::{Instances, away};
use crate::provider::{HEALTH_PATH, ProviderState};

/// By which Render says that it answered itself, and why (seen in public repositories).
const RENDER: &str = "x-render-routing";

/// Why an instance did not answer.
pub(crate) enum Silence {
    /// Its provider answered in its place.
    InItsPlace(ProviderState),
    /// Nobody did, or somebody else.
    Nobody(ApiError),
}

impl Instances {
    /// Asks an instance for a sign of life, as an external pinger does: by HEAD. One that sleeps
    /// wakes up, and answers when it has.
    ///
    /// # Errors
    /// When it did not answer.
    pub(crate) async fn knock(&self, url: &str) -> Result<(), Silence> {
        let answer = self.client.head(format!("{url}{HEALTH_PATH}")).send().await;
        match answer {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(match in_its_place(answer.headers()) {
                Some(state) => Silence::InItsPlace(state),
                None => Silence::Nobody(away(url).error),
            }),
            Err(_) => Err(Silence::Nobody(away(url).error)),
        }
    }
}

/// What the headers of an answer say that came from the provider and not from the instance.
pub(super) fn in_its_place(headers: &HeaderMap) -> Option<ProviderState> {
    let says = headers.get(RENDER)?.to_str().ok()?;
    Some(match says {
        // Also in the first minutes after a service was made.
        "no-server" => ProviderState::Starting,
        "suspend-by-user" => ProviderState::Suspended,
        "no-deploy" => ProviderState::Failing("nothing is deployed".to_owned()),
        "no-render-subdomain" => {
            ProviderState::Failing("its address at onrender.com is switched off".to_owned())
        }
        says if says.starts_with("suspend") => ProviderState::Stopped(says.to_owned()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::{RENDER, in_its_place};
    use crate::provider::ProviderState;

    #[test]
    fn only_what_the_provider_says_itself_counts() {
        let says = |value: &'static str| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(RENDER),
                HeaderValue::from_static(value),
            )]);
            in_its_place(&headers)
        };
        assert_eq!(says("suspend-by-user"), Some(ProviderState::Suspended));
        let billing = "suspend-by-billing".to_owned();
        assert_eq!(
            says("suspend-by-billing"),
            Some(ProviderState::Stopped(billing))
        );
        assert_eq!(says("no-server"), Some(ProviderState::Starting));
        assert_eq!(says("something-new"), None);
        assert_eq!(in_its_place(&HeaderMap::new()), None);
    }
}
