//! `bench`: every hot path of Pavilion beside its ceiling, in the same run.
//!
//! A ceiling is the least that the path has to do in any case: the same messages through the same
//! libraries with nothing in between, the same rows committed to the same database, the same hash.
//! Path and ceiling are measured in turn, so that a machine that others use slows both; their
//! ratio is the result. `docs/performance.md` says how to read it.
//!
//! | Module | Holds |
//! |---|---|
//! | `options` | the command line |
//! | `programs` | the product's programs, built as this one was |
//! | `process` | one of them as a child process: its log, its CPU, its memory, its end |
//! | `ground` | throwaway databases and keys, empty or `loaded` |
//! | `stand` | the product running on them, and the `people` who have signed in |
//! | `load` | the generator: many clients at once, every answer judged |
//! | `ceilings` | what the paths are held against |
//! | `measure` | rounds of path and ceiling, and what follows from them |
//! | `paths` | one file for each path |
//! | `report` | the table, the JSON and the chart |

mod ceilings;
mod ground;
mod load;
mod loaded;
mod measure;
mod options;
mod paths;
mod people;
mod process;
mod programs;
mod report;
mod run;
mod stand;

use std::{io::Write, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::Parser;
use service_kit::Shutdown;

use options::{Command, CommandLine};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    match start(command_line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed standard error leaves nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(command_line: CommandLine) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let shutdown = Shutdown::on_signal().context("signals")?;
        let work = async {
            match command_line.command {
                Some(Command::Ceiling(server)) => Box::pin(server.serve()).await,
                None => Box::pin(run::run(&command_line.options)).await,
            }
        };
        // Dropped at a signal, it ends the processes it started and removes their data.
        let Some(done) = shutdown.unless_begun(work).await else { bail!("interrupted") };
        done
    });
    // A load that was interrupted may still run on threads of its own.
    runtime.shutdown_background();
    result
}
