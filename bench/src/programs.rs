//! The product's programs, built as this one was.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

use crate::options::Options;

/// The packages whose programs are measured; each program has the name of its package.
const PACKAGES: [&str; 4] = ["pavilion", "auth-service", "training-service", "gateway"];

/// The folder with all of them.
#[derive(Debug)]
pub(crate) struct Programs {
    folder: PathBuf,
    /// Where this program itself is.
    pub(crate) own: PathBuf,
}

impl Programs {
    /// Those that `options` name, or fresh ones.
    ///
    /// # Errors
    /// Where one is missing or does not compile.
    pub(crate) async fn ready(options: &Options) -> Result<Self> {
        let own = env::current_exe().context("where this program is")?;
        let folder = match &options.programs {
            Some(folder) => folder.canonicalize().with_context(|| folder.display().to_string())?,
            None => build(&own, &options.cargo).await?,
        };
        let programs = Self { folder, own };
        for package in PACKAGES {
            let path = programs.path(package);
            ensure!(path.is_file(), "{} is missing", path.display());
        }
        Ok(programs)
    }

    /// Where the program `name` is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name).with_extension(env::consts::EXE_EXTENSION)
    }
}

/// Builds them in the profile and the folder that this program was built in: `cargo run -p bench`
/// builds this program alone.
async fn build(own: &Path, cargo: &Path) -> Result<PathBuf> {
    let unknown = || format!("{} is not where cargo puts programs", own.display());
    let folder = own.parent().with_context(unknown)?;
    let target = folder.parent().with_context(unknown)?;
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => bail!(unknown()),
    };
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("Cargo.toml");
    let mut command = Command::new(cargo);
    command.args(["build", "--locked", "--profile", profile]);
    command.arg("--target-dir").arg(target).arg("--manifest-path").arg(manifest);
    command.args(PACKAGES.iter().flat_map(|package| ["-p", *package]));
    command.stdin(Stdio::null()).kill_on_drop(true);
    let status = command.status().await.with_context(|| cargo.display().to_string())?;
    ensure!(status.success(), "the programs do not compile");
    Ok(folder.to_owned())
}
