//! As much of PNG as it takes to see whether a picture shows anything (W3C PNG, third edition).

use flate2::read::ZlibDecoder;
use std::io::Read;

/// How far the values of a colour may be from the first pixel's before it is another colour.
const NOISE: u8 = 6;
/// The share of pixels that must be of another colour before anything is to be seen: a stray line is nothing.
const SEEN: f64 = 0.0005;
/// The most that a picture may unpack to, in bytes.
const LARGEST: u64 = 64 << 20;

/// Whether a picture is more than one even colour; `None` where it is no PNG that a browser writes (8 bits, not interlaced).
pub fn shows_anything(png: &[u8]) -> Option<bool> {
    let mut rest = png.strip_prefix(b"\x89PNG\r\n\x1a\n")?;
    let (mut width, mut height, mut channels, mut packed) = (0, 0, 0, Vec::new());
    while rest.len() >= 12 {
        let length = u32::from_be_bytes(rest[..4].try_into().ok()?) as usize;
        let kind = &rest[4..8];
        let body = rest.get(8..8usize.checked_add(length)?)?;
        match kind {
            b"IHDR" => {
                width = u32::from_be_bytes(body.get(..4)?.try_into().ok()?) as usize;
                height = u32::from_be_bytes(body.get(4..8)?.try_into().ok()?) as usize;
                channels = match body.get(8..13)? {
                    [8, 2, 0, 0, 0] => 3,
                    [8, 6, 0, 0, 0] => 4,
                    [8, 0, 0, 0, 0] => 1,
                    _ => return None,
                };
            }
            b"IDAT" => packed.extend_from_slice(body),
            _ => {}
        }
        rest = rest.get(length + 12..)?;
    }
    let stride = width.checked_mul(channels)?;
    if stride == 0 || height == 0 || ((stride as u64) + 1).checked_mul(height as u64)? > LARGEST {
        return None;
    }
    let mut raw = Vec::new();
    ZlibDecoder::new(&packed[..]).take(LARGEST).read_to_end(&mut raw).ok()?;
    let (mut above, mut line) = (vec![0u8; stride], vec![0u8; stride]);
    let (mut first, mut other) = (None, 0u64);
    for row in raw.chunks_exact(stride + 1).take(height) {
        unfilter(row[0], &row[1..], &above, channels, &mut line)?;
        for pixel in line.chunks_exact(channels) {
            let first: &Vec<u8> = first.get_or_insert_with(|| pixel.to_vec());
            other += u64::from(pixel.iter().zip(first).any(|(a, b)| a.abs_diff(*b) > NOISE));
        }
        std::mem::swap(&mut above, &mut line);
    }
    first.map(|_| other as f64 > SEEN * (width * height) as f64)
}

/// One line of pixels from its filtered form (section 9 of the specification).
fn unfilter(kind: u8, from: &[u8], above: &[u8], channels: usize, to: &mut [u8]) -> Option<()> {
    for at in 0..from.len() {
        let left = if at >= channels { to[at - channels] } else { 0 };
        let corner = if at >= channels { above[at - channels] } else { 0 };
        let up = above[at];
        let guess = match kind {
            0 => 0,
            1 => left,
            2 => up,
            3 => u8::midpoint(left, up),
            4 => {
                let p = i16::from(left) + i16::from(up) - i16::from(corner);
                let far = |of: u8| (p - i16::from(of)).abs();
                if far(left) <= far(up) && far(left) <= far(corner) {
                    left
                } else if far(up) <= far(corner) {
                    up
                } else {
                    corner
                }
            }
            _ => return None,
        };
        to[at] = from[at].wrapping_add(guess);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::ZlibEncoder};
    use std::io::Write;

    /// A PNG of RGB pixels whose lines are filtered in turn by each of the five ways.
    fn png(width: usize, height: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Vec<u8> {
        let line = |y: usize| -> Vec<u8> { (0..width).flat_map(|x| pixel(x, y)).collect() };
        let mut raw = Vec::new();
        for y in 0..height {
            let (this, above) = (line(y), if y > 0 { line(y - 1) } else { vec![0; width * 3] });
            let kind = (y % 5) as u8;
            raw.push(kind);
            // Filtering is unfiltering's inverse: find, byte by byte, what comes out as the pixel.
            let mut filtered = vec![0u8; width * 3];
            for at in 0..width * 3 {
                let mut out = vec![0u8; width * 3];
                unfilter(kind, &filtered, &above, 3, &mut out).unwrap();
                filtered[at] = this[at].wrapping_sub(out[at]);
            }
            raw.extend(filtered);
        }
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&raw).unwrap();
        let packed = zlib.finish().unwrap();
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut chunk = |kind: &[u8], body: &[u8]| {
            png.extend((body.len() as u32).to_be_bytes());
            png.extend(kind);
            png.extend(body);
            png.extend([0; 4]);
        };
        let mut head = Vec::new();
        head.extend((width as u32).to_be_bytes());
        head.extend((height as u32).to_be_bytes());
        head.extend([8, 2, 0, 0, 0]);
        chunk(b"IHDR", &head);
        let (a, b) = packed.split_at(packed.len() / 2);
        chunk(b"IDAT", a);
        chunk(b"IDAT", b);
        chunk(b"IEND", b"");
        png
    }

    #[test]
    fn an_even_colour_shows_nothing_and_a_word_shows_something() {
        assert_eq!(shows_anything(&png(20, 13, |_, _| [255, 255, 255])), Some(false));
        assert_eq!(shows_anything(&png(20, 13, |_, _| [18, 19, 22])), Some(false));
        // Noise of a colour profile is the same colour.
        assert_eq!(shows_anything(&png(20, 13, |x, _| [250 + (x % 3) as u8, 250, 250])), Some(false));
        assert_eq!(
            shows_anything(&png(20, 13, |x, y| if (x, y) == (7, 11) { [0, 0, 0] } else { [255; 3] })),
            Some(true)
        );
        assert_eq!(shows_anything(&png(20, 13, |x, y| [x as u8 * 10, y as u8 * 10, 7])), Some(true));
        // One pixel of many is a stray.
        assert_eq!(
            shows_anything(&png(100, 60, |x, y| if (x, y) == (9, 9) { [0, 0, 0] } else { [255; 3] })),
            Some(false)
        );
    }

    #[test]
    fn what_is_no_picture_is_not_known_to_be_blank() {
        let good = png(4, 4, |_, _| [1, 2, 3]);
        for bad in [&b""[..], b"\x89PNG\r\n\x1a\n", b"GIF89a", &good[..40], &good[8..]] {
            assert_eq!(shows_anything(bad), None);
        }
        let mut huge = good;
        huge[16..24].fill(0xff);
        assert_eq!(shows_anything(&huge), None);
    }
}
