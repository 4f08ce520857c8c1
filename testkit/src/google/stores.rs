//! File search stores, the documents in them, and the operations that bring those in.
//!
//! The methods: <https://ai.google.dev/api/file-search/file-search-stores> and `…/documents`. An
//! operation of an upload and one of an import have names of different forms, as there. What
//! Google says of another project's store is not published; this one says what it says of files.
//!
//! Deliberately absent: chunks, `media`, and any search: an answer does not depend on a store.

use bytes::Bytes;
use serde_json::{Value, json};

use super::World;
use super::door;
use super::error::GoogleError;
use super::files;
use super::proto::{get, list, text};
use super::reply::Reply;
use super::shelf::{Asked, Owned, Paging, time};
use super::upload::{self, Given};
use super::work::Progress;

/// A store.
#[derive(Debug)]
pub(super) struct Store {
    display_name: String,
    embedding_model: String,
}

/// A document in a store.
#[derive(Debug)]
pub(super) struct Document {
    about: Value,
    mime_type: String,
    size: usize,
    /// It can be searched.
    active: bool,
}

/// Brings a document in.
#[derive(Debug)]
pub(super) struct Operation {
    /// The full name of the document.
    document: String,
    /// What the response's type is called.
    response: &'static str,
    progress: Progress,
    done: bool,
}

fn forbidden(name: &str) -> GoogleError {
    let kind = match name.contains("/documents/") {
        true => "Document",
        false => "FileSearchStore",
    };
    GoogleError {
        message: format!(
            "You do not have permission to access the {kind} {name} or it may not exist."
        ),
        ..GoogleError::usual(403)
    }
}

/// The store as Google describes it, without what its documents come to.
pub(super) fn show(store: &Owned<Store>) -> Value {
    let mut shown = json!({ "name": store.name });
    if !store.it.display_name.is_empty() {
        shown["displayName"] = json!(store.it.display_name);
    }
    shown["createTime"] = json!(time(store.created));
    shown["updateTime"] = json!(time(store.created));
    shown["embeddingModel"] = json!(store.it.embedding_model);
    shown
}

/// The document as Google describes it.
pub(super) fn show_document(document: &Owned<Document>) -> Value {
    let it = &document.it;
    let mut shown = json!({ "name": document.name });
    for (field, camel) in [
        ("display_name", "displayName"),
        ("custom_metadata", "customMetadata"),
    ] {
        if let Some(given) = get(&it.about, field) {
            shown[camel] = given.clone();
        }
    }
    shown["createTime"] = json!(time(document.created));
    shown["updateTime"] = json!(time(document.created));
    shown["state"] = json!(match it.active {
        true => "STATE_ACTIVE",
        false => "STATE_PENDING",
    });
    shown["sizeBytes"] = json!(it.size.to_string());
    shown["mimeType"] = json!(it.mime_type);
    shown
}

/// The operation as Google shows it.
pub(super) fn show_operation(operation: &Owned<Operation>) -> Value {
    let it = &operation.it;
    if !it.done {
        return json!({ "name": operation.name });
    }
    let parent = it.document.split("/documents/").next();
    json!({
        "name": operation.name,
        "done": true,
        "response": {
            "@type": format!("type.googleapis.com/google.ai.generativelanguage.v1main.{}", it.response),
            "parent": parent,
            "documentName": it.document,
        },
    })
}

const STORES: Paging = Paging {
    request: "ListFileSearchStoresRequest",
    field: "fileSearchStores",
    usual: 10,
    most: 20,
    coerces: true,
};
const DOCUMENTS: Paging = Paging {
    request: "ListDocumentsRequest",
    field: "documents",
    usual: 10,
    most: 20,
    coerces: true,
};

/// Answers one call about stores.
pub(super) fn answer(asked: &Asked<'_>) -> Result<Reply, GoogleError> {
    let (world, target) = (asked.world, asked.target);
    let (name, project) = (&target.resource, &asked.caller.project);
    let now = world.clock.now();
    let action = target.action.strip_prefix("fileSearchStores.");
    let action = action.unwrap_or_default();
    // Everything but the list of stores is about one that must be there.
    let store = name.split('/').take(2).collect::<Vec<_>>().join("/");
    if name.contains('/')
        && world
            .inner
            .lock()
            .stores
            .get(project, &store, now)
            .is_none()
    {
        return Err(forbidden(&store));
    }
    if action == "upload" {
        return match upload::begin(asked, "fileSearchStores.upload")? {
            Given::Whole(about, kind, content) => {
                take(asked, &about, kind, &content).map(Reply::Json)
            }
            Given::Begun(reply) => Ok(reply),
        };
    }
    if action == "importFile" {
        return import(asked, now).map(Reply::Json);
    }
    let forced = target.flag("force");
    let mut inner = world.inner.lock();
    let shown = match action {
        "create" => {
            let body = door::message("fileSearchStores.create", asked.body)?;
            let display_name = text(&body, "display_name");
            let plain = |c: char| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_lowercase()
                } else {
                    '-'
                }
            };
            let stem: String = display_name.chars().map(plain).take(20).collect();
            let stem = stem.trim_matches('-');
            let mut id = inner.mint(12);
            if !stem.is_empty() {
                id = format!("{stem}-{id}");
            }
            let model = text(&body, "embedding_model");
            let store = Owned {
                name: format!("fileSearchStores/{id}"),
                owner: asked.caller.clone(),
                created: now,
                expires: None,
                it: Store {
                    display_name: display_name.to_owned(),
                    embedding_model: match model {
                        "" => "models/gemini-embedding-001".to_owned(),
                        model => model.to_owned(),
                    },
                },
            };
            let shown = show(&store);
            inner.stores.put(store);
            shown
        }
        "list" => inner
            .stores
            .page(asked.caller, now, target, &STORES, show)?,
        "get" => {
            let store = inner.stores.get(project, name, now);
            let mut shown = store.map(show).ok_or_else(|| forbidden(name))?;
            let mine = format!("{name}/documents/");
            let documents = inner.documents.all(now);
            let (mut counts, mut size) = ([0_usize; 2], 0);
            for document in documents.filter(|document| document.name.starts_with(&mine)) {
                counts[usize::from(document.it.active)] += 1;
                size += document.it.size;
            }
            for (field, count) in [
                ("pendingDocumentsCount", counts[0]),
                ("activeDocumentsCount", counts[1]),
                ("sizeBytes", size),
            ] {
                // A zero is left out of protobuf's JSON.
                if count > 0 {
                    shown[field] = json!(count.to_string());
                }
            }
            shown
        }
        "delete" => {
            let mine = format!("{name}/documents/");
            let documents = inner.documents.all(now);
            let documents = documents.filter(|document| document.name.starts_with(&mine));
            let names: Vec<String> = documents.map(|document| document.name.clone()).collect();
            if !names.is_empty() && !forced {
                return Err(GoogleError {
                    status: "FAILED_PRECONDITION",
                    message: "Cannot delete non-empty FileSearchStore.".to_owned(),
                    ..GoogleError::usual(400)
                });
            }
            for document in names {
                inner.documents.remove(project, &document, now);
            }
            inner.stores.remove(project, name, now);
            json!({})
        }
        "documents.list" => {
            inner
                .documents
                .page(asked.caller, now, target, &DOCUMENTS, show_document)?
        }
        "documents.get" => {
            let document = inner.documents.get(project, name, now);
            document.map(show_document).ok_or_else(|| forbidden(name))?
        }
        "documents.delete" => {
            let removed = inner.documents.remove(project, name, now);
            removed.ok_or_else(|| forbidden(name))?;
            json!({})
        }
        _ => {
            let operation = inner.imports.get_mut(project, name, now);
            let operation = operation.ok_or_else(|| GoogleError::usual(404))?;
            operation.it.done |= operation.it.progress.look(now);
            let (shown, done) = (show_operation(operation), operation.it.done);
            let document = operation.it.document.clone();
            if let Some(document) = inner.documents.get_mut(project, &document, now) {
                document.it.active |= done;
            }
            shown
        }
    };
    Ok(Reply::Json(shown))
}

/// Takes in what was uploaded to a store.
pub(super) fn take(
    asked: &Asked<'_>,
    about: &Value,
    mime_type: String,
    content: &Bytes,
) -> Result<Value, GoogleError> {
    if content.is_empty() {
        return Err(GoogleError::invalid("The file is empty."));
    }
    let it = Document {
        about: about.clone(),
        mime_type,
        size: content.len(),
        active: false,
    };
    Ok(bring_in(
        asked,
        it,
        "upload/operations",
        "UploadToFileSearchStoreResponse",
    ))
}

fn import(asked: &Asked<'_>, now: i64) -> Result<Value, GoogleError> {
    let body = door::message("fileSearchStores.importFile", asked.body)?;
    let name = text(&body, "file_name");
    let it = {
        let inner = asked.world.inner.lock();
        let file = inner.files.get(&asked.caller.project, name, now);
        let file = file.ok_or_else(|| files::forbidden(name))?;
        Document {
            about: json!({
                "display_name": name,
                "custom_metadata": get(&body, "custom_metadata"),
            }),
            mime_type: file.it.mime_type.clone(),
            size: file.it.content.len(),
            active: false,
        }
    };
    Ok(bring_in(asked, it, "operations", "ImportFileResponse"))
}

fn bring_in(asked: &Asked<'_>, it: Document, kind: &str, response: &'static str) -> Value {
    let world = asked.world;
    let now = world.clock.now();
    let store = &asked.target.resource;
    let mut inner = world.inner.lock();
    let id = inner.mint(12);
    let document = Owned {
        name: format!("{store}/documents/{id}"),
        owner: asked.caller.clone(),
        created: now,
        expires: None,
        it,
    };
    let operation = Owned {
        name: format!("{store}/{kind}/{id}"),
        owner: asked.caller.clone(),
        created: now,
        expires: None,
        it: Operation {
            document: document.name.clone(),
            response,
            progress: Progress::begin(inner.work, now),
            done: false,
        },
    };
    let shown = show_operation(&operation);
    inner.documents.put(document);
    inner.imports.put(operation);
    shown
}

/// Refuses the stores of other projects in the tools of a request.
pub(super) fn check(world: &World, project: &str, tools: &[Value]) -> Result<(), GoogleError> {
    let now = world.clock.now();
    for tool in tools {
        // Interactions have the names in the tool itself.
        let search = get(tool, "file_search").unwrap_or(tool);
        for name in list(search, "file_search_store_names") {
            let name = name.as_str().unwrap_or_default();
            if world.inner.lock().stores.get(project, name, now).is_none() {
                return Err(forbidden(name));
            }
        }
    }
    Ok(())
}
