//! Under which address the client has reached the gateway, for what it is to open elsewhere.

use axum::extract::FromRequestParts;
use http::{
    HeaderMap, HeaderValue, Version,
    header::HOST,
    request::Parts,
    uri::{Authority, Scheme},
};
use service_kit::rejection::Violation;

use crate::{
    Gateway,
    problem::{Problem, Wording},
    upstream::ClientAddress,
};

/// Scheme and host: what a trusted proxy says of them, or else what the client has asked for. They
/// are only ever told to that client.
pub(crate) struct Origin(Option<String>);

impl Origin {
    /// As in `https://club.example`.
    ///
    /// # Errors
    /// 400 where the host is none.
    pub(crate) fn known(self) -> Result<String, Problem> {
        self.0.ok_or_else(no_host)
    }
}

fn no_host() -> Problem {
    let description = "Host must be a name or an address, with or without a port";
    Wording::PLAIN.bad_input(vec![Violation::new("Host", "INVALID_FORMAT", description)])
}

/// Looks whether a request over HTTP/1 has the `Host` that it has to have, which may be empty (RFC
/// 9112 section 3.2). Over HTTP/2 there may be none beside `:authority`.
///
/// # Errors
/// 400 where there is none, there are several, or it is no host.
pub(crate) fn check_host(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    let is_good = match (hosts.next(), hosts.next()) {
        (None, _) => version != Version::HTTP_11,
        (Some(host), None) => host.is_empty() || host.to_str().is_ok_and(is_authority),
        (Some(_), Some(_)) => version > Version::HTTP_11,
    };
    if is_good { Ok(()) } else { Err(no_host()) }
}

/// Of a name or an address, with or without a port, and no user.
fn is_authority(host: &str) -> bool {
    !host.contains('@') && host.parse::<Authority>().is_ok()
}

impl FromRequestParts<Gateway> for Origin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Result<Self, Problem> {
        let proxies = &gateway.0.trusted_proxies;
        let peer = parts.extensions.get::<ClientAddress>().map(|peer| peer.ip());
        let is_https = peer.is_some_and(|peer| proxies.says_https(peer, &parts.headers));
        let scheme = if is_https { Scheme::HTTPS } else { Scheme::HTTP };
        let forwarded = peer.and_then(|peer| proxies.forwarded_host(peer, &parts.headers));
        let host = forwarded.or_else(|| asked_host(parts)).filter(|host| is_host(host));
        Ok(Self(host.map(|host| format!("{scheme}://{host}"))))
    }
}

/// `:authority` of HTTP/2, or else the header.
fn asked_host(parts: &Parts) -> Option<&str> {
    let header = parts.headers.get(HOST).map(HeaderValue::to_str);
    parts.uri.authority().map(Authority::as_str).or(header?.ok())
}

fn is_host(host: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    host.bytes().all(is_plain)
        && host.parse::<Authority>().is_ok_and(|authority| !authority.host().is_empty())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http::Request;
    use service_kit::channel::RpcChannel;

    use super::*;
    use crate::Config;

    async fn origin(uri: &str, peer: &str, headers: &[(&str, &str)]) -> Option<String> {
        let (_, nowhere) = RpcChannel::in_process();
        let proxies = "10.0.0.0/8".parse().expect("a network");
        let gateway = Gateway::new(Config::new(nowhere.clone(), nowhere).trusting(proxies));
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut parts = request.body(()).expect("a request").into_parts().0;
        let peer: SocketAddr = format!("{peer}:1").parse().expect("an address");
        parts.extensions.insert(ClientAddress::from(peer));
        Origin::from_request_parts(&mut parts, &gateway).await.ok()?.known().ok()
    }

    #[tokio::test]
    async fn the_client_says_where_it_has_reached_the_gateway() {
        let host = ("host", "club.example:8080");
        let asked = |host: &str| Some(format!("http://{host}"));
        assert_eq!(origin("/", "192.0.2.1", &[host]).await, asked("club.example:8080"));
        assert_eq!(origin("/", "192.0.2.1", &[("host", "[::1]:80")]).await, asked("[::1]:80"));
        let http2 = origin("http://club.example/", "192.0.2.1", &[host]).await;
        assert_eq!(http2, asked("club.example"));
        for bad in
            ["", "a b", "ann@club.example", "club.example/x", "<b>", "a:b:c", ":80", "caf\u{e9}"]
        {
            assert_eq!(origin("/", "192.0.2.1", &[("host", bad)]).await, None, "{bad}");
        }
        assert_eq!(origin("/", "192.0.2.1", &[]).await, None);
    }

    #[tokio::test]
    async fn a_proxy_that_is_trusted_knows_better() {
        let headers = [
            ("host", "10.0.0.2:5000"),
            ("x-forwarded-host", "club.example, inner.example"),
            ("x-forwarded-proto", "https"),
        ];
        let told = origin("/", "10.0.0.1", &headers).await;
        assert_eq!(told.as_deref(), Some("https://club.example"));
        let told = origin("/", "192.0.2.1", &headers).await;
        assert_eq!(told.as_deref(), Some("http://10.0.0.2:5000"), "made up");
        let told = origin("/", "10.0.0.1", &headers[..1]).await;
        assert_eq!(told.as_deref(), Some("http://10.0.0.2:5000"));
    }
}
