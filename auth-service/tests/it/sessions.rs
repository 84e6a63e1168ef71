//! Logout, LogoutAll, ChangePassword, ListSessions, RevokeSession.

use proto::auth::v1::{
    ChangePasswordRequest, ListSessionsRequest, LoginRequest, LogoutAllRequest, LogoutRequest,
    RevokeSessionRequest, Session,
};
use service_kit::on_each_database;
use tonic::Code;

use crate::service::{PASSWORD, Service, by, refusal, violations};

const NEW_PASSWORD: &str = "another password";

async fn sessions(service: &Service, token: &str) -> Vec<Session> {
    let request = by(token, ListSessionsRequest::default());
    service.users().list_sessions(request).await.expect("a list").into_inner().sessions
}

on_each_database! {
    async fn logout_ends_the_session_of_the_token_and_no_other(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let one = service.login("ann", PASSWORD).await.expect("signed in");
        let two = service.login("ann", PASSWORD).await.expect("signed in");
        let logout = by(&one.access_token, LogoutRequest::default());
        service.auth().logout(logout).await.expect("signed out");
        assert!(!service.is_active(&one.access_token).await);
        assert!(service.is_active(&two.access_token).await);
        let refreshed = service.refresh(&one.refresh_token).await;
        assert_eq!(refusal(refreshed).1, "REFRESH_TOKEN_INVALID");
        let again = by(&one.access_token, LogoutRequest::default());
        let refused = (Code::Unauthenticated, "TOKEN_REVOKED".to_owned());
        assert_eq!(refusal(service.auth().logout(again).await), refused);
    }

    async fn logout_takes_a_refresh_token_as_well(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let tokens = service.login("ann", PASSWORD).await.expect("signed in");
        let request = || LogoutRequest {
            refresh_token: tokens.refresh_token.clone(),
            ..Default::default()
        };
        service.auth().logout(request()).await.expect("signed out");
        assert!(!service.is_active(&tokens.access_token).await);
        assert_eq!(refusal(service.auth().logout(request()).await).1, "REFRESH_TOKEN_INVALID");
        let nobody = service.auth().logout(LogoutRequest::default()).await;
        assert_eq!(refusal(nobody), (Code::Unauthenticated, "TOKEN_MISSING".to_owned()));
    }

    async fn a_logout_token_ends_its_session_and_does_nothing_else(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let login = async || {
            let (identifier, password) = ("ann".to_owned(), PASSWORD.to_owned());
            let request = LoginRequest { identifier, password, ..Default::default() };
            service.auth().login(request).await.expect("signed in").into_inner()
        };
        let (one, two) = (login().await, login().await);
        let access_token = one.tokens.expect("tokens").access_token;
        let logout = |logout_token: &str| LogoutRequest {
            logout_token: logout_token.to_owned(),
            ..Default::default()
        };

        let refused = service.refresh(&one.logout_token).await;
        assert_eq!(refusal(refused).1, "REFRESH_TOKEN_INVALID");
        assert!(!service.is_active(&one.logout_token).await);
        let swapped = LogoutRequest {
            refresh_token: one.logout_token.clone(),
            ..Default::default()
        };
        let refused = service.auth().logout(swapped).await;
        assert_eq!(refusal(refused).1, "REFRESH_TOKEN_INVALID");
        assert!(service.is_active(&access_token).await, "nothing has happened yet");

        let invalid = (Code::Unauthenticated, "LOGOUT_TOKEN_INVALID".to_owned());
        let tampered = format!("{}A", one.logout_token);
        for bad in [&*tampered, "a.b", ".", &"x".repeat(300)] {
            let refused = service.auth().logout(logout(bad)).await;
            assert_eq!(refusal(refused), invalid, "{bad}");
        }
        service.auth().logout(logout(&one.logout_token)).await.expect("signed out");
        assert!(!service.is_active(&access_token).await);
        assert!(service.is_active(&two.tokens.expect("tokens").access_token).await);
        let again = service.auth().logout(logout(&one.logout_token)).await;
        assert_eq!(refusal(again), invalid);
    }

    async fn logout_all_ends_every_session_of_the_user_and_of_nobody_else(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        service.register("bob", "").await.expect("registered");
        let one = service.login("ann", PASSWORD).await.expect("signed in");
        let two = service.login("ann", PASSWORD).await.expect("signed in");
        let bob = service.login("bob", PASSWORD).await.expect("signed in");
        let request = by(&one.access_token, LogoutAllRequest {});
        let answer = service.auth().logout_all(request).await.expect("signed out").into_inner();
        assert_eq!(answer.sessions_ended, 2);
        assert!(!service.is_active(&one.access_token).await);
        assert!(!service.is_active(&two.access_token).await);
        assert!(service.is_active(&bob.access_token).await);
    }

    async fn a_password_change_ends_all_other_sessions(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let here = service.login("ann", PASSWORD).await.expect("signed in");
        let there = service.login("ann", PASSWORD).await.expect("signed in");
        let change = |current: &str, new: &str| {
            by(&here.access_token, ChangePasswordRequest {
                current_password: current.to_owned(),
                new_password: new.to_owned(),
            })
        };
        let wrong = service.auth().change_password(change("wrong", NEW_PASSWORD)).await;
        let expected = (Code::Unauthenticated, "INVALID_CREDENTIALS".to_owned());
        assert_eq!(refusal(wrong), expected);
        let short = service.auth().change_password(change("", "short")).await;
        let expected = ["current_password: REQUIRED", "new_password: TOO_SHORT"];
        assert_eq!(violations(short), expected);
        assert!(service.is_active(&there.access_token).await, "nothing has happened yet");

        service.auth().change_password(change(PASSWORD, NEW_PASSWORD)).await.expect("changed");
        assert!(service.is_active(&here.access_token).await);
        assert!(!service.is_active(&there.access_token).await);
        assert_eq!(refusal(service.login("ann", PASSWORD).await).1, "INVALID_CREDENTIALS");
        service.login("ann", NEW_PASSWORD).await.expect("signed in");
    }

    async fn one_sees_where_one_is_signed_in_and_can_end_it_from_afar(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        service.register("bob", "").await.expect("registered");
        let here = service.login("ann", PASSWORD).await.expect("signed in");
        let there = service.login("ann", PASSWORD).await.expect("signed in");
        let bob = service.login("bob", PASSWORD).await.expect("signed in");
        let list = sessions(&service, &here.access_token).await;
        assert_eq!(list.len(), 2);
        assert_eq!(list.iter().filter(|one| one.current).count(), 1);
        assert!(list.iter().all(|one| one.client_address == "127.0.0.1"));
        assert!(list.iter().all(|one| one.user_agent.contains("tonic")), "{list:?}");
        let other = list.iter().find(|one| !one.current).expect("the other one");
        let revoke = |token: &str, session_id: &str| {
            by(token, RevokeSessionRequest { session_id: session_id.to_owned() })
        };
        let not_found = (Code::NotFound, "SESSION_NOT_FOUND".to_owned());
        let by_bob = revoke(&bob.access_token, &other.session_id);
        assert_eq!(refusal(service.users().revoke_session(by_bob).await), not_found);
        let by_ann = revoke(&here.access_token, &other.session_id);
        service.users().revoke_session(by_ann).await.expect("ended");
        assert!(!service.is_active(&there.access_token).await);
        let again = revoke(&here.access_token, &other.session_id);
        assert_eq!(refusal(service.users().revoke_session(again).await), not_found);
        let nothing = service.users().revoke_session(revoke(&here.access_token, "")).await;
        assert_eq!(violations(nothing), ["session_id: REQUIRED"]);
    }

    async fn sessions_of_nobody_are_not_found_and_of_others_not_shown(database) {
        let service = Service::start(&database).await;
        service.register("root", "").await.expect("registered");
        service.register("ann", "").await.expect("registered");
        service.make_admin(&database, 1).await;
        let root = service.login("root", PASSWORD).await.expect("signed in").access_token;
        let list = async |token: &str, user_id| {
            let request = by(token, ListSessionsRequest { user_id });
            let listed = service.users().list_sessions(request).await;
            listed.map(|answer| answer.into_inner().sessions.len())
        };
        assert_eq!(list(&root, 2).await.expect("a list"), 0, "not signed in anywhere");
        let not_found = (Code::NotFound, "USER_NOT_FOUND".to_owned());
        assert_eq!(refusal(list(&root, 3).await), not_found);
        let ann = service.login("ann", PASSWORD).await.expect("signed in").access_token;
        for other in [1, 3] {
            let refused = (Code::PermissionDenied, "NOT_OWNER".to_owned());
            assert_eq!(refusal(list(&ann, other).await), refused);
        }
        assert_eq!(list(&root, 2).await.expect("a list"), 1);
    }

    async fn what_is_no_session_id_is_not_found(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let ann = service.login("ann", PASSWORD).await.expect("signed in").access_token;
        let own = sessions(&service, &ann).await.remove(0).session_id;
        for session_id in ["\0".to_owned(), "x".repeat(100_000), format!("{own} "), "☃".to_owned()] {
            let request = by(&ann, RevokeSessionRequest { session_id });
            let refused = refusal(service.users().revoke_session(request).await);
            assert_eq!(refused, (Code::NotFound, "SESSION_NOT_FOUND".to_owned()));
        }
        assert!(service.is_active(&ann).await);
    }
}
