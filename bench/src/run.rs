//! One run: what is asked for, path by path.

use std::{
    fs,
    io::{Write, stderr, stdout},
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use service_kit::Clock;

use crate::{
    ground::Ground,
    loaded,
    options::{Deployment, Options, Volume},
    paths::{Entry, PATHS},
    programs::Programs,
    report::{Conditions, Report, chart, table},
    stand::{Hashing, Scene},
};

/// Files that this process and those that it starts may have open: a thousand connections are
/// among them.
const FILES_MAX: u64 = 8192;

/// Measures what `options` ask for, prints the table, and writes `report.json` and `chart.svg`.
///
/// # Errors
/// Where anything could not be measured, or an answer was wrong; a missed goal is none.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let before = options.compare.as_deref().map(Report::read).transpose()?;
    let programs = Programs::ready(options).await?;
    let out = out(options, &programs)?;
    allow_files()?;
    let mut report = Report {
        conditions: conditions(options, &out).await?,
        lines: Vec::new(),
        failures: Vec::new(),
    };
    for (entry, deployment) in selected(options) {
        let ground = Ground::new(options, &out).await?;
        let scene = Scene { programs: &programs, ground: &ground, deployment, options };
        measure(entry, scene, &mut report).await;
        ground.remove().await?;
    }
    if let Some(volume) = options.volume() {
        let ground = load(options, &programs, &out, volume).await?;
        for (entry, deployment) in selected(options).filter(|(entry, _)| entry.has_database) {
            let scene = Scene { programs: &programs, ground: &ground, deployment, options };
            measure(entry, scene, &mut report).await;
        }
        ground.remove().await?;
    }
    publish(&report, before.as_ref(), &out)
}

fn selected(options: &Options) -> impl Iterator<Item = (&'static Entry, Deployment)> {
    let is_wanted = |entry: &&Entry| {
        options.only.is_empty() || options.only.iter().any(|name| name == entry.name)
    };
    let wanted = PATHS.iter().filter(is_wanted);
    wanted.flat_map(|entry| {
        entry.deployments(options.deployment).into_iter().map(move |it| (entry, it))
    })
}

/// A path that fails does not keep the others from being measured.
async fn measure(entry: &Entry, scene: Scene<'_>, report: &mut Report) {
    let loaded = if scene.ground.load.is_some() { ", loaded" } else { "" };
    say(&format!("{} ({:?}{loaded}) ...", entry.name, scene.deployment));
    match (entry.measure)(scene).await {
        Ok(lines) => lines.into_iter().for_each(|line| report.add(line)),
        Err(error) => report.failures.push(format!("{}: {error:#}", entry.name)),
    }
}

/// Databases that the product has made and that are filled then.
async fn load(
    options: &Options,
    programs: &Programs,
    out: &Path,
    volume: Volume,
) -> Result<Ground> {
    say(&format!("loading {} users, {} registrations ...", volume.users, volume.registrations));
    let mut ground = Ground::new(options, out).await?;
    let deployment = Deployment::Standalone;
    let scene = Scene { programs, ground: &ground, deployment, options };
    let stand = scene.start(Hashing::Cheap).await?;
    let people = stand.people(&scene, 1).await?;
    stand.stop().await?;
    let model = &people.first().context("a model of all users")?.name;
    ground.load = Some(loaded::fill(&ground, options.database, volume, model).await?);
    Ok(ground)
}

fn out(options: &Options, programs: &Programs) -> Result<PathBuf> {
    let beside = || Some(programs.own.parent()?.parent()?.join("bench"));
    let out = options.out.clone().or_else(beside).context("--out is needed")?;
    fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    // Embedded databases are named by their whole path: their users are elsewhere.
    out.canonicalize().with_context(|| out.display().to_string())
}

fn allow_files() -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < FILES_MAX) {
        let wanted = maximum.map_or(FILES_MAX, |maximum| maximum.min(FILES_MAX));
        let limit = Rlimit { current: Some(wanted), maximum };
        setrlimit(Resource::Nofile, limit).context("the number of open files")?;
    }
    Ok(())
}

async fn conditions(options: &Options, out: &Path) -> Result<Conditions> {
    let ground = Ground::new(options, out).await?;
    let durability = ground.durability().await?;
    ground.remove().await?;
    Ok(Conditions {
        began_at: Clock::system().now().seconds(),
        cores: thread::available_parallelism().map_or(1, usize::from),
        optimised: !cfg!(debug_assertions),
        database: options.database,
        durability,
        rounds: options.rounds,
        seconds: options.seconds.as_secs_f64(),
    })
}

fn publish(report: &Report, before: Option<&Report>, out: &Path) -> Result<()> {
    let (json, svg) = (out.join("report.json"), out.join("chart.svg"));
    report.write(&json)?;
    fs::write(&svg, chart(report)).with_context(|| svg.display().to_string())?;
    let Conditions { cores, database, durability, .. } = &report.conditions;
    writeln!(stdout(), "{database:?} ({durability}), {cores} cores\n\n{}", table(report, before))?;
    writeln!(stdout(), "{}\n{}", json.display(), svg.display())?;
    if cfg!(debug_assertions) {
        say("not optimised: these figures say nothing about the product");
    }
    let failures = report.all_failures();
    ensure!(failures.is_empty(), "not all is as it should be:\n{}", failures.join("\n"));
    Ok(())
}

/// Tells how far it is.
fn say(text: &str) {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(stderr(), "bench: {text}");
}
