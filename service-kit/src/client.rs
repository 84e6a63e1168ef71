//! Who is at the other end: the client's address and user agent, as far as they can be believed.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use clap::Args;
use http::{Extensions, HeaderMap, header::USER_AGENT};
use ipnet::IpNet;
use tonic::transport::server::TcpConnectInfo;

/// The header in which a proxy tells whom it speaks for (RFC 7239 made `Forwarded` of it; this is
/// what proxies send).
pub const FORWARDED_FOR: &str = "x-forwarded-for";
/// The header in which the gateway passes on its client's user agent; gRPC libraries put their
/// own name into `user-agent`.
pub const FORWARDED_USER_AGENT: &str = "x-forwarded-user-agent";
/// The header in which a proxy tells by which scheme its client came.
const FORWARDED_PROTO: &str = "x-forwarded-proto";
/// The header in which a proxy tells which `Host` its client asked for.
const FORWARDED_HOST: &str = "x-forwarded-host";
/// The part of a user agent that is kept, in characters.
const USER_AGENT_CHARS_MAX: usize = 200;
/// The most networks that one list may name.
const NETWORKS_MAX: usize = 256;

/// The setting that says whose word on a client's address is believed.
#[derive(Args, Clone, Debug, Default)]
#[group(skip)]
pub struct Settings {
    /// Addresses or networks whose X-Forwarded-For is believed, comma-separated.
    #[arg(long, env = "TRUSTED_PROXIES", value_name = "TRUSTED_PROXIES", default_value = "")]
    pub trusted_proxies: TrustedProxies,
}

/// Addresses and networks whose word on a client's address is believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Whether `address`, or the IPv4 address that it maps, is one of them.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address of the client of a request that came from `peer`. Each trusted proxy appends
    /// the address that it saw, so that the rightmost one that is not a trusted proxy's is the
    /// last that can be believed.
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let forwarded: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
        let mut believed = peer.to_canonical();
        for part in forwarded.iter().rev().flat_map(|value| value.as_bytes().rsplit(|b| *b == b','))
        {
            if !self.trusts(believed) {
                break;
            }
            let Some(address) = str::from_utf8(part).ok().and_then(parse_address) else { break };
            believed = address.to_canonical();
        }
        believed
    }

    /// Whether `peer` is a trusted proxy that says that its client came by https. Of several
    /// proxies the first one counts, which spoke with the client.
    pub fn says_https(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let schemes = headers.get(FORWARDED_PROTO).and_then(|value| value.to_str().ok());
        let scheme = schemes.and_then(|schemes| schemes.split(',').next()).unwrap_or_default();
        self.trusts(peer) && scheme.trim().eq_ignore_ascii_case("https")
    }

    /// The `Host` that a client asked `peer` for, if that is a trusted proxy which tells: any text.
    /// Of several proxies the first one counts.
    pub fn forwarded_host<'a>(&self, peer: IpAddr, headers: &'a HeaderMap) -> Option<&'a str> {
        let hosts = headers.get(FORWARDED_HOST).filter(|_| self.trusts(peer))?;
        hosts.to_str().ok()?.split(',').next().map(str::trim)
    }
}

/// An address as proxies write it: bare, or with a port.
fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    text.parse().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
}

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let networks = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| {
                let network = part.parse::<IpNet>().ok();
                network
                    .or_else(|| part.parse::<IpAddr>().ok().map(IpNet::from))
                    .ok_or_else(|| format!("'{part}' is neither an address nor a network"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if networks.len() > NETWORKS_MAX {
            return Err(format!("more than {NETWORKS_MAX} networks"));
        }
        Ok(Self(networks))
    }
}

/// The client of an RPC: in the extensions of each request that a [`Services`] handles.
///
/// [`Services`]: crate::server::Services
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Where it is; `None` where that is not known, as for a call from within the process that
    /// was made for nobody.
    pub address: Option<IpAddr>,
    /// What it says it is, cut to 200 characters.
    pub user_agent: String,
}

/// Marks a request that came from within the process: its word on the client is believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InProcess;

impl Client {
    /// The client of a request with these headers and extensions.
    pub(crate) fn of(
        headers: &HeaderMap,
        extensions: &Extensions,
        proxies: &TrustedProxies,
    ) -> Self {
        let peer = extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
        let in_process = extensions.get::<InProcess>().is_some();
        let address = match peer {
            Some(peer) => Some(proxies.client_address(peer.ip(), headers)),
            None if in_process => {
                headers.get(FORWARDED_FOR).and_then(|one| parse_address(one.to_str().ok()?))
            }
            None => None,
        };
        let trusted = in_process || peer.is_some_and(|peer| proxies.trusts(peer.ip()));
        let forwarded = trusted.then(|| headers.get(FORWARDED_USER_AGENT)).flatten();
        let user_agent = forwarded.or_else(|| headers.get(USER_AGENT));
        let user_agent = user_agent.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let user_agent = user_agent
            .iter()
            .flat_map(|text| text.chars())
            .filter(|c| !c.is_control())
            .take(USER_AGENT_CHARS_MAX)
            .collect();
        Self { address, user_agent }
    }

    /// The client of an RPC.
    pub fn of_request<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_says_that_its_client_came_by_https() {
        let proxies: TrustedProxies = "10.0.0.0/8".parse().expect("a list");
        let says_https = |peer: &str, scheme: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(FORWARDED_PROTO, scheme.parse().expect("a header value"));
            proxies.says_https(peer.parse().expect("an address"), &headers)
        };
        assert!(says_https("10.1.2.3", "https"));
        assert!(says_https("::ffff:10.1.2.3", "HTTPS, http"));
        assert!(!says_https("10.1.2.3", "http, https"));
        assert!(!says_https("192.0.2.1", "https"));
    }

    fn address(proxies: &str, peer: &str, forwarded: &[&str]) -> String {
        let proxies: TrustedProxies = proxies.parse().expect("a list");
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().expect("a header value"));
        }
        proxies.client_address(peer.parse().expect("an address"), &headers).to_string()
    }

    #[test]
    fn believes_trusted_proxies_and_nobody_else() {
        assert_eq!(address("", "10.0.0.1", &["1.2.3.4"]), "10.0.0.1");
        assert_eq!(address("10.0.0.0/8", "10.0.0.1", &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(address("10.0.0.0/8", "11.0.0.1", &["1.2.3.4"]), "11.0.0.1");
        assert_eq!(address("::1", "::1", &["[2001:db8::1]:443"]), "2001:db8::1");
    }

    #[test]
    fn what_a_client_made_up_stands_left_of_what_a_proxy_saw() {
        let forwarded = &["6.6.6.6, 1.2.3.4", "10.0.0.2"];
        assert_eq!(address("10.0.0.0/8", "10.0.0.1", forwarded), "1.2.3.4");
        assert_eq!(address("10.0.0.0/8", "10.0.0.1", &["nonsense, 10.0.0.2"]), "10.0.0.2");
    }

    #[test]
    fn refuses_what_is_no_network() {
        assert!("10.0.0.0/33".parse::<TrustedProxies>().is_err());
        assert!("proxy.example".parse::<TrustedProxies>().is_err());
    }
}
