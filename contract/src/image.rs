//! Which container image this build is deployed as.

/// The image that belongs to this build, e.g. `ghcr.io/gemini-balance/gemini-balance:latest`.
///
/// A release says it: `.github/workflows/release.yml` builds with `GEMINI_BALANCE_IMAGE`, the
/// name that it pushes to. Elsewhere it is what that workflow would push to from the
/// repository that Cargo.toml names.
pub fn default_image() -> String {
    reference(
        option_env!("GEMINI_BALANCE_IMAGE").unwrap_or_default(),
        env!("CARGO_PKG_REPOSITORY"),
    )
}

/// `given`, or what the registry of GitHub calls the repository. A name is in small letters
/// there, whatever the repository's; a tag is taken as it is.
fn reference(given: &str, repository: &str) -> String {
    let path = repository
        .trim_start_matches("https://github.com/")
        .trim_end_matches('/')
        .trim_end_matches(".git");
    let given = match given.trim() {
        "" => format!("ghcr.io/{path}"),
        given => given.to_owned(),
    };
    // A colon before the last slash is that of the registry's port.
    let colon = given
        .rfind(':')
        .filter(|colon| !given[*colon..].contains('/'));
    let (name, tag) = colon.map_or((given.as_str(), ":latest"), |colon| given.split_at(colon));
    format!("{}{tag}", name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPOSITORY: &str = "https://github.com/Some-One/Name";

    #[test]
    fn without_a_name_it_is_called_as_the_repository_is() {
        assert_eq!(reference("", REPOSITORY), "ghcr.io/some-one/name:latest");
        for repository in ["https://github.com/a/b.git", "https://github.com/a/b/"] {
            assert_eq!(reference(" ", repository), "ghcr.io/a/b:latest");
        }
    }

    #[test]
    fn a_name_is_taken_in_small_letters_and_its_tag_as_it_is() {
        for (given, expected) in [
            ("ghcr.io/Some-One/Name", "ghcr.io/some-one/name:latest"),
            ("ghcr.io/A/b:1.2.0-RC.1", "ghcr.io/a/b:1.2.0-RC.1"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
            ("localhost:5000/a/b:2", "localhost:5000/a/b:2"),
        ] {
            assert_eq!(reference(given, REPOSITORY), expected);
        }
    }

    #[test]
    fn this_build_has_a_complete_name() {
        let image = default_image();
        let (registry, path) = image.split_once('/').unwrap();
        assert!(registry.contains('.'), "{image}");
        assert!(
            path.split_once(':')
                .is_some_and(|(name, tag)| name.contains('/') && !tag.is_empty()),
            "{image}"
        );
    }
}
