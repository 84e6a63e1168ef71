//! How many connections each client address has, so that none can take all of them.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use service_kit::{client::TrustedProxies, client_network::ClientNetwork};

use crate::upstream::ClientAddress;

/// The connections of all clients. There is an entry for none but those that have one, so that
/// there are never more than connections.
#[derive(Debug)]
pub(crate) struct Crowd {
    per_client_max: usize,
    proxies: TrustedProxies,
    counts: Mutex<HashMap<ClientNetwork, usize>>,
}

/// A connection of a client, for as long as it is open.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    /// `None` for a proxy, whose connections are not counted.
    client: Option<ClientNetwork>,
}

impl Crowd {
    /// No more than `per_client_max` connections for each client, but any number for `proxies`.
    pub(crate) fn new(per_client_max: usize, proxies: TrustedProxies) -> Arc<Self> {
        Arc::new(Self { per_client_max, proxies, counts: Mutex::default() })
    }

    /// A place for one more connection from `address`; `None` where that has all it may have.
    pub(crate) fn enter(self: &Arc<Self>, address: ClientAddress) -> Option<Place> {
        if self.proxies.trusts(address.ip()) {
            return Some(Place { crowd: self.clone(), client: None });
        }
        let client = ClientNetwork::from(address.ip());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&client).copied().unwrap_or(0);
        if count >= self.per_client_max {
            return None;
        }
        counts.insert(client, count + 1);
        Some(Place { crowd: self.clone(), client: Some(client) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let mut counts = self.crowd.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = counts.entry(client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn client(address: &str) -> ClientAddress {
        ClientAddress::from(SocketAddr::new(address.parse().expect("an address"), 1))
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_client_and_a_mapped_address_as_itself() {
        let crowd = Crowd::new(1, TrustedProxies::default());
        let enter = |address| crowd.enter(client(address));
        let _places = [enter("2001:db8::1"), enter("2001:db8:0:1::1"), enter("192.0.2.1")]
            .map(|place| place.expect("a place"));
        assert!(enter("2001:db8::ffff:2").is_none());
        assert!(enter("::ffff:192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
    }

    #[test]
    fn nothing_is_kept_of_clients_that_have_gone() {
        let crowd = Crowd::new(2, TrustedProxies::default());
        for number in 0..1_000_u32 {
            let address = ClientAddress::from(SocketAddr::from((number.to_be_bytes(), 1)));
            let _two = [crowd.enter(address), crowd.enter(address)].map(|it| it.expect("a place"));
            assert!(crowd.enter(address).is_none());
        }
        assert_eq!(crowd.counts.lock().expect("no panic").len(), 0);
    }
}
