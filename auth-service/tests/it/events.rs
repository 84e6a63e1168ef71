//! EventService.

use proto::auth::v1::{
    EventType, ListEventsRequest, ListEventsResponse, LogoutRequest, WatchEventsRequest,
};
use service_kit::{on_each_database, sql};
use tonic::{Code, Status};

use crate::service::{PASSWORD, SERVICE_TOKEN, Service, by, refusal, violations};

async fn list(service: &Service, token: &str, request: ListEventsRequest) -> ListEventsResponse {
    service.events().list_events(by(token, request)).await.expect("a list").into_inner()
}

on_each_database! {
    async fn what_happens_is_told_to_administrators(database) {
        let service = Service::start(&database).await;
        service.register("root", "").await.expect("registered");
        service.make_admin(&database, 1).await;
        service.register("ann", "").await.expect("registered");
        let root = service.login("root", PASSWORD).await.expect("signed in").access_token;
        let ann = service.login("ann", PASSWORD).await.expect("signed in").access_token;
        service.auth().logout(by(&ann, LogoutRequest::default())).await.expect("signed out");

        let all = list(&service, &root, ListEventsRequest::default()).await.events;
        let told: Vec<_> = all.iter().map(|one| (one.sequence, one.r#type(), one.user_id)).collect();
        assert_eq!(
            told,
            [
                (1, EventType::Registered, 1),
                (2, EventType::Registered, 2),
                (3, EventType::LoginSucceeded, 1),
                (4, EventType::LoginSucceeded, 2),
                (5, EventType::SessionRevoked, 2),
            ]
        );
        assert!(all.iter().all(|one| one.client_address == "127.0.0.1"));
        assert_eq!(all[3].session_id, all[4].session_id);
        let text = format!("{all:?}");
        assert!(!text.contains(PASSWORD) && !text.contains(&ann));

        let of_ann = ListEventsRequest { user_id: 2, ..Default::default() };
        assert_eq!(list(&service, &root, of_ann).await.events.len(), 3);
        let logins = ListEventsRequest { r#type: EventType::LoginSucceeded.into(), ..Default::default() };
        assert_eq!(list(&service, &root, logins.clone()).await.events.len(), 2);
        let both = ListEventsRequest { user_id: 2, ..logins };
        assert_eq!(list(&service, &root, both).await.events.len(), 1);
        let first = ListEventsRequest { page_size: 4, ..Default::default() };
        let page_token = list(&service, &root, first.clone()).await.next_page_token;
        let rest = list(&service, &root, ListEventsRequest { page_token, ..first }).await;
        assert_eq!(rest.events.len(), 1);
        let now = all[0].time;
        let before = ListEventsRequest { before: now, ..Default::default() };
        assert_eq!(list(&service, &root, before).await.events, []);
    }

    async fn others_are_told_nothing(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let ann = service.login("ann", PASSWORD).await.expect("signed in").access_token;
        let listed = service.events().list_events(by(&ann, ListEventsRequest::default())).await;
        assert_eq!(refusal(listed), (Code::PermissionDenied, "ROLE_REQUIRED".to_owned()));
        for request in [
            by(&ann, WatchEventsRequest::default()),
            tonic::Request::new(WatchEventsRequest::default()),
        ] {
            let watched = service.events().watch_events(request).await;
            let expected = (Code::PermissionDenied, "SERVICE_TOKEN_REQUIRED".to_owned());
            assert_eq!(refusal(watched.map(drop)), expected);
        }
        service.make_admin(&database, 1).await;
        let root = service.login("ann", PASSWORD).await.expect("signed in").access_token;
        let odd = ListEventsRequest { page_size: -1, user_id: -1, r#type: 999, ..Default::default() };
        let refused = service.events().list_events(by(&root, odd)).await;
        let expected = ["user_id: OUT_OF_RANGE", "type: INVALID_VALUE", "page_size: OUT_OF_RANGE"];
        assert_eq!(violations(refused), expected);
    }

    async fn a_watcher_resumes_where_it_was(database) {
        let service = Service::start(&database).await;
        service.register("ann", "").await.expect("registered");
        let watch = async |after_sequence| {
            let request = by(SERVICE_TOKEN, WatchEventsRequest { after_sequence });
            service.events().watch_events(request).await.expect("a stream").into_inner()
        };
        let mut stream = watch(0).await;
        let first = stream.message().await.expect("a message").expect("a message");
        assert_eq!((first.events.len(), first.sequence), (1, 1));
        service.register("bob", "").await.expect("registered");
        let second = stream.message().await.expect("a message").expect("a message");
        assert_eq!((second.events[0].user_id, second.sequence), (2, 2));
        let again = watch(1).await.message().await.expect("a message").expect("a message");
        assert_eq!(again.events, second.events);
    }

    async fn a_watcher_that_missed_events_is_told_so(database) {
        let service = Service::start(&database).await;
        for name in ["ann", "bob", "cid", "dan"] {
            service.register(name, "").await.expect("registered");
        }
        let db = database.connect().await;
        db.write(sql!("DELETE FROM events WHERE sequence <= 2")).execute().await.expect("deleted");
        // Until the newest event: how many of them one message holds is not promised.
        let watch = async |after_sequence| {
            let request = by(SERVICE_TOKEN, WatchEventsRequest { after_sequence });
            let mut stream = service.events().watch_events(request).await?.into_inner();
            let mut told = Vec::new();
            while told.last() != Some(&4) {
                let message = stream.message().await?.expect("a message");
                told.extend(message.events.iter().map(|event| event.sequence));
            }
            Ok::<_, Status>(told)
        };
        assert_eq!(watch(0).await.expect("the oldest"), [3, 4]);
        assert_eq!(watch(2).await.expect("nothing missed"), [3, 4]);
        assert_eq!(watch(3).await.expect("nothing missed"), [4]);
        for cursor in [1, 5, i64::MAX] {
            let expected = (Code::OutOfRange, "EVENTS_EXPIRED".to_owned());
            assert_eq!(refusal(watch(cursor).await), expected, "{cursor}");
        }
        let at_the_end = by(SERVICE_TOKEN, WatchEventsRequest { after_sequence: 4 });
        service.events().watch_events(at_the_end).await.expect("a stream");
    }
}
