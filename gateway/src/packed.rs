//! Content that changes with the version of this program alone: compressed once, and not sent again
//! to those who have it.

use std::io::{self, Read};

use axum::response::{IntoResponse, Response};
use brotli::CompressorReader;
use bytes::Bytes;
use flate2::{
    Compression, Crc,
    read::{GzDecoder, GzEncoder},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY,
    },
};

use crate::negotiation::{list, weighed};

/// Higher than for what is compressed for one client; the window is a power of two bytes.
const BROTLI_QUALITY: u32 = 9;
const BROTLI_WINDOW: u32 = 22;
const BROTLI_BUFFER_BYTES: usize = 16 * 1024;

/// The content in every coding that it is sent in.
pub(crate) struct Packed {
    content_type: &'static str,
    plain: Variant,
    /// The best first.
    coded: Vec<(&'static str, Variant)>,
}

struct Variant {
    bytes: Bytes,
    /// Strong: each coding has its own (RFC 9110 section 8.8.3).
    tag: HeaderValue,
}

impl Packed {
    /// Content that is too small to be worth compressing.
    pub(crate) fn small(content_type: &'static str, text: &'static str) -> Self {
        Self { content_type, plain: Variant::new(text.into()), coded: Vec::new() }
    }

    /// Content that is compressed now.
    ///
    /// # Errors
    /// None that happens: nothing is read or written but memory.
    pub(crate) fn compress(content_type: &'static str, plain: Vec<u8>) -> io::Result<Self> {
        let (mut brotli, mut gzip) = (Vec::new(), Vec::new());
        CompressorReader::new(&*plain, BROTLI_BUFFER_BYTES, BROTLI_QUALITY, BROTLI_WINDOW)
            .read_to_end(&mut brotli)?;
        GzEncoder::new(&*plain, Compression::best()).read_to_end(&mut gzip)?;
        let coded = [("br", brotli), ("gzip", gzip)];
        let coded = coded.map(|(coding, bytes)| (coding, Variant::new(bytes.into()))).into();
        Ok(Self { content_type, plain: Variant::new(plain.into()), coded })
    }

    /// Content that was compressed when this program was built.
    ///
    /// # Errors
    /// Where `gzip` is not what gzip makes.
    pub(crate) fn of_gzip(content_type: &'static str, gzip: &'static [u8]) -> io::Result<Self> {
        let mut plain = Vec::new();
        GzDecoder::new(gzip).read_to_end(&mut plain)?;
        let coded = vec![("gzip", Variant::new(gzip.into()))];
        Ok(Self { content_type, plain: Variant::new(plain.into()), coded })
    }

    /// The content as a client with these headers takes it; 304 where it has that.
    pub(crate) fn answer(&self, headers: &HeaderMap) -> Response {
        let (coding, variant) = self.choose(headers);
        // Kept, but asked for again.
        let cached = (CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let known = is_known(headers, variant.tag.as_bytes());
        let mut response = if known {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let content_type = (CONTENT_TYPE, HeaderValue::from_static(self.content_type));
            let coding = coding.map(|coding| [(CONTENT_ENCODING, coding)]);
            ([content_type], coding, variant.bytes.clone()).into_response()
        };
        response.headers_mut().extend([cached, (ETAG, variant.tag.clone())]);
        if !self.coded.is_empty() {
            response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        response
    }

    /// The coding that the client likes best, and of several the best one.
    fn choose(&self, headers: &HeaderMap) -> (Option<&'static str>, &Variant) {
        let mut chosen = (None, &self.plain);
        let mut most = 0.0;
        for (coding, variant) in &self.coded {
            let weight = weight(headers, coding);
            if weight > most {
                (most, chosen) = (weight, (Some(*coding), variant));
            }
        }
        chosen
    }
}

impl Variant {
    fn new(bytes: Bytes) -> Self {
        let mut sum = Crc::new();
        sum.update(&bytes);
        #[expect(clippy::expect_used, reason = "hexadecimal digits are ASCII")]
        let tag = HeaderValue::try_from(format!("\"{:08x}{:08x}\"", sum.sum(), sum.amount()))
            .expect("ASCII");
        Self { bytes, tag }
    }
}

/// How much the client likes `coding` (RFC 9110 section 12.5.3); zero where it does not name it.
fn weight(headers: &HeaderMap, coding: &str) -> f32 {
    let mut choices = list(headers, &ACCEPT_ENCODING).map(weighed);
    let named = choices.find(|(name, _)| name.eq_ignore_ascii_case(coding));
    named.map_or(0.0, |(_, weight)| weight)
}

/// Whether the client has what `tag`, a strong one, stands for (RFC 9110 section 13.1.2).
pub(crate) fn is_known(headers: &HeaderMap, tag: &[u8]) -> bool {
    list(headers, &IF_NONE_MATCH)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known).as_bytes() == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed() -> Packed {
        Packed::compress("application/json", vec![b'x'; 5_000]).expect("packed")
    }

    fn coding(packed: &Packed, accepted: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, accepted.parse().expect("a header value"));
        packed.choose(&headers).0
    }

    #[test]
    fn the_client_chooses_the_coding() {
        let packed = packed();
        for (accepted, chosen) in [
            ("gzip, deflate, br, zstd", Some("br")),
            ("GZIP", Some("gzip")),
            ("gzip;q=1.0, br; q=0.5", Some("gzip")),
            ("br;q=0, gzip;q=0.001", Some("gzip")),
            ("br;q=0", None),
            ("br;q=nonsense", None),
            ("identity, *;q=0", None),
            ("", None),
        ] {
            assert_eq!(coding(&packed, accepted), chosen, "{accepted}");
        }
        assert_eq!(packed.choose(&HeaderMap::new()).0, None);
    }

    #[test]
    fn each_coding_has_a_tag_of_its_own_by_which_it_is_known() {
        let packed = packed();
        let tags = [&packed.plain.tag, &packed.coded[0].1.tag, &packed.coded[1].1.tag];
        assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
        let tag = tags[0].to_str().expect("ASCII");
        for (known, is_it) in [
            (tag.to_owned(), true),
            (format!("\"other\", W/{tag}"), true),
            ("*".to_owned(), true),
            (tag.trim_matches('"').to_owned(), false),
            (tags[1].to_str().expect("ASCII").to_owned(), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, known.parse().expect("a header value"));
            assert_eq!(is_known(&headers, tag.as_bytes()), is_it, "{known}");
        }
    }
}
