//! How much and how long, of everything that a client decides about.
//!
//! [`Limits`] are those that a test wants to reach without waiting; the others are constants.

use std::time::Duration;

/// The size of a request's body.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
/// How much of a larger body is read, and thrown away, before its sender is answered.
pub(crate) const DISCARDED_BYTES_MAX: usize = 1024 * 1024;
/// The size of a request's path and query.
pub(crate) const TARGET_BYTES_MAX: usize = 8 * 1024;
/// The size of a request's headers, counted as HTTP/2 does (RFC 9113 section 6.5.2). The services
/// take twice as much, so that what passes here, passes there.
pub(crate) const HEADER_BYTES_MAX: usize = 16 * 1024;
/// What the HTTP library holds of a head before it gives up by itself, without a problem document.
pub(crate) const HEAD_BUFFER_BYTES: usize = 64 * 1024;
/// Requests that one HTTP/2 connection may have open.
pub(crate) const STREAMS_PER_CONNECTION_MAX: u32 = 128;
/// What one HTTP/2 connection may send ahead of being read.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// Limits of one gateway.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once. More wait to be accepted.
    pub connections_max: usize,
    /// Connections of one client address (of IPv6: a /64) at once. More are closed as soon as they
    /// are accepted. Trusted proxies, behind which all clients are, may have any number.
    pub connections_per_client_max: usize,
    /// Requests in flight. More are answered 429.
    pub requests_max: usize,
    /// For the head of a request, from the beginning of the connection or the end of the answer
    /// before: so also how long a connection may idle. HTTP/2 connections, whose pings are
    /// traffic too, end after once to twice this time without a request.
    pub head_time_max: Duration,
    /// For the body of a request; then it is answered 408.
    pub body_time_max: Duration,
    /// From the head of a request to its answer. What the body leaves of it is the deadline of
    /// the calls to the services; then it is answered 503.
    pub request_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            connections_per_client_max: 512,
            requests_max: 4096,
            head_time_max: Duration::from_secs(30),
            body_time_max: Duration::from_secs(10),
            request_time_max: Duration::from_secs(15),
        }
    }
}
