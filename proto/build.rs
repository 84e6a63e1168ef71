//! Compiles the .proto files with protox, so that no protoc is needed.

use std::{env, error::Error, fs, path::PathBuf};

use prost_types::{FileDescriptorSet, MethodOptions, method_options::IdempotencyLevel};

const FILES: [&str; 8] = [
    "auth/v1/auth_service.proto",
    "auth/v1/event_service.proto",
    "auth/v1/user.proto",
    "auth/v1/user_service.proto",
    "training/v1/program.proto",
    "training/v1/program_service.proto",
    "training/v1/registration.proto",
    "training/v1/registration_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;

    #[expect(clippy::disallowed_methods, reason = "cargo's, not a setting")]
    let descriptor_set = PathBuf::from(env::var("OUT_DIR")?).join("descriptor_set.bin");
    fs::write(&descriptor_set, compiler.encode_file_descriptor_set())?;
    fs::write(descriptor_set.with_file_name("reads.rs"), reads(&compiler.file_descriptor_set()))?;

    // With defaults that answer UNIMPLEMENTED, so that a peer in a test implements what it needs;
    // a test of the whole makes sure that the product has no such answer.
    tonic_prost_build::configure()
        .generate_default_stubs(true)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// The paths of the unary methods without side effects, in order, as a Rust expression.
fn reads(files: &FileDescriptorSet) -> String {
    let mut paths = Vec::new();
    for file in &files.file {
        for service in &file.service {
            let reads = service.method.iter().filter(|method| {
                let level = method.options.as_ref().map(MethodOptions::idempotency_level);
                level == Some(IdempotencyLevel::NoSideEffects) && !method.server_streaming()
            });
            let (package, service) = (file.package(), service.name());
            paths.extend(reads.map(|read| format!("/{package}.{service}/{}", read.name())));
        }
    }
    paths.sort();
    format!("&{paths:?}")
}
