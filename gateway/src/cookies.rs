//! The two cookies: `session`, which signs out and does nothing else, and `device`, by which
//! auth-service tells a device from strangers. Neither authenticates a request.

use axum::extract::FromRequestParts;
use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, HOST, ORIGIN, SET_COOKIE},
    request::Parts,
};

use crate::{Gateway, problem::Problem, upstream::ClientAddress};

const SESSION: &str = "session";
const DEVICE: &str = "device";
/// The one route that the session's cookie is sent to.
pub(crate) const SESSION_PATH: &str = "/auth/logout";
/// How long auth-service knows a device.
const DEVICE_SECONDS_MAX: u32 = 180 * 24 * 60 * 60;

/// The cookies of a request, and what those of its answer are like.
pub(crate) struct Cookies {
    /// The logout token; none where another site made the browser send it.
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
        let session = value(&parts.headers, SESSION).filter(|_| !is_of_another_site(parts));
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

/// Whether a browser says that another site made it send the request. `SameSite=Lax` keeps the
/// cookie from such a request already; this is for browsers that do not heed it.
fn is_of_another_site(parts: &Parts) -> bool {
    let text = |name| parts.headers.get(name).map(|value: &HeaderValue| value.as_bytes());
    if let Some(site) = text("sec-fetch-site") {
        return !matches!(site, b"same-origin" | b"same-site" | b"none");
    }
    // Browsers from before 2023 send the origin alone, with each POST.
    let Some(origin) = text(ORIGIN.as_str()) else { return false };
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let Some(host) = authority.or_else(|| text(HOST.as_str())) else { return true };
    let is_ours = [&b"http://"[..], b"https://"].iter().any(|scheme| {
        origin.strip_prefix(*scheme).is_some_and(|origin| origin.eq_ignore_ascii_case(host))
    });
    !is_ours
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
    fn knows_a_request_that_another_site_has_made() {
        let host = ("host", "pavilion.example:8080");
        for (headers, is_foreign) in [
            (&[host][..], false),
            (&[host, ("sec-fetch-site", "same-origin")], false),
            (&[host, ("sec-fetch-site", "same-site")], false),
            (&[host, ("sec-fetch-site", "none")], false),
            (&[host, ("sec-fetch-site", "cross-site")], true),
            (
                &[
                    host,
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "http://pavilion.example:8080"),
                ],
                true,
            ),
            (&[host, ("origin", "https://Pavilion.example:8080")], false),
            (&[host, ("origin", "https://evil.example")], true),
            (&[host, ("origin", "https://pavilion.example:8080.evil.example")], true),
            (&[host, ("origin", "null")], true),
            (&[("origin", "https://pavilion.example")], true),
        ] {
            assert_eq!(is_of_another_site(&parts(headers)), is_foreign, "{headers:?}");
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
