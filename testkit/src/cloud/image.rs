//! Names of images, and which of them there are.

use std::fmt;
use std::sync::Arc;

/// A name and a token for a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// User.
    pub user: String,
    /// Password or token.
    pub token: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Why an image cannot be pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// There is none of this name.
    Unknown,
    /// It is private, and the login is missing or wrong.
    Denied,
    /// There is one, but not for linux/amd64.
    WrongPlatform,
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "manifest unknown",
            Self::Denied => "unauthorized: authentication required",
            Self::WrongPlatform => "no matching manifest for linux/amd64",
        })
    }
}

/// Finds the digest of an image by its full name.
pub type Images = Arc<dyn Fn(&str, Option<&Login>) -> Result<String, ImageError> + Send + Sync>;

/// Every image exists.
#[must_use]
pub fn any_image() -> Images {
    Arc::new(|name, _| {
        Ok(Image::parse(name)
            .digest
            .unwrap_or_else(|| digest_of(name.as_bytes())))
    })
}

/// Only these images exist (by tag; any digest of theirs, too).
#[must_use]
pub fn images<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Images {
    let names: Vec<String> = names
        .into_iter()
        .map(|name| normalise(name.as_ref()))
        .collect();
    Arc::new(move |name, _| {
        let wanted = Image::parse(name);
        names
            .iter()
            .find_map(|known| {
                let digest = digest_of(known.as_bytes());
                let known = Image::parse(known);
                let same = wanted.repository() == known.repository();
                match &wanted.digest {
                    Some(named) => same && *named == digest,
                    None => same && wanted.tag == known.tag,
                }
                .then_some(digest)
            })
            .ok_or(ImageError::Unknown)
    })
}

/// `sha256:…` of these bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// The parts of an image's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `docker.io`, `ghcr.io`, `127.0.0.1:5000` …
    pub host: String,
    /// `library/nginx`, `owner/name` …
    pub path: String,
    /// `latest` …; `None` when there is only a digest.
    pub tag: Option<String>,
    /// `sha256:…`
    pub digest: Option<String>,
}

impl Image {
    /// Reads a name as Docker does: without a host it is Docker Hub's, without a path an
    /// official one, without tag and digest the `latest`.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        let (name, digest) = match name.split_once('@') {
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (name, None),
        };
        let (host, rest) = match name.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
            _ => ("docker.io", name),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) => (path, Some(tag.to_owned())),
            None if digest.is_none() => (rest, Some("latest".to_owned())),
            None => (rest, None),
        };
        let official = host == "docker.io" && !path.contains('/');
        let prefix = if official { "library/" } else { "" };
        Self {
            host: host.to_owned(),
            path: format!("{prefix}{path}"),
            tag,
            digest,
        }
    }

    /// Host and path.
    #[must_use]
    pub fn repository(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// An image's name in full: `nginx` is `docker.io/library/nginx:latest`.
#[must_use]
pub fn normalise(name: &str) -> String {
    Image::parse(name).to_string()
}

#[cfg(test)]
mod tests {
    use super::{ImageError, images, normalise};

    #[test]
    fn names_are_completed_as_docker_does() {
        for (given, full) in [
            ("nginx", "docker.io/library/nginx:latest"),
            ("owner/name:1", "docker.io/owner/name:1"),
            ("ghcr.io/owner/name", "ghcr.io/owner/name:latest"),
            ("ghcr.io/o/n@sha256:ab", "ghcr.io/o/n@sha256:ab"),
            ("localhost/x", "localhost/x:latest"),
            (
                "127.0.0.1:5000/o/n:2@sha256:ab",
                "127.0.0.1:5000/o/n:2@sha256:ab",
            ),
        ] {
            assert_eq!(normalise(given), full);
        }
    }

    #[test]
    fn only_the_listed_images_exist() {
        let images = images(["ghcr.io/o/n:1"]);
        let digest = images("ghcr.io/o/n:1", None).unwrap();
        assert_eq!(images(&format!("ghcr.io/o/n@{digest}"), None), Ok(digest));
        assert_eq!(images("ghcr.io/o/n:2", None), Err(ImageError::Unknown));
    }
}
