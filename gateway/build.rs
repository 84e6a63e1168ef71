//! Takes the parts of Swagger UI that `/docs` needs out of the archive in which they come, and
//! compresses them once and well.

use std::{
    borrow::Cow,
    env,
    error::Error,
    fs::File,
    io::{self, Cursor},
    path::Path,
};

use flate2::{Compression, write::GzEncoder};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

const PARTS: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for part in PARTS {
        // Below a folder that is named after the version.
        let ending = format!("/dist/{part}");
        let path = archive
            .file_names()
            .filter_map(Result::ok)
            .find(|path| path.ends_with(&ending))
            .map(Cow::into_owned);
        let path = path.ok_or_else(|| format!("Swagger UI has no {part}"))?;
        let file = File::create(Path::new(&out).join(format!("{part}.gz")))?;
        let mut compressed = GzEncoder::new(file, Compression::best());
        io::copy(&mut archive.by_name(&path)?, &mut compressed)?;
        compressed.finish()?;
    }
    Ok(())
}
