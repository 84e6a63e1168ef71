//! No seat is sold twice and the queue is fair, whatever happens at once.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use proto::training::v1::{CreateRegistrationRequest, Program, Registration};
use service_kit::{
    Entropy,
    db::{Db, Statement},
    on_each_database,
    rejection::Rejection,
    sql,
};
use tokio::{
    sync::Barrier,
    task::{JoinSet, yield_now},
};
use tonic::Code;

use crate::{
    announcing::program,
    service::{Service, User, seat},
};

/// Steps of a random history, each of several calls at once.
const STEPS: usize = 40;
const CALLS_PER_STEP: usize = 12;
const PROGRAMS: i64 = 3;
const USERS: i64 = 30;

/// Chance that can be repeated: splitmix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((mixed ^ (mixed >> 31)) >> 1).expect("63 bits") % end
    }
}

/// One service, and on a server another one.
async fn replicas(database: &service_kit::testing::TestDatabase) -> Vec<Service> {
    let first = Service::start(database).await;
    first.user(1).list_own().await;
    // A SQLite file is one process's own.
    if database.url.starts_with("sqlite") {
        return vec![first];
    }
    vec![first.replica(database).await, first]
}

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

async fn numbers(db: &Db, statement: Statement) -> Vec<Vec<i64>> {
    let rows = db.read(statement).fetch_all().await.expect("rows");
    let row =
        |row: &service_kit::db::Row| (0..4).map_while(|at| row.get::<i64, _>(at).ok()).collect();
    rows.iter().map(row).collect()
}

/// What holds whenever nothing is under way.
async fn check(db: &Db, history: &str) {
    let programs =
        numbers(db, sql!("SELECT id, capacity, seats_taken, waitlist_length FROM programs")).await;
    let seated = numbers(
        db,
        sql!(
            "SELECT program_id, user_id FROM registrations \
              WHERE status = 'confirmed' AND waitlist_ticket IS NULL"
        ),
    )
    .await;
    let waiting = numbers(
        db,
        sql!(
            "SELECT program_id, user_id, id FROM registrations \
              WHERE status = 'waitlisted' ORDER BY program_id, waitlist_ticket"
        ),
    )
    .await;
    let queues = queues_of_the_log(db, history).await;
    for row in programs {
        let &[id, capacity, seats_taken, waitlist_length] = &*row else { panic!("{row:?}") };
        let of_program = |rows: &[Vec<i64>]| -> Vec<Vec<i64>> {
            rows.iter().filter(|row| row[0] == id).cloned().collect()
        };
        let (seated, waiting) = (of_program(&seated), of_program(&waiting));
        let count = |rows: &[Vec<i64>]| i64::try_from(rows.len()).expect("few");
        assert!(capacity == 0 || count(&seated) <= capacity, "oversold: {history}");
        assert_eq!((count(&seated), count(&waiting)), (seats_taken, waitlist_length), "{history}");
        let is_full = capacity > 0 && seats_taken == capacity;
        assert!(is_full || waiting.is_empty(), "someone waits beside a free seat: {history}");
        let mut users: Vec<_> = seated.iter().chain(&waiting).map(|row| row[1]).collect();
        users.sort_unstable();
        users.dedup();
        assert_eq!(count(&seated) + count(&waiting), i64::try_from(users.len()).expect("few"));
        let queue: Vec<_> = waiting.iter().map(|row| row[2]).collect();
        assert_eq!(
            queues.get(&id).map(|queue| Vec::from(queue.clone())).unwrap_or_default(),
            queue
        );
    }
}

/// Plays the log through, program by program: who is promoted must have come first.
async fn queues_of_the_log(db: &Db, history: &str) -> BTreeMap<i64, VecDeque<i64>> {
    let select = sql!(
        "SELECT type, program_id, registration_id FROM training_events \
         WHERE registration_id IS NOT NULL ORDER BY sequence"
    );
    let mut queues: BTreeMap<i64, VecDeque<i64>> = BTreeMap::new();
    for row in db.read(select).fetch_all().await.expect("events") {
        let queue = queues.entry(row.get(1).expect("a program")).or_default();
        let id: i64 = row.get(2).expect("a registration");
        match &*row.get::<String, _>(0).expect("a type") {
            "WAITLISTED" => queue.push_back(id),
            "PROMOTED" => assert_eq!(queue.pop_front(), Some(id), "not the head: {history}"),
            "REGISTRATION_CANCELLED" => queue.retain(|one| *one != id),
            _ => {}
        }
    }
    queues
}

/// One random call; what may be answered to it is known.
async fn call(user: User, coach: User, program: Program, what: i64, capacity: i64) {
    let answer = match what {
        0..=4 => user.create(seat(program.id)).await.map(drop),
        5..=7 => {
            let own = user.list_own().await;
            let of_program = own.iter().rfind(|one| one.program_id == program.id);
            match of_program {
                Some(registration) => user.cancel(registration.id).await.map(drop),
                None => Ok(()),
            }
        }
        _ => {
            let wish = Program { capacity, etag: String::new(), ..program };
            coach.change(wish, &["capacity"]).await.map(drop)
        }
    };
    if let Err(rejection) = answer {
        let is_expected = rejection.reason == "ALREADY_REGISTERED"
            || rejection.violations.iter().any(|violation| violation.field == "capacity");
        assert!(is_expected, "{rejection:?}");
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
        check(&db, "300 users").await;
        let shown = services[0].program(id).await.expect("found");
        assert_eq!((shown.seats_taken, shown.waitlist_length), (7, 293));
        // Each was told another place.
        positions.sort_unstable();
        let expected: Vec<_> = [0; 7].into_iter().chain(1..=293).collect();
        assert_eq!(positions, expected);
    }

    async fn no_history_of_calls_at_once_breaks_the_rules(database) {
        let services = replicas(&database).await;
        let coach = services[0].user_with(3, &["coach"]);
        let mut programs = Vec::new();
        for number in 0..PROGRAMS {
            programs.push(coach.announce(program(2 + number)).await.expect("created"));
        }
        let db = database.connect().await;
        let seed = u64::from_be_bytes(Entropy::system().bytes());
        let mut chance = Chance(seed);
        for step in 0..STEPS {
            let mut calls = JoinSet::new();
            for number in 0..CALLS_PER_STEP {
                let service = &services[number % services.len()];
                let user = service.user(100 + chance.below(USERS));
                let coach = service.user_with(3, &["coach"]);
                let at = usize::try_from(chance.below(PROGRAMS)).expect("few");
                let (what, capacity) = (chance.below(10), chance.below(8));
                calls.spawn(call(user, coach, programs[at].clone(), what, capacity));
            }
            while let Some(done) = calls.join_next().await {
                done.unwrap_or_else(|error| panic!("seed {seed}, step {step}: {error}"));
            }
            check(&db, &format!("seed {seed}, step {step}")).await;
        }
    }
}
