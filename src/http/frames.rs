//! The frames of HTTP/2 as they pass (RFC 9113, section 4.1): only of what type each is, for the two questions that hyper answers
//! late or never. Does a server speak HTTP/2 at all? Does it still take streams?

/// The type of the frame that every HTTP/2 server says first (section 3.4).
const SETTINGS: u8 = 4;

/// The type of the frame by which a server takes no more streams (section 6.8).
const GOAWAY: u8 = 7;

/// The bytes of a frame's head: three of its length, one of its type, five more.
const HEAD: usize = 9;

/// What has been seen of a server's frames.
#[derive(Debug, Default)]
pub struct Frames {
    /// Whether the first one was as it must be; `None` before it.
    pub greeted: Option<bool>,
    /// Whether the server said that it takes no more streams.
    pub leaving: bool,
    /// The head that is being read, and how much of it was.
    head: [u8; HEAD],
    held: usize,
    /// What is left of the frame after it.
    rest: usize,
}

impl Frames {
    /// Bytes went by, cut anywhere.
    pub fn passed(&mut self, mut bytes: &[u8]) {
        // What is no HTTP/2 has no frames to be found.
        while !bytes.is_empty() && self.greeted != Some(false) {
            let skipped = self.rest.min(bytes.len());
            self.rest -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEAD - self.held).min(bytes.len());
            self.head[self.held..self.held + taken].copy_from_slice(&bytes[..taken]);
            self.held += taken;
            bytes = &bytes[taken..];
            let [a, b, c, kind, ..] = self.head;
            if self.held > 3 {
                self.greeted.get_or_insert(kind == SETTINGS);
            }
            if self.held == HEAD {
                self.held = 0;
                self.rest = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.leaving |= kind == GOAWAY;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let head = [0, (payload.len() >> 8) as u8, payload.len() as u8, kind, 0, 0, 0, 0, 0];
        [&head[..], payload].concat()
    }

    #[test]
    fn a_server_that_leaves_is_seen_however_its_bytes_are_cut() {
        let data = frame(0, &[GOAWAY; 300]);
        for (frames, greeted, leaving) in [
            (vec![frame(SETTINGS, &[]), data.clone()], Some(true), false),
            (vec![frame(SETTINGS, &[0; 12]), data.clone(), frame(GOAWAY, &[0; 8]), data.clone()], Some(true), true),
            (vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()], Some(false), false),
            (vec![vec![0, 0, 0]], None, false),
            (vec![], None, false),
        ] {
            let bytes = frames.concat();
            for size in [1, 2, 3, 8, 9, 10, 100, 10_000] {
                let mut seen = Frames::default();
                bytes.chunks(size).for_each(|piece| seen.passed(piece));
                assert_eq!((seen.greeted, seen.leaving), (greeted, leaving), "{frames:?} by {size}");
            }
        }
    }
}
