//! What becomes of the registrations of deleted users.

use std::time::Duration;

use proto::{
    auth::v1::EventType,
    training::v1::{Registration, RegistrationStatus},
};
use service_kit::on_each_database;
use tokio::time::sleep;

use crate::{
    announcing::program,
    service::{Service, seat, training},
};

on_each_database! {
    async fn a_deleted_user_gives_back_every_seat(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        for _ in 0..2 {
            let id = coach.announce(program(1)).await.expect("created").id;
            for user in [11, 12, 13] {
                service.user(user).create(seat(id)).await.expect("registered");
            }
        }
        service.user(11).create(training("cricket", "beginner")).await.expect("registered");

        service.auth.tell(EventType::UserUpdated, 12);
        service.auth.tell(EventType::UserDeleted, 11);
        let statuses = async |user| -> Vec<_> {
            service.user(user).list_own().await.iter().map(Registration::status).collect()
        };
        for _ in 0..100 {
            if statuses(11).await == [RegistrationStatus::Cancelled; 3] {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(statuses(11).await, [RegistrationStatus::Cancelled; 3]);
        assert_eq!(statuses(12).await, [RegistrationStatus::Confirmed; 2]);
        assert_eq!(statuses(13).await, [RegistrationStatus::Waitlisted; 2]);

        // A replica goes on where this one was.
        let replica = service.replica(&database).await;
        service.auth.tell(EventType::UserDeleted, 12);
        service.stop().await;
        for _ in 0..100 {
            let own = replica.user(13).list_own().await;
            if own.iter().all(|one| one.status() == RegistrationStatus::Confirmed) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("user 13 still waits");
    }
}
