//! No seat is sold twice: the race is real, and hundreds of users at once do not win it.
//! (See `histories`.)

use std::sync::Arc;

use proto::training::v1::{CreateRegistrationRequest, Registration};
use service_kit::{on_each_database, rejection::Rejection, sql};
use tokio::{
    sync::Barrier,
    task::{JoinSet, yield_now},
};
use tonic::Code;

use crate::{
    announcing::program,
    histories::{check, replicas},
    service::{Service, User, seat},
};

/// Registers as a client does that tries again where the service is too busy.
async fn register(user: &User, program_id: i64, id: &str) -> Result<Registration, Rejection> {
    let request = CreateRegistrationRequest { request_id: id.to_owned(), ..seat(program_id) };
    loop {
        match user.create(request.clone()).await {
            Err(rejection) if rejection.code == Code::Unavailable => yield_now().await,
            answer => return answer,
        }
    }
}

on_each_database! {
    async fn without_the_guard_seats_are_sold_twice(database) {
        let service = Service::start(&database).await;
        let coach = service.user_with(3, &["coach"]);
        let id = coach.announce(program(3)).await.expect("created").id;
        let db = database.connect().await;
        let count = sql!("SELECT COUNT(*) FROM registrations WHERE program_id = ?");
        let all_have_read = Arc::new(Barrier::new(16));
        let mut calls = JoinSet::new();
        for user in 0..16_i64 {
            let (db, all_have_read) = (db.clone(), all_have_read.clone());
            calls.spawn(async move {
                let row = db.read(count).bind(id).fetch_one().await.expect("a row");
                all_have_read.wait().await;
                if row.get::<i64, _>(0).expect("a count") < 3 {
                    let insert = sql!(
                        "INSERT INTO registrations (user_id, sport, training_level, \
                         registered_at, status, program_id) \
                         VALUES (?, 'cricket', 'beginner', 0, 'confirmed', ?)"
                    );
                    db.write(insert).bind(user).bind(id).execute().await.expect("stored");
                }
            });
        }
        calls.join_all().await;
        let sold = db.read(count).bind(id).fetch_one().await.expect("a row");
        assert!(sold.get::<i64, _>(0).expect("a count") > 3);
    }

    async fn hundreds_of_users_at_once_get_the_seats_there_are(database) {
        let services = replicas(&database).await;
        let coach = services[0].user_with(3, &["coach"]);
        let id = coach.announce(program(7)).await.expect("created").id;
        let mut calls = JoinSet::new();
        for user in 0..300_usize {
            let caller = services[user % services.len()].user(100 + i64::try_from(user).expect("few"));
            calls.spawn(async move { register(&caller, id, "once").await.expect("registered") });
        }
        let mut positions: Vec<_> =
            calls.join_all().await.iter().map(|one| one.waitlist_position).collect();
        let db = database.connect().await;
        check(&db).await;
        let shown = services[0].program(id).await.expect("found");
        assert_eq!((shown.seats_taken, shown.waitlist_length), (7, 293));
        // Each was told another place.
        positions.sort_unstable();
        let expected: Vec<_> = [0; 7].into_iter().chain(1..=293).collect();
        assert_eq!(positions, expected);
    }
}
