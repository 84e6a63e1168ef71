//! The hot paths, one file for each.

mod create_registration;
mod footprint;
mod get_registrations;
mod login;
mod popular_program;
mod refresh;
mod register;
mod storm;
mod validate_token;
mod verifier;

use anyhow::Result;
use futures_util::future::LocalBoxFuture;

use crate::{
    measure::{Path, measure},
    options::Deployment,
    report::Line,
    stand::Scene,
};

/// Requests in flight, unless a path says otherwise.
pub(crate) const IN_FLIGHT: usize = 64;
/// Registrations in a list of them.
pub(crate) const ROWS: usize = 10;

/// A path in the table of paths.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// Whether it is another one in one process than in three.
    pub(crate) differs_by_deployment: bool,
    /// Whether it reads or writes a database.
    pub(crate) has_database: bool,
    pub(crate) measure: for<'a> fn(Scene<'a>) -> LocalBoxFuture<'a, Result<Vec<Line>>>,
}

/// All of them, in the order of the report.
pub(crate) const PATHS: [Entry; 12] = [
    Entry::of::<validate_token::ValidateToken>(),
    Entry::of::<verifier::Repeated>().without_database(),
    Entry::of::<verifier::FirstSight>().without_database(),
    Entry::of::<get_registrations::GetRegistrations>().by_deployment(),
    Entry::of::<create_registration::CreateRegistration>().by_deployment(),
    Entry::of::<refresh::Refresh>(),
    Entry::of::<popular_program::PopularProgram>(),
    footprint::START,
    footprint::MEMORY,
    // The last ones, as they leave hashes of the default cost in the databases that are loaded.
    Entry::of::<login::Login>(),
    Entry::of::<register::Register>(),
    Entry::of::<storm::Storm>(),
];

impl Entry {
    const fn of<P: Path>() -> Self {
        Self {
            name: P::ABOUT.name,
            differs_by_deployment: false,
            has_database: true,
            measure: |scene| Box::pin(async move { Ok(vec![measure::<P>(scene).await?]) }),
        }
    }

    const fn by_deployment(self) -> Self {
        Self { differs_by_deployment: true, ..self }
    }

    const fn without_database(self) -> Self {
        Self { has_database: false, ..self }
    }

    /// How it is run, unless it is asked for in one way.
    pub(crate) fn deployments(&self, asked: Option<Deployment>) -> Vec<Deployment> {
        match asked {
            Some(one) => vec![one],
            None if self.differs_by_deployment => {
                vec![Deployment::Standalone, Deployment::Processes]
            }
            None => vec![Deployment::Standalone],
        }
    }
}

/// Their names.
pub(crate) fn names() -> [&'static str; PATHS.len()] {
    PATHS.map(|path| path.name)
}
