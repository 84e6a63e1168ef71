//! `CreateRegistration` for one program that everybody wants: each waits for the program's row,
//! and no seat may be sold twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::Request;
use proto::training::v1::{
    CreateProgramRequest, CreateRegistrationRequest, CreateRegistrationResponse, GetProgramRequest,
    ListParticipantsRequest, Participant, Program, RegistrationStatus,
    program_service_client::ProgramServiceClient,
};
use service_kit::Clock;
use tonic::transport::Channel;

use super::IN_FLIGHT;
use crate::{
    ceilings::raw_commits::{RawCommits, Write},
    load::{Answer, Client, Wire, drive, grpc},
    measure::{About, Goal, Path, Sample},
    people::{Person, by, channel, sign_in},
    stand::{Hashing, Scene, Stand},
};

/// Who wants a seat in each program, and how many there are.
const PEOPLE: usize = 500;
const CAPACITY: i64 = 200;
/// There are programs for 20,000 registrations a second: each lasts no shorter than this.
const PROGRAM_MILLIS_MIN: u128 = 25;
const DAY_SECONDS: i64 = 86_400;
const METHOD: &str = "/training.v1.RegistrationService/CreateRegistration";

pub(super) struct PopularProgram {
    stand: Stand,
    ceiling: RawCommits,
    coach: Person,
    programs: ProgramServiceClient<Channel>,
    people: Arc<[grpc::Method]>,
    /// Those of the last round that anyone registered for.
    popular: Vec<i64>,
}

impl Path for PopularProgram {
    const ABOUT: About = About {
        name: "popular-program",
        load: "CreateRegistration for one program, 64 in flight, 500 users, 200 seats, then the next",
        ceiling: "an UPDATE of always the same row, committed",
        goals: &[Goal::rate(0.5)],
    };

    async fn set_up(scene: &Scene<'_>) -> Result<Self> {
        let stand = scene.start(Hashing::Cheap).await?;
        let people = stand.people(scene, PEOPLE).await?;
        let method =
            |person: &Person| grpc::Method::new(stand.training, METHOD, Some(&person.access_token));
        let people = people.iter().map(method).collect::<Result<Vec<_>>>()?.into();
        let coach = scene.ground.new_name("coach");
        scene.make_coach(&coach).await?;
        let auth = channel(stand.auth).await?;
        let coach =
            sign_in(proto::auth::v1::auth_service_client::AuthServiceClient::new(auth), coach);
        Ok(Self {
            coach: coach.await?,
            programs: ProgramServiceClient::new(channel(stand.training).await?),
            ceiling: RawCommits::new(scene.ground).await?,
            people,
            popular: Vec::new(),
            stand,
        })
    }

    async fn ceiling(&mut self, duration: Duration) -> Result<Sample> {
        self.ceiling.run(Write::OneRow, duration).await
    }

    async fn run(&mut self, duration: Duration) -> Result<Sample> {
        let mut programs = Vec::new();
        for _ in 0..=duration.as_millis() / PROGRAM_MILLIS_MIN {
            programs.push(self.create_program().await?);
        }
        let rush =
            Arc::new(Rush { programs, people: self.people.clone(), at: AtomicUsize::new(0) });
        let clients = (0..IN_FLIGHT).map(|_| Rushing { rush: rush.clone(), program_id: 0 });
        let (training, clients) = (self.stand.training, clients.collect());
        let load = async { Ok(drive(Wire::Grpc, training, clients, duration).await?.0) };
        let sample = Sample::of(self.stand.processes(), load).await;
        let begun = rush.at.load(Ordering::Relaxed).div_ceil(PEOPLE);
        self.popular = rush.programs.iter().copied().take(begun).collect();
        sample
    }

    async fn check(&mut self) -> Result<()> {
        for program_id in std::mem::take(&mut self.popular) {
            let request = by(&self.coach.access_token, GetProgramRequest { program_id })?;
            let program = self.programs.get_program(request).await?.into_inner().program;
            let program = program.context("a program")?;
            check_seats(&program, &self.participants(program_id).await?)
                .with_context(|| format!("program {program_id}"))?;
        }
        Ok(())
    }

    async fn tear_down(self) -> Result<()> {
        self.stand.stop().await
    }
}

impl PopularProgram {
    async fn create_program(&mut self) -> Result<i64> {
        let time = |days| prost_types::Timestamp {
            seconds: Clock::system().now().seconds() + days * DAY_SECONDS,
            nanos: 0,
        };
        let program = Program {
            title: "Nets".to_owned(),
            sport: "cricket".to_owned(),
            training_level: "intermediate".to_owned(),
            starts_at: Some(time(30)),
            ends_at: Some(time(31)),
            capacity: CAPACITY,
            ..Program::default()
        };
        let request = CreateProgramRequest { program: Some(program), ..Default::default() };
        let request = by(&self.coach.access_token, request)?;
        let answer = self.programs.create_program(request).await?.into_inner();
        Ok(answer.program.context("a program")?.id)
    }

    async fn participants(&mut self, program_id: i64) -> Result<Vec<Participant>> {
        let (mut participants, mut page_token) = (Vec::new(), String::new());
        loop {
            let list = ListParticipantsRequest {
                program_id,
                page_size: 1000,
                page_token,
                ..Default::default()
            };
            let request = by(&self.coach.access_token, list)?;
            let page = self.programs.list_participants(request).await?.into_inner();
            participants.extend(page.participants);
            if page.next_page_token.is_empty() {
                return Ok(participants);
            }
            page_token = page.next_page_token;
        }
    }
}

/// As many have a seat as are taken, no more than there are, nobody waits while one is free, and
/// those who wait stand in a row.
fn check_seats(program: &Program, participants: &[Participant]) -> Result<()> {
    let registrations = || participants.iter().filter_map(|it| it.registration.as_ref());
    let seated = registrations().filter(|it| it.status() == RegistrationStatus::Confirmed);
    let seated = i64::try_from(seated.count())?;
    let waiting = registrations().filter(|it| it.status() == RegistrationStatus::Waitlisted);
    let mut places: Vec<_> = waiting.map(|it| it.waitlist_position).collect();
    places.sort_unstable();
    let Program { seats_taken, capacity, waitlist_length, .. } = *program;
    ensure!(seated == seats_taken, "{seated} have a seat, {seats_taken} are taken");
    ensure!(seated <= capacity, "oversold: {seated} of {capacity} seats");
    let waiting = i64::try_from(places.len())?;
    ensure!(waiting == waitlist_length, "{waiting} wait, {waitlist_length} are counted");
    ensure!(waiting == 0 || seated == capacity, "{waiting} wait while seats are free");
    ensure!(places.iter().copied().eq(1..=waiting), "the queue has gaps: {places:?}");
    Ok(())
}

/// Everybody registers for the first program, then everybody for the next.
struct Rush {
    programs: Vec<i64>,
    people: Arc<[grpc::Method]>,
    at: AtomicUsize,
}

struct Rushing {
    rush: Arc<Rush>,
    program_id: i64,
}

impl Client for Rushing {
    fn next(&mut self) -> Option<Request<Bytes>> {
        let Rush { programs, people, at } = &*self.rush;
        let at = at.fetch_add(1, Ordering::Relaxed);
        self.program_id = *programs.get(at / people.len())?;
        let message =
            CreateRegistrationRequest { program_id: self.program_id, ..Default::default() };
        Some(people[at % people.len()].call(&message))
    }

    fn judge(&mut self, answer: &Answer) -> Result<(), String> {
        let answer: CreateRegistrationResponse = grpc::message(answer)?;
        let registration = answer.registration.ok_or("no registration")?;
        let waits = match registration.status() {
            RegistrationStatus::Confirmed => false,
            RegistrationStatus::Waitlisted => true,
            status => return Err(format!("{status:?}")),
        };
        if registration.program_id == self.program_id
            && waits == (registration.waitlist_position > 0)
        {
            return Ok(());
        }
        Err(format!("not a place in program {}: {registration:?}", self.program_id))
    }
}

#[cfg(test)]
mod tests {
    use proto::training::v1::Registration;

    use super::*;

    fn participants(seated: usize, places: &[i64]) -> Vec<Participant> {
        let participant = |status: RegistrationStatus, waitlist_position| Participant {
            registration: Some(Registration {
                status: status.into(),
                waitlist_position,
                ..Default::default()
            }),
            ..Default::default()
        };
        let seated = (0..seated).map(|_| participant(RegistrationStatus::Confirmed, 0));
        let waiting = places.iter().map(|it| participant(RegistrationStatus::Waitlisted, *it));
        seated.chain(waiting).collect()
    }

    #[test]
    fn a_program_that_is_oversold_or_has_a_gap_in_its_queue_is_found_out() {
        let check = |seats_taken, waitlist_length, participants: Vec<Participant>| {
            let program =
                Program { capacity: 2, seats_taken, waitlist_length, ..Default::default() };
            check_seats(&program, &participants).map_err(|error| error.to_string())
        };
        assert_eq!(check(2, 2, participants(2, &[2, 1])), Ok(()));
        assert_eq!(check(1, 0, participants(1, &[])), Ok(()));
        let found = |checked: Result<(), String>, word| checked.unwrap_err().contains(word);
        assert!(found(check(3, 0, participants(3, &[])), "oversold"));
        assert!(found(check(2, 0, participants(3, &[])), "3 have a seat, 2 are taken"));
        assert!(found(check(2, 2, participants(2, &[1, 3])), "gaps"));
        assert!(found(check(2, 1, participants(2, &[])), "0 wait, 1 are counted"));
        assert!(found(check(1, 1, participants(1, &[1])), "while seats are free"));
    }
}
