//! Ends a program when its test is gone without having done so.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Reading fails when the other end of the pipe is closed, which the kernel does however a
/// process ends.
const GUARD: &str = r#"
trap '' INT TERM HUP
read -r word || { kill -KILL "$1"; sleep 1; [ -z "$2" ] || rm -rf "$2"; }
"#;

/// Somebody who outlives this process if it dies, and then kills a program of its.
/// Dropped, it does nothing: the program must have been ended and waited for by then.
#[derive(Debug)]
pub(crate) struct Guard(Child);

impl Guard {
    /// Watches over the program with this number, and removes the folder after it.
    pub fn over(pid: u32, folder: Option<&Path>) -> io::Result<Self> {
        Command::new("sh")
            .args(["-c", GUARD, "sh", &pid.to_string()])
            .arg(folder.unwrap_or(Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Self)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut stdin) = self.0.stdin.take() {
            let _ = stdin.write_all(b"done\n");
        }
        let _ = self.0.wait();
    }
}
