//! What is kept as sealed documents with numbers, e.g. `account/3`.

use contract::{ApiError, ErrorCode};
use proxy_core::store::Store;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vault::Secret;

/// Something that is one document, `KIND/number`.
pub trait Numbered: Serialize + DeserializeOwned {
    /// What names of its documents begin with, before the `/`.
    const KIND: &'static str;

    /// Its number.
    fn id(&self) -> i64;
}

fn name<T: Numbered>(id: i64) -> String {
    format!("{}/{id}", T::KIND)
}

/// All of a kind, by number. One that this version does not understand is left out with a line
/// in the log, so that it does not keep the others away.
pub(crate) async fn all<T: Numbered>(store: &Store) -> Result<Vec<T>, ApiError> {
    let prefix = format!("{}/", T::KIND);
    let mut found: Vec<T> = store
        .documents(&prefix)
        .await?
        .iter()
        .filter_map(|document| read(&document.name, &document.text))
        .collect();
    found.sort_by_key(Numbered::id);
    Ok(found)
}

/// The one of this number, if there is one.
pub(crate) async fn find<T: Numbered>(store: &Store, id: i64) -> Result<Option<T>, ApiError> {
    let name = name::<T>(id);
    let documents = store.documents(&name).await?;
    let document = documents.iter().find(|document| document.name == name);
    Ok(document.and_then(|document| read(&document.name, &document.text)))
}

/// A number that no document of the kind has, not even one that cannot be read now.
pub(crate) async fn next_number<T: Numbered>(store: &Store) -> Result<i64, ApiError> {
    let prefix = format!("{}/", T::KIND);
    let names = store.document_names(&prefix).await?;
    let number = |name: &String| name.strip_prefix(&prefix)?.parse::<i64>().ok();
    let last = names.iter().filter_map(number).max();
    Ok(last.unwrap_or(0) + 1)
}

fn read<T: Numbered>(name: &str, text: &Secret) -> Option<T> {
    match serde_json::from_str(text.expose()) {
        Ok(found) => Some(found),
        Err(error) => {
            // What serde says may quote a value.
            let (line, column) = (error.line(), error.column());
            tracing::error!(
                name,
                line,
                column,
                "a document is not understood; it is left out"
            );
            None
        }
    }
}

/// Keeps it in place of what was there.
pub(crate) async fn save<T: Numbered>(store: &Store, it: &T) -> Result<(), ApiError> {
    let text = serde_json::to_string(it)
        .map_err(|error| ApiError::new(ErrorCode::Internal, error.to_string()))?;
    Ok(store
        .save_document(&name::<T>(it.id()), &Secret::new(text))
        .await?)
}

/// Changes the one of this number, unless `change` says that nothing changed. Nobody changes it
/// in between, not even another process. Gives what it is then, if there is one.
pub(crate) async fn change<T: Numbered + Send>(
    store: &Store,
    id: i64,
    change: impl FnOnce(&mut T) -> bool + Send,
) -> Result<Option<T>, ApiError> {
    let name = name::<T>(id);
    let mut found: Option<T> = None;
    let mut failed = None;
    let changed = store.change_document(&name, |text| {
        let it = found.insert(read(&name, text)?);
        if !change(it) {
            return None;
        }
        serde_json::to_string(it)
            .map(Secret::new)
            .map_err(|error| failed = Some(error))
            .ok()
    });
    changed.await?;
    match failed {
        Some(error) => Err(ApiError::new(ErrorCode::Internal, error.to_string())),
        None => Ok(found),
    }
}

/// Forgets it.
pub(crate) async fn remove<T: Numbered>(store: &Store, id: i64) -> Result<(), ApiError> {
    Ok(store.remove_document(&name::<T>(id)).await?)
}

/// A secret within a document, where no field can say how it is written: in a list or a map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Kept(#[serde(with = "sealed")] pub Secret);

/// A secret within a document, which is sealed as a whole. Nothing else may serialize one.
pub(crate) mod sealed {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use vault::Secret;

    pub(crate) fn serialize<S: Serializer>(secret: &Secret, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
        String::deserialize(from).map(Secret::new)
    }
}
