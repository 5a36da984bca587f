//! Whether a picture of a page shows anything.

use png::{BitDepth, ColorType, Decoder, Limits, Transformations};
use std::io::Cursor;

/// How far the values of a colour may be from the first pixel's before it is another colour.
const NOISE: u8 = 6;
/// The share of pixels that must be of another colour before anything is to be seen: a stray line is nothing.
const SEEN: f64 = 0.0005;
/// The most that a picture may unpack to, in bytes.
const LARGEST: usize = 64 << 20;

/// Whether a picture is more than one even colour; `None` where it is no PNG that a browser writes (8 bits, not interlaced).
pub fn shows_anything(png: &[u8]) -> Option<bool> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(png), Limits { bytes: LARGEST });
    decoder.set_transformations(Transformations::IDENTITY);
    let mut lines = decoder.read_info().ok()?;
    let head = lines.info();
    let channels = match (head.bit_depth, head.color_type, head.interlaced) {
        (BitDepth::Eight, ColorType::Grayscale | ColorType::Rgb | ColorType::Rgba, false) => head.color_type.samples(),
        _ => return None,
    };
    let pixels = u64::from(head.width) * u64::from(head.height);
    if pixels.checked_mul(channels as u64)? > LARGEST as u64 {
        return None;
    }
    let (mut first, mut other) = (None, 0u64);
    while let Some(line) = lines.next_row().ok()? {
        for pixel in line.data().chunks_exact(channels) {
            let first: &Vec<u8> = first.get_or_insert_with(|| pixel.to_vec());
            other += u64::from(pixel.iter().zip(first).any(|(a, b)| a.abs_diff(*b) > NOISE));
        }
    }
    first.map(|_| other as f64 > SEEN * pixels as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use png::{Compression, Encoder, Filter};

    /// A PNG of RGB pixels.
    fn png(width: usize, height: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Vec<u8> {
        let pixels: Vec<u8> =
            (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect();
        encoded((width, height), (ColorType::Rgb, BitDepth::Eight), &pixels)
    }

    fn encoded((width, height): (usize, usize), (color, depth): (ColorType, BitDepth), pixels: &[u8]) -> Vec<u8> {
        let mut png = Vec::new();
        let mut encoder = Encoder::new(&mut png, width as u32, height as u32);
        encoder.set_color(color);
        encoder.set_depth(depth);
        encoder.set_filter(Filter::Adaptive);
        encoder.set_compression(Compression::Fast);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(pixels).unwrap();
        writer.finish().unwrap();
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
    fn pictures_with_and_without_transparency_and_in_grey_are_seen_and_other_forms_are_not_judged() {
        let eight = BitDepth::Eight;
        for (color, depth, pixels, expect) in [
            (ColorType::Grayscale, eight, &[9, 9, 9, 200][..], Some(true)),
            (ColorType::Rgba, eight, &[1; 16], Some(false)),
            (ColorType::Rgba, eight, &[1, 1, 1, 255, 1, 1, 1, 0, 1, 1, 1, 255, 1, 1, 1, 255], Some(true)),
            (ColorType::GrayscaleAlpha, eight, &[9; 8], None),
            (ColorType::Rgb, BitDepth::Sixteen, &[9; 24], None),
        ] {
            assert_eq!(shows_anything(&encoded((2, 2), (color, depth), pixels)), expect, "{color:?} {depth:?}");
        }
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
        // One that says truly how large it is, and packs into little.
        let side = LARGEST.isqrt() + 1;
        assert_eq!(
            shows_anything(&encoded((side, side), (ColorType::Grayscale, BitDepth::Eight), &vec![9; side * side])),
            None
        );
    }
}
