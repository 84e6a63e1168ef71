//! Two replicas on one database: what one of them writes, the streams of both tell in one order.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use proto::auth::v1::{
    LogoutRequest, WatchEventsRequest, WatchRevocationsRequest, revocation::Target,
};
use service_kit::{on_each_database, testing::ManualClock};
use tokio::time::timeout;

use crate::service::{PASSWORD, SERVICE_TOKEN, Service, by, config};

/// Much longer than any news takes; reached only where none comes.
const PATIENCE: Duration = Duration::from_mins(1);
const WRITERS: usize = 24;
const ROUNDS: usize = 3;
/// One for the account of each writer, and two in each of its rounds.
const EVENTS: i64 = 24 * (1 + 2 * 3);

/// What a watcher was told: each event's number and session, in the order of the stream.
type Told = Vec<(i64, String)>;

/// Watches until the last event. After `messages_max` messages it begins a new stream at where it
/// was, each time at the next of `replicas`.
async fn watch_events(replicas: &[&Service], messages_max: usize) -> Told {
    let mut told = Told::new();
    let mut cursor = 0;
    for replica in replicas.iter().cycle() {
        let request = by(SERVICE_TOKEN, WatchEventsRequest { after_sequence: cursor });
        let opened = replica.events().watch_events(request).await;
        let mut stream = opened.expect("a stream").into_inner();
        for _ in 0..messages_max {
            let message = timeout(PATIENCE, stream.message()).await.expect("in time");
            let message = message.expect("no error").expect("no end");
            assert!(message.sequence >= cursor, "never back");
            cursor = message.sequence;
            let of_message = message.events.into_iter().map(|one| (one.sequence, one.session_id));
            told.extend(of_message);
            if cursor == EVENTS {
                return told;
            }
        }
    }
    told
}

/// The same of what ends sessions.
async fn watch_revocations(replicas: &[&Service], messages_max: usize) -> Vec<String> {
    let mut told = Vec::new();
    let mut cursor = 0;
    for replica in replicas.iter().cycle() {
        let request = by(SERVICE_TOKEN, WatchRevocationsRequest { after_sequence: cursor });
        let opened = replica.auth().watch_revocations(request).await;
        let mut stream = opened.expect("a stream").into_inner();
        for _ in 0..messages_max {
            let message = timeout(PATIENCE, stream.message()).await.expect("in time");
            let message = message.expect("no error").expect("no end");
            if message.sequence < cursor {
                // A replica that is behind the other: it has nothing new, and is asked again.
                assert!(message.revocations.is_empty());
                break;
            }
            cursor = message.sequence;
            for revocation in message.revocations {
                let Some(Target::SessionId(id)) = revocation.target else {
                    panic!("not a session: {revocation:?}");
                };
                told.push(id);
            }
            if cursor == EVENTS {
                return told;
            }
        }
    }
    told
}

/// Signs in and out, now at one replica, now at the other.
async fn write(name: String, replicas: [&Service; 2]) {
    replicas[0].register(&name, "").await.expect("registered");
    for round in 0..ROUNDS {
        let tokens = replicas[round % 2].login(&name, PASSWORD).await.expect("signed in");
        let logout = by(&tokens.access_token, LogoutRequest::default());
        replicas[(round + 1) % 2].auth().logout(logout).await.expect("signed out");
    }
}

on_each_database! {
    async fn watchers_of_both_replicas_are_told_everything_once_and_in_one_order(database) {
        let clock = ManualClock::default();
        let replica = || Service::start_with(config(&database, &clock), clock.clone());
        let (one, two) = (replica().await, replica().await);
        let writers = join_all((0..WRITERS).map(|number| {
            let replicas = if number % 2 == 0 { [&one, &two] } else { [&two, &one] };
            write(format!("user{number}"), replicas)
        }));
        let both = [&one, &two];
        let (_, at_one, at_two, resumed, ended_one, ended_two, ended_resumed) = tokio::join!(
            writers,
            watch_events(&both[..1], usize::MAX),
            watch_events(&both[1..], usize::MAX),
            watch_events(&both, 2),
            watch_revocations(&both[..1], usize::MAX),
            watch_revocations(&both[1..], usize::MAX),
            watch_revocations(&both, 2),
        );
        let numbers: Vec<_> = at_one.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(numbers, (1..=EVENTS).collect::<Vec<_>>(), "each, once, in order");
        assert_eq!(at_two, at_one);
        assert_eq!(resumed, at_one, "whoever resumes, at either replica, misses nothing");

        let ended: BTreeSet<_> = ended_one.iter().collect();
        assert_eq!((ended.len(), ended_one.len()), (WRITERS * ROUNDS, WRITERS * ROUNDS));
        assert_eq!(ended_two, ended_one);
        assert_eq!(ended_resumed, ended_one);
        let late = watch_revocations(&both[..1], usize::MAX).await;
        assert_eq!(late, ended_one, "nor does whoever comes late");
    }
}
