//! Random histories of calls at once, after each step of which the rules hold: no seat is sold
//! twice, none is free while someone waits, the queue has no gaps and is first come, first served,
//! and whose account is deleted has no place.
//!
//! | Variable | |
//! |---|---|
//! | `HISTORIES` | how many are run on each database (1), each on one of its own |
//! | `HISTORY_STEPS` | steps of each (40) |
//! | `HISTORY_SEED` | chooses the calls of the first one (random); each further one has the next |
//!
//! A failure tells seed and step: the same calls are made again, though their order within a step
//! is the scheduler's.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::Arc,
    thread::panicking,
};

use proto::{auth::v1::EventType, training::v1::Program};
use service_kit::{
    Entropy,
    db::{Db, Row, Statement},
    on_each_database,
    rejection::Rejection,
    sql,
    testing::{DatabaseKind, TestDatabase, setting},
};
use tokio::task::JoinSet;

use crate::{
    announcing::program,
    departures::cursor,
    service::{Service, User, seat, until},
};

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

    fn one_of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        let at = self.below(i64::try_from(all.len()).expect("few"));
        &all[usize::try_from(at).expect("few")]
    }
}

/// One service, and on a server another one.
pub(crate) async fn replicas(database: &TestDatabase) -> Vec<Service> {
    let first = Service::start(database).await;
    first.user(1).list_own().await;
    // A SQLite file is one process's own.
    if database.kind == DatabaseKind::Sqlite {
        return vec![first];
    }
    vec![first.replica(database).await, first]
}

async fn numbers(db: &Db, statement: Statement) -> Vec<Vec<i64>> {
    let rows = db.read(statement).fetch_all().await.expect("rows");
    let row = |row: &Row| (0..4).map_while(|at| row.get::<i64, _>(at).ok()).collect();
    rows.iter().map(row).collect()
}

/// What holds whenever nothing is under way.
pub(crate) async fn check(db: &Db) {
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
    let queues = queues_of_the_log(db).await;
    for row in programs {
        let &[id, capacity, seats_taken, waitlist_length] = &*row else { panic!("{row:?}") };
        let of_program = |rows: &[Vec<i64>]| -> Vec<Vec<i64>> {
            rows.iter().filter(|row| row[0] == id).cloned().collect()
        };
        let (seated, waiting) = (of_program(&seated), of_program(&waiting));
        let count = |rows: &[Vec<i64>]| i64::try_from(rows.len()).expect("few");
        assert!(capacity == 0 || count(&seated) <= capacity, "oversold");
        assert_eq!((count(&seated), count(&waiting)), (seats_taken, waitlist_length));
        let is_full = capacity > 0 && seats_taken == capacity;
        assert!(is_full || waiting.is_empty(), "someone waits beside a free seat");
        let mut users: Vec<_> = seated.iter().chain(&waiting).map(|row| row[1]).collect();
        users.sort_unstable();
        users.dedup();
        assert_eq!(count(&seated) + count(&waiting), i64::try_from(users.len()).expect("few"));
        let queue: Vec<_> = waiting.iter().map(|row| row[2]).collect();
        assert_eq!(queues.get(&id).cloned().unwrap_or_default(), queue, "not as the log has it");
    }
    let ghosts = sql!(
        "SELECT r.id FROM registrations r JOIN departed_users d ON d.user_id = r.user_id \
         WHERE r.status <> 'cancelled'"
    );
    assert_eq!(numbers(db, ghosts).await, [[0; 0]; 0], "of users who are gone");
}

/// Plays the log through, program by program: who is promoted must have come first.
async fn queues_of_the_log(db: &Db) -> BTreeMap<i64, VecDeque<i64>> {
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
            "PROMOTED" => assert_eq!(queue.pop_front(), Some(id), "not the head"),
            "REGISTRATION_CANCELLED" => queue.retain(|one| *one != id),
            _ => {}
        }
    }
    queues
}

/// The places that are shown to those who wait are 1, 2, 3 and so on.
async fn check_positions(coach: &User, program_id: i64) {
    let listed = coach.participants(program_id).await.expect("participants");
    let mut places: Vec<_> = listed.iter().map(|one| one.waitlist_position).collect();
    places.retain(|place| *place > 0);
    places.sort_unstable();
    let end = i64::try_from(places.len()).expect("few");
    assert_eq!(places, (1..=end).collect::<Vec<_>>());
}

/// What one of the calls of a step does.
#[derive(Clone, Copy)]
enum Act {
    Register,
    Cancel,
    SetCapacity(i64),
    /// In auth-service, while the user may well call here.
    DeleteAccount,
}

impl Act {
    fn any(chance: &mut Chance) -> Self {
        match chance.below(20) {
            0..=8 => Self::Register,
            9..=13 => Self::Cancel,
            14..=18 => Self::SetCapacity(match chance.below(30) {
                // Any number: nobody waits any more.
                0 => 0,
                few => 1 + few % 5,
            }),
            _ => Self::DeleteAccount,
        }
    }

    /// Does it; what may be answered is known.
    async fn carry_out(self, service: &Service, user_id: i64, is_leaving: bool, program: Program) {
        let user = service.user(user_id);
        let answer = match self {
            Self::Register => user.create(seat(program.id)).await.map(drop),
            Self::Cancel => {
                let own = user.list_own().await;
                match own.iter().rfind(|one| one.program_id == program.id) {
                    Some(registration) => user.cancel(registration.id).await.map(drop),
                    None => Ok(()),
                }
            }
            Self::SetCapacity(capacity) => {
                let wish = Program { capacity, etag: String::new(), ..program };
                service.user_with(3, &["coach"]).change(wish, &["capacity"]).await.map(drop)
            }
            Self::DeleteAccount => {
                service.auth.tell(EventType::UserDeleted, user_id);
                Ok(())
            }
        };
        let is_expected = |rejection: &Rejection| match &*rejection.reason {
            "ALREADY_REGISTERED" => true,
            "TOKEN_REVOKED" => is_leaving,
            _ => rejection.violations.iter().any(|violation| violation.field == "capacity"),
        };
        assert!(answer.as_ref().err().is_none_or(is_expected), "{answer:?}");
    }
}

/// Where a history is: told where it ends in a panic.
struct Place {
    seed: u64,
    step: usize,
}

impl Drop for Place {
    #[expect(clippy::print_stderr, reason = "it is for who runs the test")]
    fn drop(&mut self) {
        let Self { seed, step } = self;
        if panicking() {
            eprintln!("once more: HISTORY_SEED={seed} HISTORIES=1 HISTORY_STEPS={step}");
        }
    }
}

/// Plays the history that `seed` chooses.
async fn play(database: &TestDatabase, seed: u64, steps: usize) {
    let services: Arc<[_]> = replicas(database).await.into();
    let auth = &services[0].auth;
    let coach = services[0].user_with(3, &["coach"]);
    let mut programs = Vec::new();
    for number in 0..PROGRAMS {
        programs.push(coach.announce(program(2 + number)).await.expect("created"));
    }
    let db = database.connect().await;
    let mut chance = Chance(seed);
    let mut users: Vec<_> = (0..USERS).map(|number| 100 + number).collect();
    let mut place = Place { seed, step: 0 };
    for step in 1..=steps {
        place.step = step;
        let acts: Vec<_> = (0..CALLS_PER_STEP)
            .map(|_| (*chance.one_of(&users), chance.one_of(&programs), Act::any(&mut chance)))
            .collect();
        let leave = |act: &Act| matches!(act, Act::DeleteAccount);
        let leaving: HashSet<_> =
            acts.iter().filter(|(_, _, act)| leave(act)).map(|(user, ..)| *user).collect();
        let mut calls = JoinSet::new();
        for (number, (user, program, act)) in acts.into_iter().enumerate() {
            let (services, program) = (services.clone(), program.clone());
            let is_leaving = leaving.contains(&user);
            calls.spawn(async move {
                let service = &services[number % services.len()];
                act.carry_out(service, user, is_leaving, program).await;
            });
        }
        while let Some(done) = calls.join_next().await {
            done.expect("as the rules have it");
        }
        let told = auth.last_event();
        until(async || cursor(&db).await == told).await;
        check(&db).await;
        for program in &programs {
            check_positions(&coach, program.id).await;
        }
        // Others take their places.
        let newest = 100 + USERS + i64::try_from(step * CALLS_PER_STEP).expect("few");
        let left = users.iter_mut().filter(|user| leaving.contains(user));
        left.zip(newest..).for_each(|(user, new)| *user = new);
    }
    tell_of(database, seed, steps, &db).await;
}

/// What has happened in a history, for `--nocapture`.
#[expect(clippy::print_stdout, reason = "it is for who runs the test")]
async fn tell_of(database: &TestDatabase, seed: u64, steps: usize, db: &Db) {
    let select = sql!("SELECT type, COUNT(*) FROM training_events GROUP BY type ORDER BY type");
    let rows = db.read(select).fetch_all().await.expect("events");
    let mut counts: Vec<_> = rows
        .iter()
        .map(|row| {
            let (event_type, count) = (row.get(0), row.get(1));
            let event_type: String = event_type.expect("text");
            format!("{event_type} {}", count.map(|count: i64| count).expect("a count"))
        })
        .collect();
    let gone = numbers(db, sql!("SELECT COUNT(*) FROM departed_users")).await;
    counts.push(format!("users deleted {}", gone[0][0]));
    let (kind, calls) = (database.kind, steps * CALLS_PER_STEP);
    println!("{kind:?}: seed {seed}, {steps} steps, {calls} calls: {}", counts.join(", "));
}

on_each_database! {
    async fn no_history_of_calls_at_once_breaks_the_rules(database) {
        let histories: u64 = setting("HISTORIES").unwrap_or(1);
        let steps = setting("HISTORY_STEPS").unwrap_or(40);
        let first = setting("HISTORY_SEED");
        let first = first.unwrap_or_else(|| u64::from_be_bytes(Entropy::system().bytes()));
        for number in 0..histories {
            let fresh = TestDatabase::create(database.kind).await;
            play(&fresh, first.wrapping_add(number), steps).await;
        }
    }
}
