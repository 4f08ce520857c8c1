use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

/// Ends the program with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_program_prints_its_address_and_serves_its_keys() {
    let child = Command::new(env!("CARGO_BIN_EXE_fake-google"))
        .args([
            "--keys",
            "AIza-one@p,AQ.two@p",
            "--rpm",
            "1",
            "--refuse",
            "AQ.two=leaked",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let mut line = String::new();
    BufReader::new(running.0.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim_end().strip_prefix("http://").unwrap().to_owned();
    let ask = |key: &str| {
        let body = super::ask("hi").to_string();
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(
            stream,
            "POST /v1beta/models/gemini-2.5-flash:generateContent HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
             x-goog-api-key: {key}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask("AIza-one").starts_with("HTTP/1.1 200 OK"));
    assert!(ask("AIza-one").starts_with("HTTP/1.1 429 Too Many Requests"));
    assert!(ask("AQ.two").contains("reported as leaked"));
    assert!(ask("AIza-three").contains("API_KEY_INVALID"));
}
