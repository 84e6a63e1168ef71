//! What every Pavilion process does alike.
//!
//! | Module | Holds |
//! |---|---|
//! | [`clock`], [`entropy`] | time and chance, passed in so that tests own them |
//! | [`settings`] | the flags and environment variables that processes share |
//! | [`process`] | a `main` that reads settings, starts telemetry and ends with one clear line |
//! | [`telemetry`], [`trace_context`] | logs, and the W3C trace context that ties them together |
//! | [`server`] | serving gRPC: health, reflection, limits, a graceful end |
//! | [`client`] | who is at the other end, as far as it can be believed |
//! | [`channel`] | calling another service, over the network or inside the process |
//! | [`rejection`] | errors and `tonic::Status`, both ways |
//! | [`repeatable`] | calls that may be repeated: what a `request_id` is |
//! | [`secret`] | the secret key that encrypts and authenticates what is stored |
//! | [`mail`] | a queue of mails in the database, and their delivery |
//! | [`page`] | page sizes and page tokens (AIP-158) |
//! | [`db`] | SQLite, PostgreSQL and MySQL/MariaDB behind one type |
//! | `testing` | throwaway databases and a movable clock (feature `testing`) |

pub mod channel;
pub mod client;
pub mod client_network;
pub mod clock;
pub mod db;
pub mod entropy;
pub mod mail;
pub mod page;
pub mod process;
pub mod rejection;
pub mod repeatable;
pub mod secret;
pub mod server;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
#[cfg(feature = "testing")]
#[expect(clippy::expect_used, clippy::panic, reason = "a test that lacks a part fails")]
pub mod testing;
pub mod trace_context;

pub use clock::{Clock, Timestamp};
pub use entropy::Entropy;
pub use process::StartError;
pub use shutdown::Shutdown;
