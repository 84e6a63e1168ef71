//! The handlers of `training.v1`: translate in, call one rule, translate out.

mod registrations;

pub(crate) use registrations::RegistrationHandlers;
