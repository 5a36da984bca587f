use super::*;
use proptest::prelude::*;
use std::sync::{Arc, Mutex};

fn read(bytes: &[u8]) -> Vec<Result<(String, u64), String>> {
    Lines::from_reader("x", io::Cursor::new(bytes.to_vec()))
        .map(|line| match line {
            Ok(line) => Ok((line.text, line.place.number)),
            Err(Bad::Line(place, why)) => Err(format!("{place}: {why}")),
            Err(Bad::Input(place, why)) => Err(format!("{place}: input: {why}")),
        })
        .collect()
}

fn read_by_blocks(bytes: &[u8], size: usize, longest: usize) -> Vec<Result<(String, u64), String>> {
    let mut blocks = Blocks::from_reader("x", io::Cursor::new(bytes.to_vec())).small(size, longest);
    let mut lines = Vec::new();
    while let Some(block) = blocks.next(Vec::new()) {
        let bad = |bad: Bad| match bad {
            Bad::Line(place, why) => format!("{place}: {why}"),
            Bad::Input(place, why) => format!("{place}: input: {why}"),
        };
        match block {
            Ok(block) => lines.extend(block.lines().map(|l| l.map(|(n, text)| (text.to_owned(), n)).map_err(bad))),
            Err(why) => lines.push(Err(bad(why))),
        }
    }
    lines
}

#[test]
fn a_line_that_never_ends_is_told_and_skipped_and_memory_does_not_grow_with_it() {
    let ok = |text: &str, n| Ok((text.to_owned(), n));
    let long = "x".repeat(1000);
    let told = |n: u64| Err(format!("x:{n}: longer than 40 bytes"));
    for (text, expect) in [
        (format!("a\n{long}\nb\n"), vec![ok("a", 1), told(2), ok("b", 3)]),
        (format!("{long}\n\nb"), vec![told(1), ok("b", 3)]),
        (format!("a\n{long}"), vec![ok("a", 1), told(2)]),
        (format!("{long}\n{long}\nb\n"), vec![told(1), told(2), ok("b", 3)]),
    ] {
        assert_eq!(read_by_blocks(text.as_bytes(), 16, 40), expect);
    }
}

#[test]
fn lines_are_read_as_people_write_them() {
    let ok = |text: &str, n| Ok((text.to_owned(), n));
    for (bytes, expect) in [
        (&b""[..], vec![]),
        (b"\n\n", vec![]),
        (b"a\nb\n", vec![ok("a", 1), ok("b", 2)]),
        (b"a\nb", vec![ok("a", 1), ok("b", 2)]),
        (b"a\r\n\r\nb\r\n", vec![ok("a", 1), ok("b", 3)]),
        (b"\xef\xbb\xbfa\n", vec![ok("a", 1)]),
        (b"\xef\xbb\xbf\na\n", vec![ok("a", 2)]),
        (b"\xff\xfea\0\r\0\n\0\xe9\0", vec![ok("a", 1), ok("\u{e9}", 2)]),
        (
            b"a\n\xff\xfe\nb\n",
            vec![ok("a", 1), Err("x:2: not UTF-8: invalid utf-8 sequence of 1 bytes from index 0".into()), ok("b", 3)],
        ),
    ] {
        assert_eq!(read(bytes), expect, "{:?}", String::from_utf8_lossy(bytes));
        for size in [1, 2, 3, 4096] {
            assert_eq!(read_by_blocks(bytes, size, MAX_LINE), expect, "{size}: {:?}", String::from_utf8_lossy(bytes));
        }
    }
}

#[test]
fn a_missing_file_is_named() {
    let why = Lines::open(&["/no/such/file"]).err().unwrap().to_string();
    assert!(why.starts_with("/no/such/file: "), "{why}");
    assert!(Lines::open(&["-", "-"]).is_err());
    assert!(Lines::open(&["/"]).is_err());
}

#[derive(Clone, Default)]
struct Writes(Arc<Mutex<Vec<Vec<u8>>>>);
impl Write for Writes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push(bytes.to_vec());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn held_lines_are_one_write_when_they_are_many_or_flushed_and_never_a_part_of_a_line() {
    let writes = Writes::default();
    let mut out = Out::new(writes.clone());
    let long = "x".repeat(HELD / 4);
    ["a", "b"].iter().for_each(|text| out.hold(&[text]).unwrap());
    assert!(writes.0.lock().unwrap().is_empty());
    out.flush().unwrap();
    (0..5).for_each(|_| out.hold(&[&long, "!"]).unwrap());
    out.line("c").unwrap();
    let writes = writes.0.lock().unwrap();
    assert_eq!(writes[0], b"a\nb\n");
    assert_eq!(writes.len(), 3, "one when it was too much, one for the rest");
    assert!(writes.iter().all(|write| write.ends_with(b"\n")));
}

#[test]
fn a_line_is_at_hand_when_reading_it_will_not_wait() {
    // Every byte string is what one read gives.
    struct Reads(VecDeque<&'static [u8]>);
    impl Read for Reads {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let Some(bytes) = self.0.pop_front() else { return Ok(0) };
            let (now, later) = bytes.split_at(bytes.len().min(to.len()));
            to[..now.len()].copy_from_slice(now);
            if !later.is_empty() {
                self.0.push_front(later);
            }
            Ok(now.len())
        }
    }
    let reads = [&b"one\n"[..], b"a\nb\nc", b"c\n\n", b" d\n", b"e"];
    let mut lines = Lines::from_reader("x", Reads(reads.into()));
    assert!(!lines.at_hand(), "nothing was read yet");
    let mut seen = Vec::new();
    while let Some(line) = lines.next() {
        seen.push((line.unwrap().text, lines.at_hand()));
    }
    let expect = [("one", false), ("a", true), ("b", false), ("cc", false), (" d", false), ("e", false)];
    assert_eq!(seen, expect.map(|(text, more)| (text.to_owned(), more)));
}

proptest! {
    #[test]
    fn what_is_written_is_read_again_and_each_line_is_one_write(
        texts in proptest::collection::vec("[^\r\n\0\u{feff}]*[^\\s\0\u{feff}]", 0..20),
    ) {
        let writes = Writes::default();
        let mut out = Out::new(writes.clone());
        for text in &texts {
            out.line(text).unwrap();
        }
        let writes = writes.0.lock().unwrap();
        prop_assert_eq!(writes.len(), texts.len());
        let back: Vec<String> = read(&writes.concat()).into_iter().map(|line| line.unwrap().0).collect();
        prop_assert_eq!(back, texts);
    }
}
