//! The handlers of `training.v1`: translate in, call one rule, translate out.

mod deletions;
mod programs;
mod public;
mod recipients;
mod registrations;
mod times;

pub(crate) use deletions::Deletions;
pub(crate) use programs::ProgramHandlers;
pub(crate) use public::PublicMethods;
pub(crate) use recipients::keep_mailing;
pub(crate) use registrations::RegistrationHandlers;
