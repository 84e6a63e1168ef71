//! What the store promises of seats, on each of the three databases.

use service_kit::{
    Timestamp,
    db::{Db, Statement, Tx},
    on_each_database, sql,
};

use super::{
    MIGRATIONS, events, programs, registrations,
    seats::{self, Place},
};
use crate::model::{
    Capacity, Description, EventType, Location, NewEvent, ProgramDetails, ProgramId,
    RegistrationId, Schedule, Sport, Status, TimeZone, Title, Training, TrainingLevel, UserId,
};

const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_123_456);

fn after(micros: i64) -> Timestamp {
    Timestamp::from_micros(NOW.micros() + micros)
}

fn training() -> Training {
    Training {
        sport: Sport::parse("cricket".to_owned()).expect("a sport"),
        level: TrainingLevel::parse("beginner".to_owned()).expect("a level"),
    }
}

fn details(capacity: i64) -> ProgramDetails {
    ProgramDetails {
        title: Title::parse("Nets".to_owned()).expect("a title"),
        description: Description::parse(String::new()).expect("a description"),
        training: training(),
        location: Location::parse(String::new()).expect("a location"),
        coach_id: None,
        schedule: Schedule {
            starts_at: after(100),
            ends_at: after(200),
            registration_opens_at: None,
            registration_closes_at: None,
        },
        time_zone: TimeZone::parse("UTC").expect("a zone"),
        capacity: Capacity::parse(capacity).expect("a capacity"),
    }
}

async fn insert(db: &Db, details: &ProgramDetails) -> ProgramId {
    let mut tx = db.begin().await.expect("a transaction");
    let id = programs::insert(&mut tx, details, NOW).await.expect("stored");
    tx.commit().await.expect("committed");
    id
}

/// What is done to the seats of a program. Users are numbers.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A user registers.
    Take(i64),
    /// A user's registration ends.
    GiveBack(i64),
    /// The program has another capacity from now on.
    Set(i64),
}
use Step::{GiveBack, Set, Take};

/// Who has what after some steps.
struct Case {
    capacity: i64,
    steps: &'static [Step],
    seated: &'static [i64],
    /// In the order of the queue.
    waiting: &'static [i64],
    /// Those who moved up, in this order.
    promoted: &'static [i64],
}

const CASES: [Case; 10] = [
    Case {
        capacity: 2,
        steps: &[Take(1), Take(2), Take(3), Take(4)],
        seated: &[1, 2],
        waiting: &[3, 4],
        promoted: &[],
    },
    Case {
        capacity: 0,
        steps: &[Take(1), Take(2), Take(3)],
        seated: &[1, 2, 3],
        waiting: &[],
        promoted: &[],
    },
    // A place in the queue is given back: everyone behind moves up, nobody gets a seat.
    Case {
        capacity: 1,
        steps: &[Take(1), Take(2), Take(3), GiveBack(2)],
        seated: &[1],
        waiting: &[3],
        promoted: &[],
    },
    // Whoever comes back comes last.
    Case {
        capacity: 1,
        steps: &[Take(1), Take(2), Take(3), GiveBack(2), Take(2)],
        seated: &[1],
        waiting: &[3, 2],
        promoted: &[],
    },
    Case {
        capacity: 1,
        steps: &[Take(1), Take(2), Take(3), GiveBack(1), Take(1)],
        seated: &[2],
        waiting: &[3, 1],
        promoted: &[2],
    },
    Case {
        capacity: 2,
        steps: &[Take(1), Take(2), GiveBack(1), GiveBack(2), Take(3)],
        seated: &[3],
        waiting: &[],
        promoted: &[],
    },
    Case {
        capacity: 1,
        steps: &[Take(1), Take(2), Take(3), Take(4), Set(3)],
        seated: &[1, 2, 3],
        waiting: &[4],
        promoted: &[2, 3],
    },
    // More seats than anyone waits for.
    Case {
        capacity: 1,
        steps: &[Take(1), Take(2), Set(5), Take(3)],
        seated: &[1, 2, 3],
        waiting: &[],
        promoted: &[2],
    },
    Case {
        capacity: 1,
        steps: &[Take(1), Take(2), Take(3), Set(0)],
        seated: &[1, 2, 3],
        waiting: &[],
        promoted: &[2, 3],
    },
    // Fewer seats, all of them taken: the next one waits until there is one again.
    Case {
        capacity: 3,
        steps: &[Take(1), Take(2), Set(2), Take(3), GiveBack(1)],
        seated: &[2, 3],
        waiting: &[],
        promoted: &[3],
    },
];

/// One step in one transaction, as the rules take it. Those who moved up, in order.
async fn carry_out(db: &Db, id: ProgramId, step: Step) -> Vec<i64> {
    let mut tx = db.begin().await.expect("a transaction");
    match step {
        Take(user) => {
            let (training, place) = take(&mut tx, id).await;
            let program = Some((id, place));
            let made = registrations::insert(&mut tx, UserId(user), training, program, NOW).await;
            let made = made.expect("stored");
            let found = registrations::find_in(&mut tx, made.id).await.expect("read");
            assert_eq!(found, Some(made));
        }
        GiveBack(user) => {
            assert!(seats::lock(&mut tx, id).await.expect("locked"));
            let (registration, status) = live(&mut tx, user).await;
            assert!(registrations::end(&mut tx, registration, status).await.expect("ended"));
            seats::give_back(&mut tx, id, status, NOW).await.expect("given back");
        }
        Set(capacity) => {
            assert!(seats::lock(&mut tx, id).await.expect("locked"));
            programs::set(&mut tx, id, &details(capacity), NOW).await.expect("set");
        }
    }
    let program = programs::find_in(&mut tx, id).await.expect("read").expect("a program");
    let promoted = seats::promote(&mut tx, &program, None, NOW).await.expect("promoted");
    tx.commit().await.expect("committed");
    promoted.iter().map(|one| one.user_id.0).collect()
}

async fn take(tx: &mut Tx, id: ProgramId) -> (Training, Place) {
    seats::take(tx, id, NOW).await.expect("an answer").expect("an open program")
}

async fn live(tx: &mut Tx, user: i64) -> (RegistrationId, Status) {
    let select =
        sql!("SELECT id, status FROM registrations WHERE user_id = ? AND status <> 'cancelled'");
    let row = tx.query(select).bind(user).fetch_one().await.expect("a registration");
    let status: String = row.get("status").expect("a status");
    let status = Status::from_word(&status).expect("a status");
    (RegistrationId(row.get("id").expect("an id")), status)
}

async fn users(db: &Db, statement: Statement) -> Vec<i64> {
    let rows = db.read(statement).fetch_all().await.expect("rows");
    rows.iter().map(|row| row.get("user_id").expect("a user")).collect()
}

on_each_database! {
    async fn seats_and_places_go_from_hand_to_hand(database) {
        for case in CASES {
            let fresh = TestDatabase::create(database.kind).await;
            let db = fresh.open(MIGRATIONS).await;
            let id = insert(&db, &details(case.capacity)).await;
            let mut promoted = Vec::new();
            for step in case.steps {
                promoted.extend(carry_out(&db, id, *step).await);
            }
            let Case { seated, waiting, steps, .. } = case;
            assert_eq!(promoted, case.promoted, "{steps:?}");
            let found = sql!(
                "SELECT user_id FROM registrations WHERE status = 'confirmed' ORDER BY user_id"
            );
            assert_eq!(users(&db, found).await, seated, "{steps:?}");
            let found = sql!(
                "SELECT user_id FROM registrations WHERE status = 'waitlisted' \
                 ORDER BY waitlist_ticket"
            );
            assert_eq!(users(&db, found).await, waiting, "{steps:?}");
            let program = programs::find(&db, id).await.expect("read").expect("a program");
            let counted = [program.seats_taken, program.waitlist_length];
            let lengths = [seated.len(), waiting.len()].map(|len| i64::try_from(len).expect("few"));
            assert_eq!(counted, lengths, "{steps:?}");
            // Who moved up is in the log, and is to be told.
            let logged = sql!(
                "SELECT user_id FROM training_events WHERE type = 'PROMOTED' ORDER BY sequence"
            );
            let told = sql!("SELECT user_id FROM notices WHERE type = 'promoted' ORDER BY id");
            for found in [logged, told] {
                assert_eq!(users(&db, found).await, case.promoted, "{steps:?}");
            }
        }
    }

    async fn a_place_in_the_queue_is_never_given_twice(database) {
        let db = database.open(MIGRATIONS).await;
        let id = insert(&db, &details(1)).await;
        let mut tx = db.begin().await.expect("a transaction");
        assert_eq!(take(&mut tx, id).await, (training(), Place::Seat));
        for ticket in 1..=3 {
            let place = Place::Waiting { ticket, position: 1 };
            assert_eq!(take(&mut tx, id).await, (training(), place));
            seats::give_back(&mut tx, id, Status::Waitlisted, NOW).await.expect("given back");
        }
        // What had ended has nothing to give back.
        seats::give_back(&mut tx, id, Status::Cancelled, NOW).await.expect("nothing");
        tx.commit().await.expect("committed");
        let program = programs::find(&db, id).await.expect("read").expect("a program");
        assert_eq!((program.seats_taken, program.waitlist_length), (1, 0));
    }

    async fn nobody_overtakes_those_who_wait(database) {
        let db = database.open(MIGRATIONS).await;
        let id = insert(&db, &details(1)).await;
        let mut tx = db.begin().await.expect("a transaction");
        assert_eq!(take(&mut tx, id).await.1, Place::Seat);
        assert_eq!(take(&mut tx, id).await.1, Place::Waiting { ticket: 1, position: 1 });
        // As where the clock of another replica has seen the end of the program: nobody moves up.
        seats::give_back(&mut tx, id, Status::Confirmed, NOW).await.expect("given back");
        assert_eq!(take(&mut tx, id).await.1, Place::Waiting { ticket: 2, position: 2 });
        for _ in 0..2 {
            seats::give_back(&mut tx, id, Status::Waitlisted, NOW).await.expect("given back");
        }
        assert_eq!(take(&mut tx, id).await.1, Place::Seat);
        tx.commit().await.expect("committed");
    }

    async fn there_are_seats_and_places_while_a_program_is_open(database) {
        let db = database.open(MIGRATIONS).await;
        let window = |opens_at: Option<i64>, closes_at: Option<i64>| {
            let mut details = details(1);
            details.schedule.registration_opens_at = opens_at.map(after);
            details.schedule.registration_closes_at = closes_at.map(after);
            details
        };
        for (details, at, is_open) in [
            (window(None, None), -1_000, true),
            (window(None, None), 99, true),
            (window(None, None), 100, false),
            (window(None, Some(150)), 149, true),
            (window(None, Some(150)), 150, false),
            (window(Some(10), Some(20)), 9, false),
            (window(Some(10), Some(20)), 10, true),
            (window(Some(10), Some(20)), 20, false),
        ] {
            let id = insert(&db, &details).await;
            let mut tx = db.begin().await.expect("a transaction");
            let taken = seats::take(&mut tx, id, after(at)).await.expect("an answer");
            assert_eq!(taken.is_some(), is_open, "{:?} at {at}", details.schedule);
            programs::cancel(&mut tx, id, NOW).await.expect("cancelled");
            assert_eq!(seats::take(&mut tx, id, after(at)).await.expect("an answer"), None);
            assert!(seats::lock(&mut tx, id).await.expect("an answer"), "to end registrations");
            tx.commit().await.expect("committed");
        }
        let mut tx = db.begin().await.expect("a transaction");
        assert!(!seats::lock(&mut tx, ProgramId(1_000)).await.expect("an answer"));
        assert_eq!(seats::take(&mut tx, ProgramId(1_000), NOW).await.expect("an answer"), None);
    }

    async fn events_are_numbered_on_where_they_were_counted_before(database) {
        let db = database.open(&MIGRATIONS[..9]).await;
        for sequence in 1..=3_i64 {
            let insert =
                sql!("INSERT INTO training_events (sequence, time, type) VALUES (?, 0, 'REGISTERED')");
            db.write(insert).bind(sequence).execute().await.expect("stored");
        }
        db.write(sql!("UPDATE event_counter SET last = 3")).execute().await.expect("stored");
        db.close().await;

        let db = database.open(MIGRATIONS).await;
        let mut tx = db.begin().await.expect("a transaction");
        let (event_type, program_id) = (EventType::ProgramCreated, Some(ProgramId(1)));
        let event = NewEvent { event_type, program_id, registration: None, actor_id: None };
        events::append(&mut tx, NOW, event).await.expect("stored");
        tx.commit().await.expect("committed");
        let select = sql!("SELECT sequence FROM training_events WHERE type = 'PROGRAM_CREATED'");
        let row = db.read(select).fetch_one().await.expect("an event");
        assert_eq!(row.get::<i64, _>("sequence").expect("a number"), 4);
    }

    async fn the_schema_itself_sells_no_seat_twice(database) {
        let db = database.open(MIGRATIONS).await;
        let id = insert(&db, &details(1)).await;
        carry_out(&db, id, Take(1)).await;
        for statement in [
            sql!("UPDATE programs SET seats_taken = 2"),
            sql!("UPDATE programs SET seats_taken = -1"),
            sql!("UPDATE programs SET waitlist_length = -1"),
            sql!(
                "INSERT INTO registrations (user_id, sport, training_level, registered_at, status, \
                 program_id) VALUES (1, 'cricket', 'beginner', 0, 'waitlisted', 1)"
            ),
        ] {
            db.write(statement).execute().await.expect_err("refused");
        }
        let program = programs::find(&db, id).await.expect("read").expect("a program");
        assert_eq!((program.seats_taken, program.waitlist_length), (1, 0));
    }
}
