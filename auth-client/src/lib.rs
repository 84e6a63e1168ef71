//! Trust Pavilion's access tokens inside any Rust service, without a call per request.
//!
//! | Module | Holds |
//! |---|---|
//! | [`role`] | what a user may do |
//! | [`refusal`] | why a token is refused, with the reason that clients see |
//! | [`bearer`] | finding the token in the headers of a request |
//! | [`token`] | judging one token: form, signature, claims, lifetime |
//! | [`keys`] | the public keys that tokens are signed with |
//! | [`local`] | tokens judged with the keys at hand, and good ones remembered |
//! | `revocations` | what ends tokens before they expire, and how old that knowledge is |
//! | [`verifier`] | all of it together: tokens judged here, auth-service asked only in need |
//! | [`events`] | what happens to accounts, followed from a cursor |
//! | [`users`] | names and addresses of users, for services |
//! | [`caller`] | who calls, and the tower layer that finds it out before a handler runs |

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub mod bearer;
pub mod caller;
pub mod events;
pub mod keys;
pub mod local;
pub mod refusal;
mod revocations;
pub mod role;
pub mod token;
pub mod users;
pub mod verifier;

pub use caller::{AuthLayer, Caller};
pub use events::{EventHandler, follow_events};
pub use keys::{Algorithm, KeySet, PublicKey};
pub use local::{LocalVerifier, NotVerified};
pub use refusal::Refusal;
pub use role::{Role, Roles};
pub use token::TokenRules;
pub use users::UserDirectory;
pub use verifier::Verifier;
