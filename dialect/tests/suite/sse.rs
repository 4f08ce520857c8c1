//! Events come out the same wherever the bytes are cut.

use bytes::Bytes;
use dialect::sse::{EventTooLong, Events};
use proptest::prelude::*;

/// Everything that comes out when the stream arrives in these pieces.
fn split(pieces: &[&[u8]]) -> Vec<String> {
    let mut events = Events::new(1 << 16);
    let mut found = Vec::new();
    for piece in pieces {
        events.push(Bytes::copy_from_slice(piece));
        found.extend((&mut events).map(|event| event.unwrap()));
    }
    found.extend(events.finish());
    found
        .into_iter()
        .map(|event| String::from_utf8(event.to_vec()).unwrap())
        .collect()
}

#[test]
fn lines_of_every_kind() {
    let cases: [(&str, &[&str]); 12] = [
        ("data: a\n\n", &["a"]),
        ("data:a\r\n\r\ndata:  b\r\r", &["a", " b"]),
        ("data: a\ndata: b\n\n", &["a\nb"]),
        ("data: a\ndata: b\ndata:\ndata: c\n\n", &["a\nb\n\nc"]),
        (": comment\n\ndata: a\n\n", &["a"]),
        ("event: x\nid: 1\nretry: 5\ndata: a\n\n", &["a"]),
        ("\u{feff}data: a\n\n", &["a"]),
        ("\n\n\ndata: a\n\n\n\n", &["a"]),
        ("data\n\n", &[""]),
        ("dataset: no\n\ndata: a\n\n", &["a"]),
        ("data: unterminated", &["unterminated"]),
        ("data: ü\u{2028}😀\n\n", &["ü\u{2028}😀"]),
    ];
    for (given, expected) in cases {
        assert_eq!(split(&[given.as_bytes()]), expected, "{given:?}");
    }
}

#[test]
fn an_event_in_one_piece_is_not_copied() {
    let piece = Bytes::from_static(b"data: abc\r\n\r\n");
    let mut events = Events::new(100);
    events.push(piece.clone());
    let event = events.next().unwrap().unwrap();
    assert_eq!(event.as_ptr(), piece[6..].as_ptr());
}

#[test]
fn pieces_can_be_pushed_before_the_first_is_read() {
    let mut events = Events::new(100);
    events.push(Bytes::from_static(b"data: a\n\nda"));
    events.push(Bytes::from_static(b"ta: b\n\n"));
    let all: Vec<_> = events.map(Result::unwrap).collect();
    assert_eq!(all, ["a", "b"]);
}

#[test]
fn an_event_beyond_the_bound_is_an_error_and_the_end() {
    for (pieces, fits) in [
        (&["data: 1234567890\n\n"][..], true),
        (&["data: 12345678901\n\n"], false),
        (&["data: 12345", "678901"], false),
        (
            &["data: 12345\n", "data: 67890\n", "data: 12345\n\n"],
            false,
        ),
        (
            &["data: 1\n\n", "data: 2\n\n", "data: 3\n\n", "data: 4\n\n"],
            true,
        ),
    ] {
        let mut events = Events::new(16);
        let mut failed = false;
        for piece in pieces {
            events.push(Bytes::from_static(piece.as_bytes()));
            for event in &mut events {
                failed |= event == Err(EventTooLong { max: 16 });
            }
        }
        assert_eq!(!failed, fits, "{pieces:?}");
        if failed {
            events.push(Bytes::from_static(b"\n\ndata: x\n\n"));
            assert_eq!(events.next(), None);
            assert_eq!(events.finish(), None);
        }
    }
}

proptest! {
    #[test]
    fn cutting_anywhere_changes_nothing(
        lines in prop::collection::vec(("(data: |data:|: |event: |)", "[a-z:é😀 ]{0,12}", "(\n|\r\n|\r)"), 0..24),
        mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let text: String = lines.iter().map(|(field, value, end)| format!("{field}{value}{end}")).collect();
        let bytes = text.as_bytes();
        let mut at: Vec<usize> = cuts.drain(..).map(|cut| cut.index(bytes.len() + 1)).collect();
        at.sort_unstable();
        let mut pieces = Vec::new();
        let mut start = 0;
        for end in at {
            pieces.push(&bytes[start..end]);
            start = end;
        }
        pieces.push(&bytes[start..]);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        let whole = split(&[bytes]);
        prop_assert_eq!(&split(&pieces), &whole);
        prop_assert_eq!(&split(&single), &whole);
    }
}
