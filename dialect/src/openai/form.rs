//! A body of `multipart/form-data`, taken apart: some of OpenAI's endpoints take files so.

use std::str::FromStr;

use bytes::Bytes;

use crate::error::Invalid;

/// The whole form.
#[derive(Clone, Debug, Default)]
pub struct Form {
    /// Names and values, in their order.
    pub fields: Vec<(String, String)>,
    /// Fields that are files, in their order.
    pub files: Vec<File>,
}

/// A field that is a file.
#[derive(Clone, Debug)]
pub struct File {
    /// The field's name.
    pub field: String,
    /// The file's name.
    pub name: Option<String>,
    /// What the client says that it is.
    pub media_type: Option<String>,
    /// What is in it.
    pub bytes: Bytes,
}

impl Form {
    /// The value of a field; `None` when it is missing or empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The values of a field that may come several times, as `name` or as `name[]`.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let found = self.fields.iter();
        found
            .filter(move |(field, _)| is_one_of(field, name))
            .map(|(_, value)| value.as_str())
    }

    /// The files of a field, as `name` or as `name[]`.
    pub fn files<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a File> {
        self.files
            .iter()
            .filter(move |file| is_one_of(&file.field, name))
    }

    /// A field that is a number.
    ///
    /// # Errors
    /// When it is none; `expected` completes "it must be …".
    pub(crate) fn number<T: FromStr>(
        &self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Invalid> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        text.trim().parse().map(Some).map_err(|_| {
            let shown: String = text.chars().take(40).collect();
            Invalid::new(
                name,
                format!("`{name}` is \"{shown}\"; it must be {expected}."),
            )
        })
    }

    /// A field that is `true` or `false`.
    ///
    /// # Errors
    /// When it is neither.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Invalid> {
        match self.text(name) {
            // How Python writes it.
            Some("True" | "1") => Ok(Some(true)),
            Some("False" | "0") => Ok(Some(false)),
            _ => self.number(name, "true or false"),
        }
    }
}

fn is_one_of(field: &str, name: &str) -> bool {
    field.strip_suffix("[]").unwrap_or(field) == name
}
