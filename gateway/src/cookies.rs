//! The two cookies: `session`, which signs out and does nothing else, and `device`, by which
//! auth-service tells a device from strangers. Neither authenticates a request.

use axum::extract::FromRequestParts;
use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, HOST, ORIGIN, SET_COOKIE},
    request::Parts,
};

use crate::{Gateway, cors::AllowedOrigins, problem::Problem, upstream::ClientAddress};

const SESSION: &str = "session";
const DEVICE: &str = "device";
/// The one route that the session's cookie is sent to.
pub(crate) const SESSION_PATH: &str = "/auth/logout";
/// How long auth-service knows a device.
const DEVICE_SECONDS_MAX: u32 = 180 * 24 * 60 * 60;

/// The cookies of a request, and what those of its answer are like.
pub(crate) struct Cookies {
    /// The logout token; none where a page of a foreign origin made the browser send it.
    pub(crate) session: Option<String>,
    /// The device token; empty where there is none.
    pub(crate) device: String,
    is_https: bool,
}

impl Cookies {
    /// The cookie that signs out of the session of `logout_token`. It ends with the browser.
    ///
    /// # Errors
    /// 500 where the token is no value of a cookie.
    pub(crate) fn session(&self, logout_token: &str) -> Result<HeaderValue, Problem> {
        self.cookie(SESSION, logout_token, SESSION_PATH, "")
    }

    /// Makes a browser forget that cookie.
    ///
    /// # Errors
    /// None that happens: as [`Cookies::session`].
    pub(crate) fn no_session(&self) -> Result<HeaderValue, Problem> {
        self.cookie(SESSION, "", SESSION_PATH, "; Max-Age=0")
    }

    /// The cookie that the device shows when it signs in again, or asks for a code: to each of the
    /// families' routes, which have no path in common.
    ///
    /// # Errors
    /// 500 where the token is no value of a cookie.
    fn device(&self, device_token: &str) -> Result<HeaderValue, Problem> {
        self.cookie(DEVICE, device_token, "/", &format!("; Max-Age={DEVICE_SECONDS_MAX}"))
    }

    /// The headers that make a browser keep a device token; none where there is none.
    ///
    /// # Errors
    /// As [`Cookies::device`].
    pub(crate) fn keep_device(&self, device_token: &str) -> Result<HeaderMap, Problem> {
        let mut headers = HeaderMap::new();
        if !device_token.is_empty() {
            headers.append(SET_COOKIE, self.device(device_token)?);
        }
        Ok(headers)
    }

    fn cookie(
        &self,
        name: &str,
        value: &str,
        path: &str,
        age: &str,
    ) -> Result<HeaderValue, Problem> {
        let secure = if self.is_https { "; Secure" } else { "" };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let cookie = format!("{name}={value}; Path={path}{age}; HttpOnly; SameSite=Lax{secure}");
        match HeaderValue::try_from(cookie) {
            Ok(cookie) if value.bytes().all(is_plain) => Ok(cookie),
            _ => {
                tracing::error!(name, "a service gave a token that is no value of a cookie");
                Err(Problem::internal())
            }
        }
    }
}

impl FromRequestParts<Gateway> for Cookies {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Problem> {
        let address = parts.extensions.get::<ClientAddress>();
        let is_https = address
            .is_some_and(|peer| gateway.0.trusted_proxies.says_https(peer.ip(), &parts.headers));
        let is_foreign = is_foreign(parts, &gateway.0.allowed_origins);
        let session = value(&parts.headers, SESSION).filter(|_| !is_foreign);
        Ok(Self {
            session: session.map(str::to_owned),
            device: value(&parts.headers, DEVICE).unwrap_or_default().to_owned(),
            is_https,
        })
    }
}

/// The first cookie of that name (RFC 6265 section 5.4) that has a value.
fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|one| one.split_once('='));
    let found = pairs.find(|(found, value)| found.trim() == name && !value.trim().is_empty());
    found.map(|(_, value)| value.trim())
}

/// Whether a browser says that a page sent the request that is neither ours nor of an origin that
/// is `allowed` to send cookies. `SameSite=Lax` keeps the cookie from those of other sites already;
/// this is for other origins of our own site, and for browsers that do not heed it.
fn is_foreign(parts: &Parts, allowed: &AllowedOrigins) -> bool {
    let text = |name| parts.headers.get(name).map(|value: &HeaderValue| value.as_bytes());
    let origin = text(ORIGIN.as_str());
    if origin.is_some_and(|origin| allowed.lists(origin)) {
        return false;
    }
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = authority.or_else(|| text(HOST.as_str()));
    let is_ours = |origin: &[u8]| {
        let schemes = [&b"http://"[..], b"https://"];
        let mut named = schemes.iter().filter_map(|scheme| origin.strip_prefix(*scheme));
        named.any(|named| host.is_some_and(|host| named.eq_ignore_ascii_case(host)))
    };
    match text("sec-fetch-site") {
        Some(b"same-origin" | b"none") => false,
        Some(b"same-site") => !origin.is_some_and(is_ours),
        Some(_) => true,
        // Browsers send that to trustworthy addresses alone (https, and loopback), and older ones
        // nowhere; the origin they all send with each POST.
        None => !origin.is_none_or(is_ours),
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::post("/auth/logout");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    #[test]
    fn finds_a_cookie_among_others() {
        let value_in = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("cookie", *line)).collect();
            value(&parts(&lines).headers, "session").map(str::to_owned)
        };
        assert_eq!(value_in(&["session=a.b-c_d"]).as_deref(), Some("a.b-c_d"));
        assert_eq!(value_in(&["a=b; session=1; session=2"]).as_deref(), Some("1"));
        assert_eq!(value_in(&["a=b", "session=; session=x=y"]).as_deref(), Some("x=y"));
        for none in ["", "session", "session=", "mysession=1", "Session=1"] {
            assert_eq!(value_in(&[none]), None, "{none}");
        }
    }

    #[test]
    fn knows_a_request_that_a_foreign_page_has_made() {
        let host = ("host", "pavilion.example:8080");
        let site = |site| ("sec-fetch-site", site);
        let origin = |origin| ("origin", origin);
        let (ours, listed) = ("http://pavilion.example:8080", "https://club.example");
        let sibling = "https://shop.pavilion.example";
        let allowed = listed.parse().expect("an origin");
        for (headers, is_it) in [
            (&[host][..], false),
            (&[host, site("same-origin")], false),
            (&[host, site("none")], false),
            (&[host, site("same-site")], true),
            (&[host, site("same-site"), origin(sibling)], true),
            (&[host, site("same-site"), origin("null")], true),
            (&[host, site("same-site"), origin(ours)], false),
            (&[host, site("same-site"), origin(listed)], false),
            (&[host, site("cross-site")], true),
            (&[host, site("cross-site"), origin(ours)], true),
            (&[host, site("cross-site"), origin(listed)], false),
            (&[host, site("unheard-of")], true),
            (&[host, origin("https://Pavilion.example:8080")], false),
            (&[host, origin(listed)], false),
            (&[host, origin(sibling)], true),
            (&[host, origin("https://club.example.evil.example")], true),
            (&[host, origin("https://pavilion.example:8080.evil.example")], true),
            (&[host, origin("null")], true),
            (&[origin("https://pavilion.example")], true),
        ] {
            assert_eq!(is_foreign(&parts(headers), &allowed), is_it, "{headers:?}");
        }
        let from_listed = parts(&[host, site("cross-site"), origin(listed)]);
        for without_cookies in [AllowedOrigins::None, AllowedOrigins::Any] {
            assert!(is_foreign(&from_listed, &without_cookies), "{without_cookies:?}");
        }
    }

    #[test]
    fn a_cookie_is_out_of_reach_for_scripts_and_secure_under_tls() {
        let cookies = |is_https| Cookies { session: None, device: String::new(), is_https };
        assert_eq!(
            cookies(false).session("a.b"),
            Ok(HeaderValue::from_static("session=a.b; Path=/auth/logout; HttpOnly; SameSite=Lax"))
        );
        assert_eq!(
            cookies(true).device("1.b.2"),
            Ok(HeaderValue::from_static(
                "device=1.b.2; Path=/; Max-Age=15552000; HttpOnly; SameSite=Lax; Secure"
            ))
        );
        assert_eq!(cookies(false).session("a; Domain=example.com"), Err(Problem::internal()));
    }
}
