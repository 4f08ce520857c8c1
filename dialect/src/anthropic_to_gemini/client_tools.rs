//! Tools whose schemas Anthropic's models know by heart and clients run themselves: Gemini has to be
//! told. Source: Anthropic's documentation, "Bash tool", "Text editor tool" and "Memory tool", read
//! in November 2026.
//!
//! Deliberately absent: `computer_*`, whose coordinates are of a screen that Claude was trained on.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::gemini::request::FunctionDeclaration;
use crate::text::raw;

/// The function that stands for Anthropic's tool of this type; `None` when clients do not run it.
pub(super) fn declaration<'a>(kind: &str, name: Cow<'a, str>) -> Option<FunctionDeclaration<'a>> {
    let (description, parameters) = if kind.starts_with("bash_") {
        (BASH, bash())
    } else if kind.starts_with("text_editor_") {
        (EDITOR, editor(kind))
    } else if kind.starts_with("memory_") {
        (MEMORY, memory())
    } else {
        return None;
    };
    Some(FunctionDeclaration {
        name,
        description: Some(description.into()),
        parameters_json_schema: Some(Cow::Owned(raw(parameters.to_string()))),
        parameters: None,
    })
}

const BASH: &str = "Runs a command in a Bash session that goes on between calls: working \
                    directory, variables and files stay. Gives what the command wrote to standard \
                    output and to standard error. Commands that wait for input are not possible.";

const EDITOR: &str = "Shows, creates and changes text files. `view` shows a file with its line \
                      numbers, or what a directory holds. `create` writes a new file. \
                      `str_replace` replaces a text that occurs exactly once in the file, \
                      white space included. `insert` puts text behind a line.";

const MEMORY: &str = "Keeps what has to be known later, also in other conversations, in text files \
                      below the directory /memories. View that directory before you begin, and \
                      write down what you learn while you work: the conversation may be cut at any \
                      time. `view` shows a directory or a file, `create` writes a file, \
                      `str_replace` and `insert` change one, `delete` removes a file or a \
                      directory, `rename` moves one.";

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

/// An object with a `command` of these and with these properties.
fn commands(names: &[&str], required: &[&str], mut properties: Value) -> Value {
    properties["command"] = json!({
        "type": "string", "enum": names, "description": "What to do.",
    });
    json!({"type": "object", "properties": properties, "required": required})
}

fn bash() -> Value {
    json!({
        "type": "object",
        "properties": {
            "command": text("The command to run. Needed unless the session is restarted."),
            "restart": {
                "type": "boolean",
                "description": "True starts the session anew instead of running a command.",
            },
        },
    })
}

/// What `view`, `create`, `str_replace` and `insert` need; `inserted` is what the last calls its
/// text.
fn editing(inserted: &str) -> Value {
    let mut properties = json!({
        "path": text("The absolute path of the file or directory."),
        "view_range": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "Of `view`, for a file: the first and the last line to show, counted \
                            from 1; -1 as the last means the end.",
        },
        "file_text": text("Of `create`: all that the file is to hold."),
        "old_str": text("Of `str_replace`: the text to replace."),
        "new_str": text("Of `str_replace`: the text to put there."),
        "insert_line": {
            "type": "integer",
            "description": "Of `insert`: the line to insert behind; 0 is the beginning.",
        },
    });
    properties[inserted] = match inserted {
        "new_str" => text("Of `str_replace`: the text to put there. Of `insert`: the text."),
        _ => text("Of `insert`: the text."),
    };
    properties
}

/// Versions differ in what `insert` calls its text, and the oldest can undo.
fn editor(kind: &str) -> Value {
    let names = ["view", "create", "str_replace", "insert", "undo_edit"];
    let (names, inserted) = match kind {
        "text_editor_20241022" | "text_editor_20250124" => (&names[..], "new_str"),
        "text_editor_20250429" => (&names[..4], "new_str"),
        _ => (&names[..4], "insert_text"),
    };
    commands(names, &["command", "path"], editing(inserted))
}

fn memory() -> Value {
    let names = [
        "view",
        "create",
        "str_replace",
        "insert",
        "delete",
        "rename",
    ];
    let mut properties = editing("insert_text");
    properties["path"] = text(
        "The path of the file or directory, which begins with /memories. Of all but `rename`.",
    );
    properties["old_path"] = text("Of `rename`: the path so far.");
    properties["new_path"] = text("Of `rename`: the new path.");
    commands(&names, &["command"], properties)
}
