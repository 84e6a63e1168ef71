//! `auth-service import`.

use service_kit::{Shutdown, StartError};

use crate::{Config, ImportOptions, import::import};

pub(super) async fn run(
    options: &ImportOptions,
    config: &Config,
    shutdown: &Shutdown,
) -> Result<(), StartError> {
    let mut stderr = std::io::stderr();
    import(options, &config.database, &config.clock, shutdown, &mut stderr).await?;
    Ok(())
}
