//! What a path of Google's resources says.

use dialect::gemini::COLLECTIONS;

/// A resource, or a collection of such, and what is to be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The path as the upstream takes it, from its area on: `/files/abc:download`,
    /// `/upload/files`, `/v1alpha/cachedContents`.
    pub path: String,
    /// It is an upload.
    pub uploads: bool,
    /// `files/abc`, `fileSearchStores/s/documents`, without a verb.
    pub name: String,
    /// What follows a colon, or an interaction's id; empty when nothing does.
    pub verb: String,
}

impl Target {
    /// Reads a path such as `/v1beta/files/abc`; `None` for one that is not Google's.
    pub fn of(path: &str) -> Option<Self> {
        let mut segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let area = match *segments.first()? {
            "upload" => "/upload",
            "download" => "/download",
            _ => "",
        };
        if !area.is_empty() {
            segments.remove(0);
        }
        let version = segments.first()?;
        let area = match *version {
            "v1alpha" if area.is_empty() => "/v1alpha",
            "v1" | "v1beta" | "v1alpha" => area,
            _ => return None,
        };
        segments.remove(0);
        let collection = segments.first()?;
        let collection = collection.split(':').next()?;
        let is_known = COLLECTIONS.contains(&collection)
            || (collection == "models" && segments.get(2) == Some(&"operations"));
        if !is_known || !segments.iter().all(|segment| is_plain(segment)) {
            return None;
        }
        let path = format!("{area}/{}", segments.join("/"));
        let verb = match segments[..] {
            ["interactions", _, verb] => {
                segments.pop();
                verb.to_owned()
            }
            [.., last] => match last.split_once(':') {
                Some((last, verb)) => {
                    segments.pop();
                    segments.push(last);
                    verb.to_owned()
                }
                None => String::new(),
            },
            [] => return None,
        };
        Some(Self {
            path,
            uploads: area == "/upload",
            name: segments.join("/").replace("%3D", "=").replace("%3d", "="),
            verb,
        })
    }

    /// The collection at the beginning.
    pub fn collection(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// Whether it is a whole collection that belongs to no single resource.
    pub fn is_collection(&self) -> bool {
        !self.name.contains('/')
    }

    /// The names that can have an owner: the resource, and what it is a part of.
    pub fn names(&self) -> Vec<String> {
        let segments: Vec<&str> = self.name.split('/').collect();
        let mut names = Vec::new();
        if segments.len().is_multiple_of(2) {
            names.push(self.name.clone());
        }
        if let [collection, member, _, ..] = segments[..]
            && collection != "models"
        {
            names.push(format!("{collection}/{member}"));
        }
        names
    }
}

/// Whether a segment can be put into a path as it is, and stays one.
fn is_plain(segment: &str) -> bool {
    // Ids of interactions may end in `=`, which some clients escape.
    let segment = segment.replace("%3D", "=").replace("%3d", "=");
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:=".contains(&byte);
    segment.bytes().all(known) && !segment.bytes().all(|byte| byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        for (path, upstream, name, verb) in [
            ("/v1beta/files", "/files", "files", ""),
            ("/v1/files/abc", "/files/abc", "files/abc", ""),
            (
                "/v1beta/files/abc:download",
                "/files/abc:download",
                "files/abc",
                "download",
            ),
            ("/upload/v1/files", "/upload/files", "files", ""),
            (
                "/v1alpha/cachedContents/x",
                "/v1alpha/cachedContents/x",
                "cachedContents/x",
                "",
            ),
            (
                "/v1/interactions/v1_a%3D/cancel",
                "/interactions/v1_a%3D/cancel",
                "interactions/v1_a=",
                "cancel",
            ),
            (
                "/v1beta/models/veo/operations/o",
                "/models/veo/operations/o",
                "models/veo/operations/o",
                "",
            ),
            (
                "/upload/v1beta/fileSearchStores/s:uploadToFileSearchStore",
                "/upload/fileSearchStores/s:uploadToFileSearchStore",
                "fileSearchStores/s",
                "uploadToFileSearchStore",
            ),
            (
                "/v1beta/files:register",
                "/files:register",
                "files",
                "register",
            ),
        ] {
            let target = Target::of(path).unwrap();
            assert_eq!(
                (&*target.path, &*target.name, &*target.verb),
                (upstream, name, verb),
                "{path}"
            );
        }
        for path in [
            "/v1beta/models/m",
            "/v2/files",
            "/v1beta/files/..",
            "/v1beta/files/a%2Fb",
            "/v1beta/users/1",
            "/v1beta",
            "/",
        ] {
            assert_eq!(Target::of(path), None, "{path}");
        }
    }

    #[test]
    fn owners_are_looked_for_by_the_resource_and_by_what_has_it() {
        let names = |path: &str| Target::of(path).unwrap().names();
        assert_eq!(names("/v1/files/a"), ["files/a"]);
        assert_eq!(
            names("/v1/fileSearchStores/s/documents"),
            ["fileSearchStores/s"]
        );
        assert_eq!(
            names("/v1/fileSearchStores/s/operations/o"),
            ["fileSearchStores/s/operations/o", "fileSearchStores/s"]
        );
        assert_eq!(
            names("/v1/models/m/operations/o"),
            ["models/m/operations/o"]
        );
        assert!(names("/v1/files").is_empty());
    }
}
