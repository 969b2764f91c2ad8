//! What kind of picture octets are: by their first octets, never by what somebody says.
//!
//! Three kinds that a browser shows and that can carry no script. SVG is none of them.

/// The media type of a picture that is taken.
pub(crate) fn media_type(octets: &[u8]) -> Option<&'static str> {
    match octets {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn s1_a_picture_is_what_its_octets_say() {
        assert_eq!(media_type(b"\x89PNG\r\n\x1a\n...."), Some("image/png"));
        assert_eq!(media_type(b"\xff\xd8\xff\xe0...."), Some("image/jpeg"));
        assert_eq!(media_type(b"RIFF\x10\0\0\0WEBPVP8 "), Some("image/webp"));
        for none in [
            b"".as_slice(),
            b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
            b"<?xml version='1.0'?><svg/>",
            b"GIF89a",
            b"\x89PNG",
            b"RIFF\x10\0\0\0WAVEfmt ",
            b"%PDF-1.7",
            b"<html>",
        ] {
            assert_eq!(media_type(none), None, "{none:?}");
        }
    }
}
