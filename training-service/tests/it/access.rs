//! Who may see whose registrations.

use std::slice;

use proto::training::v1::ListRegistrationsRequest;
use service_kit::on_each_database;
use tonic::Code;

use crate::service::{Service, reason, training, violations};

fn registrations_of(user_id: i64) -> ListRegistrationsRequest {
    ListRegistrationsRequest { user_id, ..ListRegistrationsRequest::default() }
}

on_each_database! {
    async fn another_users_registration_is_as_if_it_did_not_exist(database) {
        let service = Service::start(&database).await;
        let created =
            service.user(7).create(training("cricket", "beginner")).await.expect("created");
        let stranger = service.user(8);
        let hidden = stranger.get(created.id).await.expect_err("hidden");
        let absent = stranger.get(created.id + 1).await.expect_err("absent");
        assert_eq!(reason(&hidden), (Code::NotFound, "REGISTRATION_NOT_FOUND"));
        assert_eq!(hidden, absent);
    }

    async fn another_users_list_needs_a_role(database) {
        let service = Service::start(&database).await;
        // Whether or not the other one has any.
        for _ in 0..2 {
            for roles in [&["user"][..], &[], &["captain"]] {
                let stranger = service.user_with(8, roles);
                let rejection = stranger.list(registrations_of(7)).await.expect_err("refused");
                assert_eq!(reason(&rejection), (Code::PermissionDenied, "ROLE_REQUIRED"));
            }
            service.user(7).create(training("cricket", "beginner")).await.expect("created");
        }
    }

    async fn coaches_and_admins_see_everyones(database) {
        let service = Service::start(&database).await;
        let created =
            service.user(7).create(training("cricket", "beginner")).await.expect("created");
        for roles in [&["coach"][..], &["admin"], &["user", "coach"]] {
            let privileged = service.user_with(8, roles);
            assert_eq!(privileged.get(created.id).await.expect("seen"), created);
            let listed = privileged.list(registrations_of(7)).await.expect("seen");
            assert_eq!(listed.registrations, slice::from_ref(&created));
            assert_eq!(privileged.list_own().await, []);
            let absent = privileged.get(created.id + 1).await.expect_err("absent");
            assert_eq!(reason(&absent), (Code::NotFound, "REGISTRATION_NOT_FOUND"));
            let nobodys = privileged.list(registrations_of(i64::MAX)).await.expect("seen");
            assert_eq!(nobodys.registrations, []);
        }
    }

    async fn ones_own_need_no_role(database) {
        let service = Service::start(&database).await;
        let user = service.user_with(7, &[]);
        let created = user.create(training("cricket", "beginner")).await.expect("created");
        assert_eq!(user.get(created.id).await.expect("seen"), created);
        let listed = user.list(registrations_of(7)).await.expect("seen");
        assert_eq!(listed.registrations, [created]);
    }

    async fn an_id_that_cannot_exist_is_invalid(database) {
        let service = Service::start(&database).await;
        let user = service.user(7);
        let missing = user.get(0).await.expect_err("refused");
        assert_eq!(violations(&missing), [("registration_id", "REQUIRED")]);
        let negative = user.get(i64::MIN).await.expect_err("refused");
        assert_eq!(violations(&negative), [("registration_id", "OUT_OF_RANGE")]);
    }
}
