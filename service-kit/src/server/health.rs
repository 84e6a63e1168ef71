//! What `grpc.health.v1` tells of the services.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{Shutdown, db::Db};

/// How often the database is asked whether it is there.
const INTERVAL: Duration = Duration::from_secs(1);

/// Tells the health of services that share a database.
pub(super) struct Health {
    reporter: HealthReporter,
    /// Of the services; the empty one is the whole process.
    names: Vec<&'static str>,
}

impl Health {
    /// Tells that `services` are up, whose database was just opened.
    pub(super) async fn announce(reporter: HealthReporter, services: Vec<&'static str>) -> Self {
        let names = services.into_iter().chain([""]).collect();
        let health = Self { reporter, names };
        health.tell(ServingStatus::Serving).await;
        health
    }

    /// Tells whether the services are up: while `db` answers and no shutdown has begun.
    pub(super) async fn report(mut self, db: Db, shutdown: Shutdown) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut serving = true;
        loop {
            tokio::select! {
                () = shutdown.begun() => break,
                _ = ticks.tick() => {}
            }
            let answers = tokio::select! {
                () = shutdown.begun() => break,
                answers = db.answers() => answers,
            };
            if serving != answers {
                tracing::warn!(db.answers = answers, "the database's health has changed");
                serving = answers;
                let up = if answers { ServingStatus::Serving } else { ServingStatus::NotServing };
                self.tell(up).await;
            }
        }
        self.tell(ServingStatus::NotServing).await;
        // Ends the streams of `Watch`, which would hold up the shutdown; they still tell the last
        // status first.
        for name in &self.names {
            self.reporter.clear_service_status(name).await;
        }
    }

    async fn tell(&self, status: ServingStatus) {
        for name in &self.names {
            self.reporter.set_service_status(name, status).await;
        }
    }
}
