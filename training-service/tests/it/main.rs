//! training-service as its clients see it: over HTTP/2 on loopback, on each database.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that lacks a part fails")]

mod access;
mod announcing;
mod attendance;
mod auth_peer;
mod calendars;
mod creating;
mod departures;
mod histories;
mod housekeeping;
mod limits;
mod listing;
mod never_oversold;
mod notices;
mod plans;
mod process;
mod request_ids;
mod roster;
mod seats;
mod service;
mod serving;
mod tokens;
