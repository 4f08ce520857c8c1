//! The objects, each change of them, and what is told of it to watchers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::resource::Kind;

/// How many changes are kept for watchers that come back.
const KEPT_CHANGES: usize = 2_000;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: String,
    namespace: String,
    name: String,
}

impl Key {
    fn new(kind: &Kind, namespace: &str, name: &str) -> Self {
        Self {
            kind: kind.id(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// A change of one object.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub revision: u64,
    pub kind: &'static Kind,
    pub old: Option<Arc<Value>>,
    /// After a deletion the object as it was last, at the deletion's revision.
    pub new: Arc<Value>,
    pub deleted: bool,
}

/// All objects, as etcd has them.
#[derive(Debug)]
pub(super) struct Store {
    objects: BTreeMap<Key, Arc<Value>>,
    revision: u64,
    changes: VecDeque<Change>,
    /// Changes up to this revision are not known any more.
    compacted: u64,
    told: watch::Sender<u64>,
    counter: u64,
}

impl Store {
    pub fn new() -> Self {
        Self {
            objects: BTreeMap::new(),
            // A cluster that is not new: numbers of one digit hide comparisons of texts.
            revision: 998,
            changes: VecDeque::new(),
            compacted: 998,
            told: watch::Sender::new(998),
            counter: 0,
        }
    }

    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Shows the revision of the last change.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }

    pub fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<&Arc<Value>> {
        self.objects.get(&Key::new(kind, namespace, name))
    }

    /// The objects of a kind in a namespace, or in all when that is empty.
    pub fn list(&self, kind: &Kind, namespace: &str) -> Vec<Arc<Value>> {
        let id = kind.id();
        let from = Key::new(kind, namespace, "");
        self.objects
            .range(from..)
            .take_while(|(key, _)| {
                key.kind == id && (namespace.is_empty() || key.namespace == namespace)
            })
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    /// Every object of a namespace.
    pub fn everything(&self) -> impl Iterator<Item = (&str, &Arc<Value>)> {
        self.objects
            .iter()
            .map(|(key, object)| (key.kind.as_str(), object))
    }

    /// Writes an object, which gets a new resource version.
    pub fn put(&mut self, kind: &'static Kind, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let object = Arc::new(object);
        let key = Key::new(kind, namespace(&object), name(&object));
        let old = self.objects.insert(key, Arc::clone(&object));
        self.tell(kind, old, Arc::clone(&object), false);
        object
    }

    /// Takes an object away.
    pub fn remove(&mut self, kind: &'static Kind, namespace: &str, name: &str) {
        let Some(old) = self.objects.remove(&Key::new(kind, namespace, name)) else {
            return;
        };
        self.revision += 1;
        let mut last = Value::clone(&old);
        last["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        self.tell(kind, Some(old), Arc::new(last), true);
    }

    fn tell(&mut self, kind: &'static Kind, old: Option<Arc<Value>>, new: Arc<Value>, gone: bool) {
        self.changes.push_back(Change {
            revision: self.revision,
            kind,
            old,
            new,
            deleted: gone,
        });
        if self.changes.len() > KEPT_CHANGES
            && let Some(first) = self.changes.pop_front()
        {
            self.compacted = first.revision;
        }
        self.told.send_replace(self.revision);
    }

    /// Forgets the changes so far.
    pub fn compact(&mut self) {
        self.changes.clear();
        self.compacted = self.revision;
    }

    /// The oldest revision from which a watch can go on.
    pub fn oldest(&self) -> u64 {
        self.compacted
    }

    /// The changes after this revision; `None` when they are not all known any more.
    pub fn changes_after(&self, revision: u64) -> Option<impl Iterator<Item = &Change>> {
        (revision >= self.compacted).then(|| {
            let from = self
                .changes
                .partition_point(|change| change.revision <= revision);
            self.changes.range(from..)
        })
    }

    /// A number that was never given.
    fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub fn new_uid(&mut self) -> String {
        let number = self.count();
        let high = hash(&number.to_string());
        format!(
            "{:08x}-{:04x}-4000-8000-{number:012x}",
            high >> 32,
            high & 0xffff
        )
    }

    /// The five letters that end a generated name.
    pub fn new_suffix(&mut self) -> String {
        let number = self.count();
        letters(hash(&format!("suffix {number}")), 5)
    }
}

/// The letters that Kubernetes makes names of: no vowels, so no words.
pub(super) fn letters(mut number: u64, count: usize) -> String {
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut text = String::new();
    for _ in 0..count {
        let at = usize::try_from(number % 27).unwrap_or_default();
        text.push(char::from(*LETTERS.get(at).unwrap_or(&b'b')));
        number /= 27;
    }
    text
}

/// FNV-1a, as Kubernetes hashes templates, with a final mix.
pub(super) fn hash(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// An object as text that does not depend on the order of its fields.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, String> = map
                .iter()
                .map(|(name, value)| (name, canonical(value)))
                .collect();
            format!("{sorted:?}")
        }
        Value::Array(items) => format!("{:?}", items.iter().map(canonical).collect::<Vec<_>>()),
        other => other.to_string(),
    }
}

pub(super) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

pub(super) fn namespace(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap_or_default()
}

pub(super) fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

pub(super) fn is_deleting(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}
